/* SPDX-License-Identifier: MIT */
/*
 * The rings of the agents as one stream of raw events, in order of time.
 *
 * The memory belongs to the profiled programs as much as to us, and any of them may have scribbled on it: each record is copied, and the
 * copy is judged; a position that makes no sense costs the records before it, counted.
 */
#pragma once

#include "agent/agent.h"
#include "base/map.h"
#include "base/vec.h"
#include "pipeline/raw.h"
#include "sampler/blocking-threads.h"
#include "sampler/signal-figures.h"

struct signal_ring {
    struct agent_ring *shared;
    uint64_t owner;                       /* as last seen */
    uint64_t at;                          /* the next record */
    uint64_t head;                        /* as of the last refresh */
    uint64_t time;                        /* of the record at `at`; valid if has_record */
    uint64_t lost_samples, lost_sideband; /* told */
    uint64_t refreshed;                   /* when they were */
    uint32_t tid;                         /* of the last record; 0: it has ended and said so */
    bool has_record;
    bool is_abandoned; /* its thread is gone without a word: killed, or replaced by exec */
};

enum { SIGNAL_EVENTS_MAX = 3 }; /* that one record makes */

struct signal_source {
    struct raw_source base;
    void *memory;
    uint16_t event;
    uint64_t start, now; /* of the recording, of the last refresh: no record is of another time */
    uint64_t reaped;     /* when the processes were last looked at */
    uint64_t period;     /* as the recorder set it, before anybody could scribble on it; 0: not known */
    uint32_t asked;      /* of the rings, whose thread was asked last whether it blocks the signal */
    struct blocking_threads blocking;
    struct signal_figures figures;
    struct signal_ring *rings;
    uint32_t used;                 /* rings looked at */
    uint32_t *heap, heap_count;    /* those that have a record, by its time */
    uint8_t *copy;                 /* the record at work, AGENT_RECORD_MAX */
    VEC(struct raw_event) pending; /* events made and not taken yet; strings in them are in `copy` */
    size_t pending_taken;
    struct map processes; /* pids heard of */
    uint32_t command;
    bool is_command_seen;
    uint64_t cpu_told, threads_told, threads_born;
};

/* `memory` is AGENT_MEMORY_BYTES, zeroed but for what the recorder has put into its header; `command` is the pid
 * of the first program; `signal` is what the agent samples by. -ENOMEM. */
int signal_source_init(struct signal_source *source, void *memory, uint16_t event, uint32_t command, int signal);
void signal_source_free(struct signal_source *source);

/* Whether a ring is so full that the drain should not sleep. */
bool signal_source_is_urgent(const struct signal_source *source);
