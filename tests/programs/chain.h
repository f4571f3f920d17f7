/* SPDX-License-Identifier: MIT */
/*
 * What the known-chain programs share. In such a program every function has one legitimate caller, so that any stack a profiler shows can
 * be judged right or impossible (tests/e2e/chains.py). All are built with tail calls and inlining off.
 *
 *     program [SECONDS]     burns that much CPU, 1 s by default, going round its chains
 *     program --chains      prints them, one a line:
 *         a > b > c         b is called by a alone, c by b alone; a function may name itself: recursion
 *         ^ > a             a is the outermost function of ours (main always is)
 *         a > ... > b       with frames of others in between: libc's qsort, a signal trampoline
 *         a +               a also calls functions of others, which may be seen below it
 *         a ~               stacks with a in them cannot be judged (a comment says why)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
#define LINK __attribute__((noinline))
#else
#define LINK __attribute__((noinline, noclone, noipa))
#endif

static volatile uint64_t chain_sink;

/* A few microseconds of arithmetic in the function that calls it. */
static inline __attribute__((always_inline)) void chain_work(void) {
    uint64_t x = chain_sink;
    for (int i = 0; i < 1500; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    chain_sink = x;
}

/* A little of it, before and after a call, so that samples fall on both sides. */
static inline __attribute__((always_inline)) void chain_pause(void) {
    unsigned long x = (unsigned long)chain_sink;
    for (int i = 0; i < 60; i++)
        __asm__ volatile("imul %0, %0" : "+r"(x));
    chain_sink = x;
}

static inline double chain_seconds(int argc, char **argv, const char *chains) {
    if (argc > 1 && !strcmp(argv[1], "--chains")) {
        fputs(chains, stdout);
        exit(0);
    }
    return argc > 1 ? strtod(argv[1], NULL) : 1;
}

static inline __attribute__((always_inline)) bool chain_goes_on(double seconds) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 < seconds;
}
