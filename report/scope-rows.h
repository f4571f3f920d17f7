/* SPDX-License-Identifier: MIT */
/*
 * What scopes measured, added up to rows: one a site, or one a (site, thread). Times are put in nanoseconds here.
 *
 * Invariant: self of all rows adds up to the time in outermost scopes; count >= primitive; min <= any percentile <= max.
 */
#pragma once

#include "recording/recording.h"
#include "report/options.h"
#include "report/scope-clock.h"

struct scope_slow {
    uint64_t begin; /* CLOCK_MONOTONIC_RAW, ns */
    double ns;
    uint32_t thread;
};

struct scope_row {
    uint32_t site;
    uint32_t thread; /* RECORDING_NONE: of all that pass the filters */
    uint32_t threads;
    uint64_t count, primitive, unwound, unfinished, unfinished_samples;
    double total, self, sum, min, max; /* ns; of SITE_VALUE sum, min, max: as they are */
    double off_cpu;                    /* ns */
    double variance;                   /* sum of f(1-f) */
    double cpu;                        /* ns on a CPU of the threads it ran in; 0: not known of all */
    struct scope_slow slowest[RECORDING_SLOWEST];
    uint64_t *buckets; /* base/loglinear.h, in ticks (values) */
};

struct scope_rows {
    VEC(struct scope_row) items;
    struct scope_clock clock;
    bool has_off_cpu;   /* off_cpu is exact */
    char unknown[128];  /* why it is not, for people */
    double overhead_ns; /* of one begin and end */
};

/* A lasting `thread_weight` (by thread, ns of samples) stands in where the kernel's account of a thread is not there; NULL: nothing does.
 * -ENODATA: the clock is not known (scope_clock_fit). -ENOMEM. */
int scope_rows_build(const struct recording *r, const bool *threads, bool by_thread, const uint64_t *thread_weight, struct scope_rows *ret);
void scope_rows_free(struct scope_rows *rows);

/* The value below which a share q of a row's instances lie: the middle of its bucket, so far as it lies within min..max, which is off by at
 * most 6.25 % wherever in it the instances are. ns, or values. */
double scope_row_quantile(const struct scope_rows *rows, const struct scope_row *row, double q, bool is_value);

/* The share of a row's time that begin and end themselves take. */
double scope_row_overhead(const struct scope_rows *rows, const struct scope_row *row);
