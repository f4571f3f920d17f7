/* SPDX-License-Identifier: MIT */
/* What cprof can sample with perf_event_open, by name, and how it asks the kernel for it. */
#pragma once

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/perf-record.h"

struct perf_event_kind {
    const char *name;
    uint32_t type;
    uint64_t config;
    const char *unit;  /* of its period: "ns", "events" */
    const char *clock; /* what its period runs on, for people */
    bool is_untested;  /* needs a PMU, which no machine the authors have offers */
    bool is_in_kernel; /* happens in kernel mode only: nothing to see without leave to sample the kernel */
};

/* NULL if there is none of that name. */
const struct perf_event_kind *perf_event_find(const char *name);
/* The i-th, for lists; NULL past the end. */
const struct perf_event_kind *perf_event_at(size_t i);

/* ns between two samples of an event that is time; 0: there are none. */
static inline uint64_t perf_event_period(unsigned hz) {
    return hz ? 1000000000u / hz : 0;
}

/* True for events that count nanoseconds: their period is fixed, and a sample's weight is CPU time. The others' periods are adapted by the
 * kernel to reach the rate. */
bool perf_event_is_time(const struct perf_event_kind *kind);

/* Features that older kernels lack, tried with and without. */
struct perf_features {
    bool kernel;      /* samples in kernel mode, and its chains (needs leave) */
    bool build_id;    /* mmap2 records carry build-ids (5.12) */
    bool format_lost; /* the count of lost samples can be read (6.0) */
};

struct perf_request {
    const struct perf_event_kind *kind;
    unsigned hz;
    uint32_t stack_size; /* multiple of 8, < 65536 */
    bool inherit;        /* children too, not only threads */
};

/* The attributes of the event behind a ring. `ring_size` sets how full it gets before the recorder is woken. */
void perf_event_attributes(const struct perf_request *request, const struct perf_features *features, enum perf_role role,
                           uint32_t ring_size, struct perf_event_attr *ret);

/* perf_event_open(2) with PERF_FLAG_FD_CLOEXEC: a descriptor or -errno. `group`: the descriptor of the group's leader, or -1. */
int perf_event_open(struct perf_event_attr *attr, int pid, int cpu, int group);
