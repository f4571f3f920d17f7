/* SPDX-License-Identifier: MIT */
/*
 * How long cprof-report takes from a recording in memory to folded text.
 *
 * The recording is a tree of stacks as programs have them: they share their outer frames and part ways further in. The median of five runs
 * is printed, next to the aim of 0.05 s for a million samples and 1 us a distinct stack. The text is counted and dropped as it gets ready,
 * as cprof-report hands it to the system. Beside the time by the clock stands that of the CPU, which says the same on a busy machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "recording/recording.h"
#include "report/view.h"

enum { RUNS = 5, FUNCTIONS = 5000, NAME_LENGTH = 80 };

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static void add_functions(struct recording_writer *w) {
    recording_add_module(w, &(struct recording_module){.path = "/usr/bin/app"});
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        char name[NAME_LENGTH];
        snprintf(name, sizeof name, "space::Class%u<int>::function_%u(std::string const&, int)", i % 97, i);
        struct recording_location location = {.function = name};
        recording_add_symbol(w, &(struct recording_symbol){0, i * 16, 1, &location});
        recording_add_frame(w, &(struct recording_frame){.class = FRAME_TABLE, .address = i * 16});
    }
}

/* Each stack leaves an earlier one at a random depth. Returns the innermost nodes. */
static uint32_t *add_stacks(struct recording_writer *w, uint32_t stacks, uint32_t depth) {
    uint32_t *path = calloc(depth, sizeof *path), *leaves = calloc(stacks, sizeof *leaves);
    for (uint32_t s = 0; s < stacks; s++) {
        for (uint32_t d = s ? 1 + random_below(depth - 1) : 0; d < depth; d++)
            path[d] = recording_add_node(w, &(struct recording_node){d ? path[d - 1] : STACK_COMPLETE, random_below(FUNCTIONS)});
        leaves[s] = path[depth - 1];
    }
    free(path);
    return leaves;
}

static struct recording *make_recording(uint32_t samples, uint32_t stacks, uint32_t depth) {
    char path[] = "/tmp/cprof-bench-XXXXXX";
    int fd = mkstemp(path);
    struct recording_writer *w;
    if (fd < 0 || recording_create(path, &w) < 0)
        return NULL;
    close(fd);
    recording_add_event(w, &(struct recording_event){"cpu-clock", "ns", "", "", "", 1000000, false, 1, false});
    recording_add_process(w, &(struct recording_process){.pid = 1, .parent = RECORDING_NONE});
    for (uint32_t i = 0; i < 8; i++) {
        recording_add_thread(w, &(struct recording_thread){1, i + 1, 0});
        recording_add_task(w, &(struct recording_task){i, 0, "app", 0});
    }
    add_functions(w);
    uint32_t *leaves = add_stacks(w, stacks, depth);
    for (uint32_t i = 0; i < samples; i++)
        recording_add_sample(w, &(struct recording_sample){.time = i * 1000ull,
                                                           .task = random_below(8),
                                                           .node = leaves[i < stacks ? i : random_below(stacks)],
                                                           .weight = {1000000}});
    free(leaves);
    struct recording *r = NULL;
    if (recording_close(w, NULL) == 0)
        recording_open(path, &r, NULL);
    unlink(path);
    return r;
}

static int compare_times(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static int drop(void *context, struct buffer *ready) {
    *(size_t *)context += ready->length;
    buffer_clear(ready);
    return 0;
}

static uint64_t cpu_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double median_ms(uint64_t times[RUNS]) {
    qsort(times, RUNS, sizeof *times, compare_times);
    return (double)times[RUNS / 2] * 1e-6;
}

static int run(uint32_t samples, uint32_t stacks, uint32_t depth) {
    struct recording *r = make_recording(samples, stacks, depth);
    if (!r) {
        fprintf(stderr, "bench-report: cannot make the recording\n");
        return 1;
    }
    struct report_options options = {.view = VIEW_FOLDED};
    uint64_t times[RUNS], cpu_times[RUNS];
    size_t length = 0;
    for (size_t i = 0; i < RUNS; i++) {
        struct buffer out = {0};
        struct view_notes notes;
        length = 0;
        uint64_t start = clock_now(), cpu_start = cpu_now();
        if (view_write(r, &options, 0, &out, &(struct folded_drain){drop, &length}, &notes) < 0)
            return 1;
        drop(&length, &out);
        times[i] = clock_now() - start;
        cpu_times[i] = cpu_now() - cpu_start;
        buffer_free(&out);
    }
    printf("%u samples, %u stacks of %u frames -> %zu bytes folded: %.1f ms, %.1f of CPU (aim: %.1f ms)\n", samples, stacks, depth, length,
           median_ms(times), median_ms(cpu_times), 50 * samples / 1e6 + 1e-3 * stacks);
    recording_free(r);
    return 0;
}

int main(void) {
    return run(1000000, 1000, 20) || run(1000000, 10000, 30) || run(1000000, 100000, 30) || run(1000, 10, 10);
}
