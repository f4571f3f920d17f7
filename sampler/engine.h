/* SPDX-License-Identifier: MIT */
/*
 * What records: the seam between the program (launch, signals, drain loop, summary) and a way of sampling: perf rings, or signals inside
 * the target.
 *
 *     open -> sources to the pipeline -> [target runs: watch, is_urgent] -> stop -> last round -> settle -> last round -> close
 *
 * All calls come from the drain thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pipeline/raw.h"
#include "recording/recording.h"

enum {
    ENGINE_EVENT = 0, /* the event's id in the recording */
    ENGINE_PROBLEM_MAX = 400,
    ENGINE_STACK_MAX = 65528, /* a record's length has 16 bits */
    ENGINE_COUNTS_MAX = 5,
};

/* What calls the signal engine's handler. */
enum signal_clock_choice {
    SIGNAL_CLOCK_AUTO,      /* monotonic, unless those timers are no better than the tick */
    SIGNAL_CLOCK_MONOTONIC, /* a one-shot CLOCK_MONOTONIC timer of each thread */
    SIGNAL_CLOCK_CPU        /* a timer on each thread's CPU clock */
};

struct engine_request {
    pid_t pid;           /* stopped before its exec; sampling starts with it */
    const char *program; /* that it is to execute */
    const char *event;
    unsigned hz;         /* 0: nothing is sampled */
    uint32_t stack_size; /* multiple of 8; 0: as much as suits the rings */
    enum signal_clock_choice signal_clock;
    bool inherit;
};

/* Known once the engine is open. Strings live as long as the engine. */
struct engine_facts {
    const char *name;
    struct recording_event event;
    bool has_kernel;                /* samples show kernel code */
    bool weighs_kernel;             /* time in the kernel is in the samples' weights, if only at the user's frame that called it */
    const char *const *environment; /* "NAME=VALUE" to be put into the target's, NULL at the end; or NULL */
    const char *remark;             /* one line for people: what cannot be seen and what mends it; NULL: nothing */
    size_t ring_size;
    uint32_t stack_size;
    unsigned cpus;
    unsigned skipped_cpus; /* offline */
};

struct engine_count {
    const char *name; /* as in the recording's counters */
    uint64_t value;
};

/* Known once it has settled. Strings live as long as the engine. */
struct engine_totals {
    bool has_exact_cpu;                            /* false: the kernel's account of the command's processes must do */
    const char *remark;                            /* for people, a line each: what turned out not to be seen; NULL: nothing */
    const char *blocking;                          /* threads that kept the signal from them, by name; NULL: none, or there is no signal */
    struct engine_count counts[ENGINE_COUNTS_MAX]; /* of what it could not do as it should; name NULL: no more */
    uint64_t exact_cpu;                            /* ns on a CPU of all threads recorded, living ones too, kernel mode included */
    uint64_t told_cpu;                             /* of that, ns whose thread is known */
    uint64_t threads_told;                         /* threads whose time is exact */
    uint64_t threads_living;                       /* at the end */
};

struct engine;

struct engine_ops {
    size_t (*sources)(struct engine *engine, struct raw_source ***ret); /* the array is the engine's */
    void (*describe)(const struct engine *engine, struct engine_facts *ret);
    int (*watch)(struct engine *engine, int epoll);                   /* adds what wakes the drain; edge-triggered */
    bool (*is_urgent)(struct engine *engine);                         /* something waits that should not wait for the next wake-up */
    void (*stop)(struct engine *engine);                              /* no events after this */
    void (*settle)(struct engine *engine, struct engine_totals *ret); /* closes the accounts; may make last events */
    /* From now on tells when threads leave a CPU and come back, by these sources, for which the caller has room for `most`. NULL: this way
     * of sampling cannot. 0 or -errno. */
    int (*watch_switches)(struct engine *engine, struct raw_source *ret_sources[], size_t most, size_t *ret_count);
    void (*close)(struct engine *engine);
};

struct engine {
    const struct engine_ops *ops;
};

/* On failure `ret_problem` has one line, without a newline: what is missing, and the command that mends it. */
int perf_engine_open(const struct engine_request *request, struct engine **ret, char ret_problem[ENGINE_PROBLEM_MAX]);
int signal_engine_open(const struct engine_request *request, struct engine **ret, char ret_problem[ENGINE_PROBLEM_MAX]);
