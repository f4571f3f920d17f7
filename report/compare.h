/* SPDX-License-Identifier: MIT */
/*
 * Sampled beside exact: for each row of scopes, what the sampler should have found given the exact figures, what it found, and a verdict.
 *
 * What should be found is an interval, because some things are known only from one side (time in the kernel, of a sampler that cannot see
 * it; instances that ended late; stacks that end before a scope could be found). Inside of it there is no difference; outside, the distance
 * to its nearer end is put to the test. How each bound comes about stands in compare.c; docs/COMPARE.md tells it to people.
 */
#pragma once

#include "report/compare-stats.h"
#include "report/scope-rows.h"
#include "report/scope-samples.h"

enum compare_kind {
    COMPARE_AGREES,
    COMPARE_BIASED,
    COMPARE_PHASE_LOCKED,
    COMPARE_TOO_FEW,         /* samples, to tell a difference of a quarter */
    COMPARE_OFF_CPU,         /* most of its time passed off a CPU, where no sampler of CPU time looks; the rest agrees or is too little */
    COMPARE_INSTRUMENTATION, /* begin and end themselves are too much of it */
    COMPARE_CANNOT_TELL,
};

/* A false alarm (biased or phase-locked) in any row of a report: at most one report in so many. */
enum { COMPARE_FALSE_ALARM_ONE_IN = 1000 };

struct comparison {
    const struct scope_row *row;
    enum compare_kind kind;
    char reason[160];   /* of COMPARE_CANNOT_TELL; "" else */
    double exact;       /* ns on a CPU */
    uint64_t samples;   /* found, without those in unfinished instances */
    double expected;    /* samples */
    double least, most; /* what may be expected, for all that is known */
    double variance;    /* of the number of samples */
    double z;           /* (samples - expected) / sd */
    double p;           /* of the difference, after Holm's correction; below 0: not asked */
    double off_cpu;     /* share of its total time; below 0: not known */
    double needed;      /* samples, for the interval to be a quarter to each side */
    bool has_phase;
    struct stats_phase phase; /* p after Holm's correction */
};

struct comparisons {
    VEC(struct comparison) items;
    uint64_t period;        /* ns */
    double coverage;        /* the share of the CPU time that became samples */
    bool is_jittered;       /* the signal engine's way: a moment drawn in each period */
    double chi2;            /* sum of z^2 over the `tested` */
    size_t tested;          /* scopes with enough variance, and nothing unknown */
    const char *untestable; /* why there is no comparison at all, or NULL */
};

/* `rows` must outlive it. 0 or -ENOMEM. */
int compare_scopes(const struct recording *r, uint32_t event, const bool *threads, const struct scope_rows *rows,
                   const struct scope_samples *samples, struct comparisons *ret);
void comparisons_free(struct comparisons *c);
