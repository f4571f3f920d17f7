/* SPDX-License-Identifier: MIT */
/* A perf ring as a raw_source: decodes each record where it lies when it is peeked at. Owned and called by the drain thread. */
#pragma once

#include "pipeline/raw.h"
#include "sampler/exact-cpu.h"
#include "sampler/perf-record.h"
#include "sampler/perf-ring.h"

struct perf_source {
    struct raw_source base;
    struct perf_ring ring;
    struct perf_layout layout;
    struct exact_cpu *exact; /* hears of forks, exits, exact times and losses; may be NULL */
    bool has_event;          /* `event` has been peeked at and not taken */
    struct raw_event event;
    uint64_t event_start; /* its position in the ring */
    uint64_t last_time;   /* of the last record: what has no time of its own gets this */
    uint64_t lost;        /* as counted by the ring's own records */
};

/* Over a ring that is mapped already (it becomes the source's). */
void perf_source_init(struct perf_source *source, const struct perf_layout *layout, struct exact_cpu *exact);

/* Records wait that refresh has seen. */
bool perf_source_has_more(struct perf_source *source);
