/* SPDX-License-Identifier: MIT */
/*
 * The recorder's side of scope/scope.h, as small as can be: gives a memory to whoever asks at the socket, frees the blocks of ended threads
 * while it waits, and looks things up in the memories afterwards.
 *
 *     struct recorder recorder;
 *     recorder_open(&recorder, event_ticks, inverse_period);
 *     recorder_run(&recorder, body);            body in a forked child that is recorded
 *     recorder_spawn(&recorder, argv, &text);   or a program, and what it printed
 *     recorder.memories[0] ...                  in the order they were asked for
 *     recorder_close(&recorder);
 */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "include/cprof.h"
#include "scope/private.h"
#include "tests/check.h"

enum { RECORDER_MEMORIES = 64 };

struct recorder {
    int socket;
    uint64_t event_ticks, inverse_period;
    uint32_t clock;
    uint32_t version;  /* said in the welcome */
    bool keeps_blocks; /* of ended threads */
    bool keeps_events; /* does not read the rings */
    int signal;        /* sent to whoever asks, before the answer; 0: none */
    int status;        /* of the process that was waited for */
    uint32_t count;
    struct scope_shared *memories[RECORDER_MEMORIES];
    uint64_t events[RECORDER_MEMORIES]; /* read */
};

static inline struct scope_shared *recorder_make_memory(const struct recorder *recorder, int *ret_fd) {
    int fd = memfd_create("cprof-scopes", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)SCOPE_MEMORY_BYTES) != 0)
        return NULL;
    void *memory = mmap(NULL, SCOPE_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct scope_shared *shared = memory;
    shared->magic = SCOPE_MAGIC;
    shared->version = SCOPE_VERSION;
    shared->clock = recorder->clock;
    shared->event_ticks = recorder->event_ticks;
    shared->inverse_period = recorder->inverse_period;
    *ret_fd = fd;
    return shared;
}

static inline void *recorder_at(const struct scope_shared *shared, uint32_t position) {
    return (char *)(uintptr_t)shared + (uint64_t)position * SCOPE_UNIT;
}

static inline struct scope_thread *recorder_block(const struct scope_shared *shared, uint32_t index) {
    return shared->threads[index] ? recorder_at(shared, shared->threads[index]) : NULL;
}

static inline struct scope_site *recorder_site(const struct scope_shared *shared, uint32_t id) {
    return (struct scope_site *)(void *)((char *)(uintptr_t)shared + SCOPE_SITES_AT) + (id - 1);
}

/* id of the site of this name, or 0. */
static inline uint32_t recorder_find_site(const struct scope_shared *shared, const char *name) {
    for (uint32_t id = 1; id <= SCOPE_SITES_MAX && atomic_load(&recorder_site(shared, id)->state) == SCOPE_SITE_READY; id++)
        if (strcmp(recorder_site(shared, id)->name, name) == 0)
            return id;
    return 0;
}

static inline struct scope_record *recorder_record_of(const struct scope_shared *shared, const struct scope_thread *block, uint32_t site) {
    uint32_t position = atomic_load(&block->records);
    while (position) {
        struct scope_record *record = recorder_at(shared, position);
        if (record->site == site)
            return record;
        position = record->next;
    }
    return NULL;
}

/* The sum over all threads; of extremes the extreme. Slowest: the first thread's. */
static inline struct scope_record recorder_sum(const struct scope_shared *shared, const char *name) {
    struct scope_record sum = {.min = UINT64_MAX};
    uint32_t site = recorder_find_site(shared, name);
    for (uint32_t i = 0; site && i < atomic_load(&shared->thread_count); i++) {
        const struct scope_thread *block = recorder_block(shared, i);
        const struct scope_record *record = block ? recorder_record_of(shared, block, site) : NULL;
        if (!record)
            continue;
        sum.site = site;
        sum.active += record->active, sum.count += record->count, sum.primitive += record->primitive, sum.total += record->total;
        sum.self += record->self, sum.sum += record->sum, sum.variance += record->variance, sum.unwound += record->unwound;
        sum.min = MIN(sum.min, record->min);
        sum.max = MAX(sum.max, record->max);
        if (!sum.slowest[0].ticks)
            memcpy(sum.slowest, record->slowest, sizeof sum.slowest);
        for (size_t b = 0; b < LOGLINEAR_BUCKETS; b++)
            sum.histogram[b] += record->histogram[b] + (record->pending == b + 1);
    }
    return sum;
}

/* The node of a path of names, or NULL. */
static inline struct scope_node *recorder_node(const struct scope_shared *shared, struct scope_thread *block, const char *const *path) {
    uint32_t row = 0;
    for (; *path; path++) {
        uint32_t site = recorder_find_site(shared, *path), count = atomic_load(&block->node_count), next = 0;
        for (uint32_t i = 1; i < count; i++)
            if (block->nodes[i].parent == row && block->nodes[i].site == site)
                next = i;
        if (!next)
            return NULL;
        row = next;
    }
    return &block->nodes[row];
}

