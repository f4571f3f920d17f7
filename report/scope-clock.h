/* SPDX-License-Identifier: MIT */
/* From the ticks that scopes were timed in to nanoseconds: a line through the recording's clock pairs. */
#pragma once

#include "recording/recording.h"

struct scope_clock {
    double ns_per_tick;
    uint64_t origin_ticks, origin_ns;
    size_t pairs;    /* that the line was laid through; 0: ticks are nanoseconds */
    double span_ns;  /* from the first pair to the last */
    double residual; /* ns: the greatest distance of a pair from the line */
};

/* By least squares, from an origin among the pairs, so that counters of any size lose no digit. -ENODATA: ticks are cycles, and there are
 * fewer than two pairs, or they do not make a line (the counter stood still or went back). */
int scope_clock_fit(const struct recording *r, struct scope_clock *ret);

/* CLOCK_MONOTONIC_RAW, ns, of a moment told in ticks. */
uint64_t scope_clock_ns(const struct scope_clock *c, uint64_t ticks);
