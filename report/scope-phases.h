/* SPDX-License-Identifier: MIT */
/*
 * Where in their instances samples fell: of each instance that the recording tells one by one, that held a sample and was never off a CPU,
 * the moment of its first sample.
 *
 * If the sampler's phase is independent of the instance, that moment is uniform over the instance, or over its first period if it is longer
 * than that; whatever other instances last, and whenever they come.
 */
#pragma once

#include "base/vec.h"
#include "report/compare-stats.h"

struct recording;

struct scope_hit {
    uint32_t site, thread;
    uint64_t begin;
    double elapsed, length; /* ns: to the first sample, and in all */
    uint64_t samples;       /* in it */
};

struct scope_phases {
    VEC(struct scope_hit) hits; /* by site, thread and begin */
};

/* By how many ns a sample's time may be told too early or too late, and an instance be too long for each sample in it. */
struct scope_phase_slack {
    double early, late, interrupt;
};

/* 0 or -ENOMEM. */
int scope_phases_collect(const struct recording *r, uint32_t event, struct scope_phases *ret);
void scope_phases_free(struct scope_phases *p);

/* Hits of a site, of one thread or with RECORDING_NONE of all that are set in `threads`, in order. Not more than `hits.count`. Returns how
 * many. */
size_t scope_phases_of(const struct scope_phases *p, const bool *threads, uint32_t thread, uint32_t site, double period,
                       const struct scope_phase_slack *slack, struct stats_hit *ret);
