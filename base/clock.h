/* SPDX-License-Identifier: MIT */
/* Time in cprof is CLOCK_MONOTONIC_RAW in nanoseconds, everywhere: the clock perf events and agents stamp with, free of NTP slewing. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now(void) {
    return clock_read(CLOCK_MONOTONIC_RAW);
}

/* The cycle counter (x86-64: the time-stamp counter, invariant on every CPU since 2008). Not a time: its rate is what the clock pairs of a
 * recording are for. */
static inline uint64_t clock_cycles(void) {
    return __builtin_ia32_rdtsc();
}
