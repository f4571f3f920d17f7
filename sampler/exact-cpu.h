/* SPDX-License-Identifier: MIT */
/*
 * Who has told its exact CPU time, and who has not.
 *
 * A task-clock event with inherit_stat writes PERF_RECORD_READ when a thread ends, one per CPU: together the thread's CPU time to the
 * nanosecond. But the kernel writes it for inherited events only: the one thread that holds the original events when it ends says nothing.
 * (At first that is the program's first thread; the scheduler swaps the events of two threads with equal ones instead of re-arming them,
 * so they wander.) What that one thread used is the rest:
 *
 *     rest = the events' total - sum of all READ records
 *
 * and it is known whose it is if every thread has ended and all but one of them have told theirs. Some kernels (6.16 to 6.18.y) lost the
 * records altogether; then the total is all there is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "pipeline/raw.h"

struct exact_cpu {
    struct map reads; /* pid << 32 | tid -> READ records seen; bit 63: one of them was not zero */
    struct map ended; /* pid << 32 | tid -> time of its exit. A thread leaves both maps when it has ended and told all */
    unsigned clocks;  /* READ records a thread writes: the number of CPUs recorded */
    uint64_t told;    /* sum of the READ records, ns */
    int64_t living;   /* threads: born or there at first, not ended */
    uint64_t threads; /* that told of any time */
    bool is_unsure;   /* records were lost, or memory ran out: nothing can be said of the rest */
};

/* For a program that has one thread now. */
void exact_cpu_init(struct exact_cpu *exact, unsigned clocks);
void exact_cpu_free(struct exact_cpu *exact);

/* Of each fork, exit and CPU time, in any order (each CPU has a ring of its own). */
void exact_cpu_hear(struct exact_cpu *exact, const struct raw_task *task, uint64_t time);

/* The thread to which the rest of `total` belongs: true, the event that says so, and the time of the thread's exit. */
bool exact_cpu_rest(const struct exact_cpu *exact, uint64_t total, struct raw_task *ret, uint64_t *ret_exit);
