/* SPDX-License-Identifier: MIT */
/*
 * The one pass over the samples: from a million of them to counts per (group, node). Everything after it costs by distinct stacks.
 */
#pragma once

#include "recording/recording.h"
#include "report/filter.h"
#include "report/group.h"

struct counts_entry {
    uint32_t group, node;
    uint64_t samples;
    uint64_t weight; /* sum of the first weights */
};

struct counts {
    /* What passed the filter, in order of first appearance. */
    VEC(struct counts_entry) entries;
    uint64_t samples, weight;

    /* The whole event, whatever the filter: what percentages and coverage are measured against. */
    uint64_t event_samples, event_weight;
    uint64_t *thread_samples, *thread_weight; /* by thread id */
};

/* 0 or -ENOMEM. */
int counts_collect(const struct recording *r, const struct filter *filter, const struct groups *groups, struct counts *ret);
void counts_free(struct counts *c);
