/* SPDX-License-Identifier: MIT */
/*
 * What the header of a recording says about how it was made.
 *
 * At the start: "version", "command", "cwd", "pid", "user", "hostname", "kernel", "cpu model", "cpus", "cpus skipped", "engine",
 * "event", "hz asked", "stack bytes", "ring bytes", "kernel samples" (yes or no), "kernel.perf_event_paranoid", "inherit" (yes or no), and
 * "drain priority".
 *
 * At the end: "hz achieved", "stop reason", "exit status" ("7", or "signal 9"), and of CPU time, in ns:
 *   "cpu exact"    on a CPU, kernel mode included, of all threads recorded: the kernel's own count
 *   "cpu told"     of that, what is known thread by thread
 *   "cpu visible"  of that, what the event may see: all, or the part in user mode
 *   "cpu visible error"  if only that part: its standard deviation, for the ticks of the kernel's clock tell the modes apart
 *   "cpu sampled"  the sum of the samples' weights, if they are time
 *   "cpu user", "cpu system"  by getrusage, of the command and the descendants it waited for: split by the clock tick, hence not exact
 * "coverage" is sampled / visible. "threads told" have an exact time; "threads living" ran on at the end. "signal blocked" names the
 * threads that blocked the signal engine's signal, and for how much CPU time. The engine's counts of what it could not do become counters.
 */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include "recording/recording.h"
#include "sampler/engine.h"
#include "sampler/options.h"

void facts_set_start(struct recording_writer *w, const struct options *options, const struct engine_facts *engine, pid_t pid);

/* CPU time and what was seen of it; see above for the names. */
struct facts_coverage {
    uint64_t exact, told, visible, sampled; /* ns */
    uint64_t visible_error;                 /* ns: standard deviation of `visible`; 0: it is exact */
    double hz_achieved;                     /* samples a second of visible CPU time; 0: there was none */
    double coverage;                        /* sampled / visible; 0: there was none, or the event is not time */
};

struct facts_coverage facts_coverage(const struct engine_facts *engine, const struct engine_totals *totals, const struct rusage *usage,
                                     uint64_t samples, uint64_t weight);

/* `status` is that of wait(2). */
void facts_set_end(struct recording_writer *w, const struct engine_totals *totals, const struct facts_coverage *coverage,
                   const struct rusage *usage, int status, const char *stop_reason);
