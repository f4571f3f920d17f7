/* SPDX-License-Identifier: MIT */
/*
 * What a recording costs on the disk and to read back, on two made-up runs of 1,000,000 samples on 4 CPUs at 997 Hz:
 *
 *   repetitive   a program in its loops: 3,000 stacks, the frequent ones by far
 *   diverse      a compiler: every third sample brings a stack never seen, 7 nodes below one that is known
 *
 * Timers are late by up to 3 us, as they are in life. Chunks are closed once a second of the run, as recording_tick does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "recording/recording.h"

enum { SAMPLES = 1000000, CPUS = 4, RATE = 997, PERIOD = 1003009, MODULES = 12 };

static uint64_t random_state = 88172645463325252u;
static uint64_t random_next(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Small numbers more often: the product of two even distributions. */
static uint64_t random_skewed(uint64_t below) {
    uint64_t a = random_next() % 65536, b = random_next() % 65536;
    return a * b * b / 65536 * below / 65536 / 65536;
}

static uint32_t put_frame(struct recording_writer *w) {
    uint32_t module = (uint32_t)random_skewed(MODULES);
    return recording_add_frame(
        w, &(struct recording_frame){FRAME_NATIVE, FRAME_TABLE, FRAME_FLAG_RETURN, module, 0x1000 + random_skewed(8u << 20)});
}

/* A stack of `depth` nodes below `parent`; every other frame is one that was there before. */
static uint32_t put_stack(struct recording_writer *w, uint32_t parent, unsigned depth, uint32_t *frames) {
    while (depth--) {
        uint32_t frame = *frames > 64 && random_next() % 2 ? *frames - 1 - (uint32_t)random_skewed(*frames) : put_frame(w);
        *frames = frame >= *frames ? frame + 1 : *frames;
        parent = recording_add_node(w, &(struct recording_node){parent, frame});
    }
    return parent;
}

static void put_tables(struct recording_writer *w) {
    recording_add_event(w, &(struct recording_event){"cpu-clock", "ns", "on-CPU time", "perf_event", "", PERIOD, false, 1, false});
    recording_add_process(w, &(struct recording_process){1000, RECORDING_NONE, 0, 0});
    for (uint32_t i = 0; i < MODULES; i++) {
        char path[32];
        snprintf(path, sizeof path, "/usr/lib/lib%u.so", i);
        recording_add_module(w, &(struct recording_module){MODULE_FILE, 0, path, 20, {(uint8_t)i}});
    }
    for (uint32_t i = 0; i < CPUS; i++) {
        recording_add_thread(w, &(struct recording_thread){1000, 1000 + i, 0});
        recording_add_task(w, &(struct recording_task){i, 0, "worker", 0});
    }
}

static void put_symbols(struct recording_writer *w, uint32_t frames) {
    for (uint32_t i = 0; i < frames; i++) {
        char name[64];
        snprintf(name, sizeof name, "some_module_function_%llu", (unsigned long long)random_skewed(frames));
        recording_add_symbol(w, &(struct recording_symbol){(uint32_t)random_skewed(MODULES), 0x1000 + (uint64_t)i * 16, 1,
                                                           &(const struct recording_location){name, "file.c", i % 900, false}});
    }
}

static int write_run(const char *path, bool is_diverse, uint64_t *ret_size) {
    struct recording_writer *w;
    int r = recording_create(path, &w);
    if (r < 0)
        return r;
    put_tables(w);
    uint32_t frames = 0, stacks[3000];
    for (size_t i = 0; i < 3000; i++)
        stacks[i] = put_stack(w, i < 50 ? STACK_COMPLETE : stacks[i % 50], 12, &frames);
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t late = random_next() % 3000;
        size_t stack = random_skewed(3000);
        if (is_diverse && i % 3 == 0)
            stacks[stack] = put_stack(w, stacks[random_next() % 50], 7, &frames);
        recording_add_sample(w, &(struct recording_sample){.time = 1000000000 + i / CPUS * PERIOD + i % CPUS * 250000 + late,
                                                           .task = (uint32_t)(i % CPUS + i / 100) % CPUS,
                                                           .node = stacks[stack],
                                                           .cpu = (uint16_t)(i % CPUS),
                                                           .weight = {PERIOD}});
        if (i % (CPUS * RATE) == 0 && (r = recording_flush(w)) < 0)
            break;
    }
    put_symbols(w, frames);
    int closed = recording_close(w, ret_size);
    return r ? r : closed;
}

/* Opens and aggregates: samples per node. */
static int read_run(const char *path, double *ret_open, double *ret_walk) {
    uint64_t start = clock_read(CLOCK_PROCESS_CPUTIME_ID);
    struct recording *r;
    int error = recording_open(path, &r, NULL);
    if (error)
        return error;
    uint64_t opened = clock_read(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t *weights = calloc(r->nodes.count, sizeof *weights), samples = 0;
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    while (weights && recording_next(r, &cursor, &sample)) {
        weights[sample.node] += sample.weight[0];
        samples++;
    }
    uint64_t walked = clock_read(CLOCK_PROCESS_CPUTIME_ID);
    recording_cursor_free(&cursor);
    recording_free(r);
    free(weights);
    *ret_open = (double)(opened - start);
    *ret_walk = (double)(walked - opened);
    return samples == SAMPLES ? 0 : -EBADMSG;
}

static int bench(const char *name, bool is_diverse) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/bench-recording-%d.data", (int)getpid());
    uint64_t size = 0, before = clock_read(CLOCK_PROCESS_CPUTIME_ID);
    int r = write_run(path, is_diverse, &size);
    double written = (double)(clock_read(CLOCK_PROCESS_CPUTIME_ID) - before);
    double best_open = 1e18, best_walk = 1e18, open = 0, walk = 0;
    for (int round = 0; !r && round < 5; round++) {
        r = read_run(path, &open, &walk);
        if (open + walk < best_open + best_walk)
            best_open = open, best_walk = walk;
    }
    unlink(path);
    if (r < 0) {
        fprintf(stderr, "bench-recording: %s: %s\n", name, strerror(-r));
        return 1;
    }
    printf("%-10s  %5.2f bytes, %4.0f ns to write, %4.1f to open, %4.1f to walk and aggregate (CPU), a sample\n", name,
           (double)size / SAMPLES, written / SAMPLES, best_open / SAMPLES, best_walk / SAMPLES);
    return 0;
}

int main(void) {
    return bench("repetitive", false) | bench("diverse", true);
}
