/* SPDX-License-Identifier: MIT */
/*
 * What a begin and its end cost, beside other ways to time a block: in one process, in turn, medians. Made for bench/bench-scope, which
 * runs it under cprof-record; the ways that need a process or compiler flags of their own are there.
 *
 *     scope-calls [ROUNDS] [CALLS]       default 41 rounds of 20,000 calls each; one line a way: ns a call, its name
 *
 * Every way times the same block, which does nothing. What the loop takes by itself is a way of its own, and not subtracted.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/macros.h"
#include "include/cprof.h"

enum { ROUNDS_MAX = 10001 };

static void barrier(void) {
    __asm__ volatile("" ::: "memory");
}

static uint64_t sum; /* of what a timer by hand measures: it must keep its result somewhere */

static void nothing(unsigned calls) {
    while (calls--)
        barrier();
}

static void counter_twice(unsigned calls) {
    while (calls--) {
        uint64_t start = clock_cycles();
        barrier();
        sum += clock_cycles() - start;
    }
}

static void clock_twice(unsigned calls) {
    while (calls--) {
        uint64_t start = clock_read(CLOCK_MONOTONIC);
        barrier();
        sum += clock_read(CLOCK_MONOTONIC) - start;
    }
}

static void cpu_clock_twice(unsigned calls) {
    while (calls--) {
        uint64_t start = clock_read(CLOCK_THREAD_CPUTIME_ID);
        barrier();
        sum += clock_read(CLOCK_THREAD_CPUTIME_ID) - start;
    }
}

static void scope(unsigned calls) {
    while (calls--) {
        CPROF_SCOPE("one");
        barrier();
    }
}

/* Three scopes an iteration, of which two are nested. */
static void nested_scopes(unsigned calls) {
    while (calls--) {
        CPROF_SCOPE("outer");
        {
            CPROF_SCOPE("inner");
            barrier();
        }
        {
            CPROF_SCOPE("inner, other");
            barrier();
        }
    }
}

static void span(unsigned calls) {
    CPROF_SITE(site, CPROF_KIND_SPAN, "span");
    while (calls--) {
        cprof_begin(&site);
        barrier();
        cprof_end(&site);
    }
}

static void value(unsigned calls) {
    while (calls--)
        CPROF_VALUE("value", 1);
}

/* As in a process that nobody records. */
static void not_recorded(unsigned calls) {
    uint32_t recording = __atomic_exchange_n(&cprof_runtime.recording, 0, __ATOMIC_RELAXED);
    scope(calls);
    __atomic_store_n(&cprof_runtime.recording, recording, __ATOMIC_RELAXED);
}

void scope_disabled(unsigned calls); /* scope-disabled.c */

static const struct way {
    const char *name;
    void (*run)(unsigned calls);
    unsigned each; /* scopes an iteration */
} ways[] = {
    {"loop", nothing, 1},
    {"disabled", scope_disabled, 1},
    {"not recorded", not_recorded, 1},
    {"floor", counter_twice, 1},
    {"scope", scope, 1},
    {"nested", nested_scopes, 3},
    {"span", span, 1},
    {"value", value, 1},
    {"clock_gettime", clock_twice, 1},
    {"thread cputime", cpu_clock_twice, 1},
};

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    static double times[ARRAY_SIZE(ways)][ROUNDS_MAX];
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 41;
    unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 20000;
    if (!rounds || rounds > ROUNDS_MAX || !calls)
        return 1;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
            uint64_t start = clock_now();
            ways[i].run(calls);
            times[i][round] = (double)(clock_now() - start) / calls / ways[i].each;
        }
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        qsort(times[i], rounds, sizeof times[i][0], compare);
        printf("%.2f %s\n", times[i][rounds / 2], ways[i].name);
    }
    return sum == 1;
}
