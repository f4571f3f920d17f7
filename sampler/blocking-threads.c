/* SPDX-License-Identifier: MIT */
#include "sampler/blocking-threads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum {
    THREADS_MAX = 256,    /* remembered */
    NAMED_MAX = 5,        /* told by name */
    UNSEEN_MIN = 20000000 /* ns: what a thread uses around a mask that is soon set back tells nothing */
};

/* What /proc/PID/task/TID/status says. */
struct state {
    char name[16];
    uint64_t blocked, pending;
};

static bool read_state(uint32_t pid, uint32_t tid, struct state *ret) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/task/%" PRIu32 "/status", pid, tid);
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    int found = 0;
    *ret = (struct state){0};
    while (file && found < 3 && fgets(line, sizeof line, file))
        found += sscanf(line, "Name: %15[^\n]", ret->name) == 1 || sscanf(line, "SigPnd: %" SCNx64, &ret->pending) == 1 ||
                 sscanf(line, "SigBlk: %" SCNx64, &ret->blocked) == 1;
    return found == 3;
}

/* ns on a CPU, the first number of /proc/PID/task/TID/schedstat; 0: not known. */
static uint64_t read_cpu(uint32_t pid, uint32_t tid) {
    char path[64];
    uint64_t cpu = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/task/%" PRIu32 "/schedstat", pid, tid);
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    return file && fscanf(file, "%" SCNu64, &cpu) == 1 ? cpu : 0;
}

static struct blocking_thread *find(struct blocking_threads *blocking, uint32_t pid, uint32_t tid) {
    for (size_t i = 0; i < blocking->threads.count; i++)
        if (blocking->threads.items[i].pid == pid && blocking->threads.items[i].tid == tid)
            return &blocking->threads.items[i];
    return NULL;
}

void blocking_threads_look(struct blocking_threads *blocking, uint32_t pid, uint32_t tid, uint64_t written) {
    struct state state;
    struct blocking_thread *thread = find(blocking, pid, tid);
    uint64_t ours = UINT64_C(1) << (blocking->signal - 1);
    if (!read_state(pid, tid, &state) || !(state.blocked & state.pending & ours)) {
        if (thread)
            thread->was_blocking = false;
        return;
    }
    if (!thread && (blocking->threads.count >= THREADS_MAX || !(thread = vec_push(&blocking->threads))))
        return;
    uint64_t cpu = read_cpu(pid, tid);
    if (thread->was_blocking && thread->written == written && cpu > thread->cpu)
        thread->unseen += cpu - thread->cpu;
    thread->pid = pid;
    thread->tid = tid;
    memcpy(thread->name, state.name, sizeof thread->name);
    thread->was_blocking = true;
    thread->cpu = cpu;
    thread->written = written;
}

void blocking_threads_free(struct blocking_threads *blocking) {
    vec_free(&blocking->threads);
}

static int compare(const void *a, const void *b) {
    const struct blocking_thread *left = a, *right = b;
    return (left->unseen < right->unseen) - (left->unseen > right->unseen);
}

bool blocking_threads_put(struct blocking_threads *blocking, char *ret, size_t size) {
    size_t count = blocking->threads.count, told = 0, length = 0;
    if (count)
        qsort(blocking->threads.items, count, sizeof blocking->threads.items[0], compare);
    while (count && blocking->threads.items[count - 1].unseen < UNSEEN_MIN)
        count--;
    for (; told < count && told < NAMED_MAX && length < size; told++) {
        const struct blocking_thread *thread = &blocking->threads.items[told];
        length += (size_t)snprintf(ret + length, size - length, "%s%s (%.3f s of CPU time)", told ? ", " : "", thread->name,
                                   (double)thread->unseen / 1e9);
    }
    if (count > told && length < size)
        (void)snprintf(ret + length, size - length, " and %zu more", count - told);
    return count > 0;
}
