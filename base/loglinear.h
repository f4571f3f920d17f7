/* SPDX-License-Identifier: MIT */
/*
 * Buckets of a log-linear histogram: 8 to each power of two, so that a bucket is at most an eighth of its lower bound wide and its middle
 * errs by at most 6.25 %. Two of the same kind add up bucket by bucket, whichever thread or run they are of.
 *
 *     value      0 1 2 .. 15 | 16-17 18-19 .. 30-31 | 32-35 36-39 .. 60-63 | ...
 *     bucket     0 1 2 .. 15 | 16    17    .. 23    | 24    25    .. 31    | ...
 *
 * Pure functions, callable from anywhere. (HdrHistogram's arithmetic with 3 bits of precision.)
 */
#pragma once

#include <stdint.h>

enum {
    LOGLINEAR_BITS = 3,
    LOGLINEAR_OCTAVES = 44,                                          /* values from 2^44 on share the last bucket */
    LOGLINEAR_BUCKETS = (LOGLINEAR_OCTAVES - LOGLINEAR_BITS + 1) * 8 /* 336 */
};

static inline uint32_t loglinear_bucket(uint64_t value) {
    if (value < 16)
        return (uint32_t)value;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value); /* >= 4 */
    if (top >= LOGLINEAR_OCTAVES)
        return LOGLINEAR_BUCKETS - 1;
    return ((top - LOGLINEAR_BITS) << LOGLINEAR_BITS) + (uint32_t)(value >> (top - LOGLINEAR_BITS));
}

/* The least value of a bucket; bucket LOGLINEAR_BUCKETS: 2^LOGLINEAR_OCTAVES. */
static inline uint64_t loglinear_low(uint32_t bucket) {
    if (bucket < 16)
        return bucket;
    uint32_t shift = (bucket >> LOGLINEAR_BITS) - 1;
    return (uint64_t)((bucket & 7) + 8) << shift;
}
