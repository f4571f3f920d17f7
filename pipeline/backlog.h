/* SPDX-License-Identifier: MIT */
/*
 * Samples that wait for a module or for a process's maps: copied, in order of arrival, bounded in bytes.
 *
 * An entry holds references to the task, the space and the maps of its moment, so that it is walked later as it would have been then. Who
 * takes an entry out releases them. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/raw.h"
#include "process/process.h"

struct backlog_entry {
    struct backlog_entry *next;
    size_t size;
    uint64_t time;
    struct raw_sample sample; /* what it points to lies behind the entry */
    struct process_task *task;
    struct process_space *space;
    struct process_maps *maps;
    uint32_t row;    /* of the task, in the recording; RECORDING_NONE: as it will be then */
    uint32_t module; /* waited for; UINT32_MAX: the maps are */
};

struct backlog {
    struct backlog_entry *first, **last;
    size_t bytes;
};

/* A copy of the sample, with references taken, that is in no backlog yet. NULL when memory is out. */
struct backlog_entry *backlog_entry_new(uint64_t time, const struct raw_sample *sample, struct process_task *task,
                                        struct process_space *space, struct process_maps *maps);
void backlog_entry_free(struct process_table *table, struct backlog_entry *entry);

void backlog_append(struct backlog *b, struct backlog_entry *entry);

/* Takes the entry *link points to (b->first, or some entry's next) out. */
struct backlog_entry *backlog_take(struct backlog *b, struct backlog_entry **link);
