/* SPDX-License-Identifier: MIT */
/*
 * Sources merged in order of time: a binary heap of those that have an event, by the time of it. At equal times the source added first goes
 * first. An event of a source that is older than the one before it (sources are only nearly in order) comes at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "pipeline/raw.h"

struct merge_head {
    uint64_t time;
    uint32_t source; /* index */
};

struct merge {
    VEC(struct raw_source *) sources;
    VEC(struct merge_head) heap; /* capacity for every source */
};

void merge_free(struct merge *m);
int merge_add(struct merge *m, struct raw_source *source);

/* Looks how far every source has come. To be called before merge_next of a round. */
void merge_begin(struct merge *m);

/* Takes the oldest event if it is older than `until` (UINT64_MAX: whatever its time). False: there is none. */
bool merge_next(struct merge *m, uint64_t until, struct raw_event *ret);

/* Gives the events' memory back. */
void merge_end(struct merge *m);
