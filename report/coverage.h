/* SPDX-License-Identifier: MIT */
/* Sampled CPU time against the exact CPU time of the kernel's own accounts: what the samples saw, and what was too short for them. */
#pragma once

#include "report/counts.h"

/* Threads of one name that ran and were never sampled. */
struct coverage_short {
    const char *comm;
    uint64_t tasks, cpu; /* ns */
};

struct coverage {
    /* Of the threads whose exact CPU time is known: */
    uint64_t threads, samples, sampled, exact; /* sampled, exact: ns */
    VEC(struct coverage_short) shorts;         /* only of tasks that pass the filter; by CPU time, greatest first */
};

/* 0 or -ENOMEM. `sampled` is the event's weight and means something only for events in ns. */
int coverage_measure(const struct recording *r, const struct counts *counts, const struct filter *filter, struct coverage *ret);
void coverage_free(struct coverage *c);
