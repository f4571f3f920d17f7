/* SPDX-License-Identifier: MIT */
/*
 * The perf engine: four events per CPU on the started process and all that comes of it, each with a ring of its own.
 *
 *     samples    the event asked for, with registers, stack and kernel chain    large ring, woken when a quarter or half is full
 *     sideband   a dummy: mappings, names, forks, exits                         small ring, woken at once
 *     clock      task-clock, counting, inherit_stat: exact CPU time at exit     small ring
 *
 *     switches   a dummy: when threads leave a CPU and come back                small ring, mapped and enabled if the program has scopes
 *
 * Why several: a sample overflow must not lose a mapping. And the clock's PERF_RECORD_READ are written by the CPU on which a thread ends
 * into the rings of all CPUs; the kernel's ring buffer allows one writing CPU only. READ records are serialised among themselves (by the
 * event's child_mutex), but together with mappings written on the ring's own CPU they tore the ring: on 2 CPUs with 6.18, 4 of 95 runs of
 * 50 to 120 short threads lost a tail of their records; with rings of their own, 0 of 85.
 *
 * Why a group: when the scheduler changes between two tasks with equal events it swaps their event lists, and for inherit_stat swaps the
 * counts back, pair by pair (perf_event_sync_stat). The lists must be in the same order for that: a parent's is that of opening, a child's
 * that of a tree sorted by CPU, PMU (by address) and age, and in it a group stays together. Without groups, counts of different events were
 * swapped: 5.06 s for a run of xz -T2 that used 6.97 s. Hence also: all of a CPU, then all of the next.
 */
#pragma once

#include "base/vec.h"
#include "sampler/cpu-list.h"
#include "sampler/engine.h"
#include "sampler/notes.h"
#include "sampler/perf-event.h"
#include "sampler/perf-source.h"

enum { PERF_ROLES = 4, PERF_ROLES_ALWAYS = PERF_ROLE_SWITCHES /* those before it */ };

struct perf_cpu {
    int cpu;
    int fds[PERF_ROLES];
    struct perf_source sources[PERF_ROLES];
};

struct perf_engine {
    struct engine base;
    struct perf_request request;
    struct perf_features features;
    cpu_list online;
    struct perf_cpu *cpus;
    unsigned cpu_count, skipped_cpus;
    size_t ring_size; /* of the samples */
    struct exact_cpu exact;
    struct notes notes;
    int epoll; /* the drain's */
    VEC(struct raw_source *) sources;
    char remark[ENGINE_PROBLEM_MAX];
};

struct perf_ring_sizes {
    size_t bytes[PERF_ROLES];
};

/* Finds out what this kernel and this user allow. -errno, and the line for people. */
int perf_open_features(struct perf_engine *engine, pid_t pid, char problem[ENGINE_PROBLEM_MAX]);

/* Opens the events on every CPU online and maps their rings, as large as the budget of locked memory allows. */
int perf_open_rings(struct perf_engine *engine, pid_t pid, char problem[ENGINE_PROBLEM_MAX]);
void perf_close_rings(struct perf_engine *engine);

/* Maps the rings of PERF_ROLE_SWITCHES, whose events are open but disabled. 0 or -errno, and none of them is mapped. */
int perf_map_switches(struct perf_engine *engine);