/* As the recorder does: reads the ring, then lets an ended thread's block be used again. */
static inline void recorder_look(struct recorder *recorder) {
    for (uint32_t m = 0; m < recorder->count; m++) {
        const struct scope_shared *shared = recorder->memories[m];
        for (uint32_t i = 0; i < atomic_load(&shared->thread_count); i++) {
            struct scope_thread *block = recorder_block(shared, i);
            if (!block)
                continue;
            uint32_t state = atomic_load_explicit(&block->state, memory_order_acquire);
            uint64_t head = atomic_load_explicit(&block->head, memory_order_acquire), tail = atomic_load(&block->tail);
            if (!recorder->keeps_events) {
                for (; tail < head; tail++)
                    recorder->events[m] += block->events[tail % SCOPE_EVENTS].number == tail + 1;
                atomic_store_explicit(&block->tail, tail, memory_order_release);
            }
            if (state == SCOPE_THREAD_ENDED && !recorder->keeps_blocks)
                atomic_store_explicit(&block->state, SCOPE_THREAD_FREE, memory_order_release);
        }
    }
}

static inline bool recorder_answer(struct recorder *recorder) {
    int connection = accept4(recorder->socket, NULL, NULL, SOCK_CLOEXEC), fd = -1;
    struct scope_hello hello;
    if (connection < 0 || recorder->count == RECORDER_MEMORIES ||
        recv(connection, &hello, sizeof hello, MSG_WAITALL) != (ssize_t)sizeof hello)
        return false;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (recorder->signal && getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) {
        (void)usleep(20000); /* until it waits for the answer */
        (void)kill(peer.pid, recorder->signal);
    }
    struct scope_welcome welcome = {SCOPE_MAGIC, recorder->version};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&welcome, sizeof welcome};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (hello.version == recorder->version && hello.secret[0] == 0xab) {
        recorder->memories[recorder->count++] = recorder_make_memory(recorder, &fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    bool is_sent = sendmsg(connection, &message, MSG_NOSIGNAL) >= 0;
    close(connection);
    if (fd >= 0)
        close(fd);
    return is_sent;
}

/* Until the process `pid` ends. */
static inline void recorder_serve(struct recorder *recorder, pid_t pid) {
    while (waitpid(pid, &recorder->status, WNOHANG) == 0) {
        struct pollfd wait = {.fd = recorder->socket, .events = POLLIN};
        if (poll(&wait, 1, 1) == 1)
            (void)recorder_answer(recorder);
        recorder_look(recorder);
    }
    recorder_look(recorder);
}

static inline bool recorder_open(struct recorder *recorder, uint64_t event_ticks, uint64_t inverse_period) {
    static unsigned number;
    char name[64], variable[128];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *recorder = (struct recorder){.event_ticks = event_ticks, .inverse_period = inverse_period, .version = SCOPE_VERSION};
    int length = snprintf(name, sizeof name, "cprof-test-%d-%u", (int)getpid(), number++);
    memcpy(address.sun_path + 1, name, (size_t)length);
    snprintf(variable, sizeof variable, "%s:ab000102030405060708090a0b0c0d0e", name);
    recorder->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setenv(SCOPE_SOCKET_VARIABLE, variable, 1);
    return recorder->socket >= 0 &&
           bind(recorder->socket, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0 &&
           listen(recorder->socket, 64) == 0;
}

/* `body` in a child, which is recorded as a program that begins; its exit status, or -1. */
static inline int recorder_run(struct recorder *recorder, void (*body)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t size = 0;
        struct scope_shared *shared = scope_link_prepare() ? scope_link_connect(&size) : NULL;
        if (shared && !scope_process_start(shared, size))
            _exit(98);
        body();
        _exit(0);
    }
    recorder_serve(recorder, pid);
    return WIFEXITED(recorder->status) ? WEXITSTATUS(recorder->status) : -1;
}

/* A program; its exit status or -1, and what it wrote to stdout, which is the caller's to free. */
static inline int recorder_spawn(struct recorder *recorder, char *const argv[], char **ret_text) {
    FILE *file = tmpfile();
    fflush(stdout);
    pid_t pid = file ? fork() : -1;
    if (pid == 0) {
        dup2(fileno(file), STDOUT_FILENO);
        execv(argv[0], argv);
        _exit(99);
    }
    if (pid < 0)
        return -1;
    recorder_serve(recorder, pid);
    char *text = calloc(1, 1 << 16);
    rewind(file);
    if (text)
        (void)!fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    *ret_text = text;
    return WIFEXITED(recorder->status) ? WEXITSTATUS(recorder->status) : -1;
}

static inline void recorder_close(struct recorder *recorder) {
    for (uint32_t i = 0; i < recorder->count; i++)
        munmap(recorder->memories[i], SCOPE_MEMORY_BYTES);
    close(recorder->socket);
    unsetenv(SCOPE_SOCKET_VARIABLE);
}
