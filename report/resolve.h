/* SPDX-License-Identifier: MIT */
/*
 * Frames -> locations: from the recording's own symbols or, for what it does not hold, from the files of this machine (report/disk.h). One
 * thread.
 */
#pragma once

#include "recording/recording.h"
#include "report/disk.h"

struct resolver;

/* `inlines`: inline chains and lines will be asked for. */
int resolver_new(const struct recording *r, bool inlines, struct resolver **ret);
void resolver_free(struct resolver *resolver);

/* The locations of a frame, innermost first; 0: unknown. Valid until the next call. */
uint32_t resolver_find(struct resolver *resolver, const struct recording_frame *frame, const struct recording_location **ret);

/* Frames asked for that the recording has no row of, and how many of them this machine's files named. */
struct resolver_counts {
    uint64_t missing, found;
};
struct resolver_counts resolver_counts(const struct resolver *resolver);

/* What came of looking for a module's file; DISK_UNTRIED: nobody had to. */
enum disk_state resolver_module_state(const struct resolver *resolver, uint32_t module);
