/* SPDX-License-Identifier: MIT */
/*
 * The door of pipeline/: raw events in, recording out.
 *
 *     sources --merge by time--> process state --> unwind --> intern --> recording_writer
 *                                     |               ^
 *                                     +--> loader ----+        opens files, compiles tables, reads maps; a thread of its own
 *
 * The caller's thread is the drain: it calls pipeline_round again and again, which never opens a file and never waits. A sample whose
 * module is still being loaded is copied to a bounded backlog and walked when the module is ready; when the backlog is full the oldest goes
 * unwound, counted.
 *
 * Order: a round looks at every source's head, then applies the events older than the start of the round before, so that whatever happened
 * earlier on another CPU has arrived (perf stamps a record before it is visible).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "pipeline/raw.h"
#include "recording/recording.h"

struct pipeline_options {
    bool is_live;         /* the processes exist on this machine now: /proc and their memory may be read */
    bool waits;           /* for modules, instead of putting samples to the backlog: the source is a file, and has time */
    bool has_kernel;      /* kernel frames may come, and this machine knows the names of that kernel */
    const char *root;     /* put before module paths when not live ("--symfs"); "" otherwise */
    size_t backlog_bytes; /* 0: 32 MiB */
    size_t intern_nodes;  /* cap of the stack tree before a new epoch; 0: 4 Mi */
    unsigned patience_ms; /* with files that do not answer; 0: 5,000 */
    bool inlines;         /* resolve inline chains and lines at the end */
};

/* Everything that was lost, bent or guessed, and what it is measured against. Also written to the file's counters, under the names in
 * pipeline/counts.c. */
struct pipeline_counts {
    uint64_t samples;      /* written */
    uint64_t weight;       /* sum of their first weights */
    uint64_t lost_samples; /* the ring was full */
    uint64_t lost_sideband;
    uint64_t throttled;
    uint64_t malformed;
    uint64_t not_loaded; /* walked without tables: the backlog was full */
    uint64_t elided_frames;
    uint64_t continued_stacks;
    uint64_t mid_signal_stacks;      /* sampled while the kernel exchanged the registers for a signal's, and put right */
    uint64_t frames, unknown_frames; /* user frames; of them in no mapping or unopened module */
    uint64_t frames_by_class[FRAME_CLASS_COUNT];
    uint64_t stacks_by_end[STACK_END_COUNT]; /* user stacks */
    uint64_t complete_proved;                /* complete, and no frame guessed, inferred or continued */
    uint64_t reread_processes;
    uint64_t modules, modules_not_opened;
    uint64_t given_up;      /* modules and JIT maps in which the loader hung */
    uint64_t mangled_names; /* of modules: they had no readable form, or one too long */
    uint64_t processes, threads;
    uint64_t epochs;
    uint64_t exact_cpu;       /* ns, of ended threads */
    uint64_t mixed_libraries; /* processes with a copy of libcprof that cannot work with the one that was there */
    /* Of annotated programs, at the end: places in the source; instances and spans that were not told one by one; context switches that
     * were not told; begins that found no room. */
    uint64_t scope_places, scope_events_lost, switches_lost, scopes_refused;
};

struct pipeline;

/* The writer stays the caller's, who closes it after pipeline_free. Starts the loader thread. */
int pipeline_new(const struct pipeline_options *options, struct recording_writer *writer, struct pipeline **ret);

/* False: a thread of the loader hangs in a file that does not answer, so nothing was freed; the program ends by _exit when it has nothing
 * else to do. May be tried again. */
bool pipeline_free(struct pipeline *p);

/* Sources stay the caller's and must outlive the pipeline. */
int pipeline_add_source(struct pipeline *p, struct raw_source *source);

/* Applies every event older than `until` (UINT64_MAX: all there are), retries parked samples, lets the writer close chunks. Returns the
 * disk's error, if any. */
int pipeline_round(struct pipeline *p, uint64_t until);

/*
 * The scopes of a process (scope/scope.h): a memfd of SCOPE_MEMORY_BYTES that the process writes and nobody can shrink, and since when it
 * has it. Takes over the descriptor, on failure too. Its contents are taken for hostile. 0 or -errno.
 */
int pipeline_add_scopes(struct pipeline *p, uint32_t pid, int fd, uint64_t time);

/* How ticks become time: ns = origin_ns + (ticks - origin_ticks) * ns_per_tick. To be set before the first scopes are added, and again when
 * it is known better. `inverse_period` as in struct scope_shared. */
struct pipeline_scope_clock {
    uint64_t origin_ticks, origin_ns;
    double ns_per_tick;
    uint64_t inverse_period;
};
void pipeline_set_scope_clock(struct pipeline *p, const struct pipeline_scope_clock *clock);

/* How many bytes of samples wait for their modules. */
size_t pipeline_backlog(const struct pipeline *p);

/* After the last round: waits for the loader, walks what is parked, ends the threads that still run, writes the counters. */
int pipeline_drain(struct pipeline *p);

/*
 * Looks up every touched address and writes the symbols. `progress` (may be NULL) is called now and then with done and total addresses;
 * when it returns false the rest is left unresolved, which is a valid recording: -ECANCELED.
 */
int pipeline_symbolise(struct pipeline *p, bool (*progress)(void *context, size_t done, size_t total), void *context);

const struct pipeline_counts *pipeline_counts(const struct pipeline *p);
