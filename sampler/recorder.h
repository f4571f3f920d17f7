/* SPDX-License-Identifier: MIT */
/*
 * One recording of one started command, from the fork to the last byte. Everything here is done by the main thread, which is the drain;
 * the pipeline and the writer have threads of their own.
 */
#pragma once

#include "pipeline/pipeline.h"
#include "recording/recording.h"
#include "sampler/engine.h"
#include "sampler/facts.h"
#include "sampler/launch.h"
#include "sampler/options.h"
#include "sampler/scope-service.h"
#include "sampler/signals.h"
#include "sampler/target.h"

struct recorder {
    const struct options *options;
    struct signals signals;
    struct launch launch;
    struct target target;
    struct engine *engine;
    struct engine_facts facts;
    struct engine_totals totals;
    struct recording_writer *writer;
    struct pipeline *pipeline;
    bool has_previous; /* the output file was there before */
    struct scope_service scopes;
    const char *off_cpu;           /* whether time off a CPU is known within scopes: "yes", or "no: REASON" */
    VEC(const char *) environment; /* what the target gets; NULL at the end */
    int epoll;
    int disk_error; /* the first; the recording ends there, the target goes on */
    uint64_t previous_round;
};

/* Records; the exit status of cprof-record. Dies by signal if the target did. Says on stderr what people need to know. */
int recorder_run(const struct options *options);
