/* SPDX-License-Identifier: MIT */
/*
 * What programs annotated with cprof.h get from the recorder: each process a memory of its own (scope/scope.h), when it comes for it. The
 * drain then hands the memories to the pipeline.
 *
 *     process --hello--> rendezvous's thread: makes the memory, notes the arrival, sends it --scope_service_take--> pipeline
 *
 * The first process is held up until the drain is ready for it (scope_service_ready), so that nothing of what its scopes wait for is
 * missed.
 *
 * Also how their ticks become time. The cycle counter is used where a few dozen pairs of it and the clock lie on a line; else the clock
 * itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "pipeline/pipeline.h"
#include "recording/recording.h"
#include "sampler/rendezvous.h"

struct scope_arrival {
    uint32_t pid;
    int fd;
    uint64_t time;
};

struct scope_pair {
    uint64_t ticks, ns;
};

struct scope_service {
    struct rendezvous rendezvous;
    char variable[RENDEZVOUS_VARIABLE_MAX]; /* for the target's environment; "": the service is not open */
    uint64_t period;                        /* ns of CPU time between samples; 0: none are taken */
    bool has_cycles;                        /* ticks are cycles, not ns */
    int wake;                               /* an eventfd for the drain: somebody waits until it is ready */
    struct scope_pair first, last;          /* of the clock's line; `last` is the drain's */
    double worst_residual;                  /* ns, of the pairs against the line */
    bool has_seen;                          /* a process came */

    pthread_mutex_t mutex; /* guards the rest */
    VEC(struct scope_arrival) arrivals;
    pthread_cond_t becomes_ready;
    bool is_ready, is_too_late; /* too late: a process was let go on before */
    uint32_t refused;           /* processes that found no room */
    uint32_t other_versions;    /* processes whose library speaks another version */
};

/* Call with all signals blocked, before the target starts. 0 or -errno. */
int scope_service_open(struct scope_service *service, uint64_t period);
void scope_service_close(struct scope_service *service);

/* On the drain's thread, before a round: gives the pipeline what has arrived. Returns how many. */
size_t scope_service_take(struct scope_service *service, struct pipeline *pipeline);

/* The drain sees whatever happens to annotated processes, or never will: they may go on. False: one has not waited so long. */
bool scope_service_ready(struct scope_service *service);

/* At least once a second while there are scopes: takes a pair of clocks for the recording and makes the pipeline's line longer. */
void scope_service_tick(struct scope_service *service, struct pipeline *pipeline, struct recording_writer *writer);

/* What a reader has to know to make sense of figures; once there are some, so that it is in the file of a recorder that is killed.
 * `off_cpu`: "yes", or "no: REASON". */
void scope_service_set_facts(const struct scope_service *service, struct recording_writer *writer, const char *off_cpu);

/* What came of it, at the end. */
void scope_service_set_last_facts(struct scope_service *service, struct recording_writer *writer);

/* Processes that were turned away because their library speaks another version. */
uint32_t scope_service_other_versions(struct scope_service *service);
