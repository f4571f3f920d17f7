/* SPDX-License-Identifier: MIT */
/* A writer from the inside: what rows.c fills and writer.c hands to the output thread. Private to the room. */
#pragma once

#include <errno.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/macros.h"
#include "base/strings.h"
#include "recording/output.h"
#include "recording/recording.h"

enum { BATCH_TABLE_SIZE = 64 * 1024, BATCH_SAMPLES = 8192 /* about as much when encoded */ };

/* In the order of a batch: no table names a row of one that stands below it. */
enum table {
    TABLE_STRINGS,
    TABLE_FACTS,
    TABLE_CLOCKS,
    TABLE_EVENTS,
    TABLE_MODULES,
    TABLE_MODULE_UPDATES,
    TABLE_PROCESSES,
    TABLE_MAPPINGS,
    TABLE_THREADS,
    TABLE_TASKS,
    TABLE_THREAD_ENDS,
    TABLE_SITES,
    TABLE_FRAMES,
    TABLE_NODES,
    TABLE_SYMBOLS,
    TABLE_SCOPES,
    TABLE_SCOPE_NODES,
    TABLE_SCOPE_PATHS,
    TABLE_INSTANCES,
    TABLE_COUNTERS,
    TABLE_COUNT
};

enum { FRAME_KINDS, FRAME_FLAGS, FRAME_MODULES, FRAME_ADDRESSES, FRAME_COLUMNS };
enum { NODE_PARENTS, NODE_FRAMES, NODE_COLUMNS };

struct counter {
    char *name;
    uint64_t value;
    bool is_written;
};

struct written_event {
    uint64_t period;
    uint8_t weights;
};

struct recording_writer {
    struct output output;
    uint64_t last_batch; /* when one was closed */

    struct buffer tables[TABLE_COUNT]; /* frames and nodes are put together from their columns when a batch is closed */
    struct buffer frame_columns[FRAME_COLUMNS];
    struct buffer node_columns[NODE_COLUMNS];
    struct sample_rows samples;

    struct strings strings;
    size_t strings_size;
    uint32_t strings_base; /* ids handed out before the pool was last emptied */

    VEC(struct written_event) events;
    VEC(struct counter) counters;
    VEC(uint64_t) last_address; /* of each module's frames; [0]: of frames without one */
    uint32_t modules, processes, threads, tasks, sites, scope_nodes;
    uint32_t frames, nodes; /* of the epoch; nodes without roots */
    uint32_t fresh_frame;   /* frames below it have been named by a node of the epoch */
    uint64_t samples_written, samples_dropped, strings_cut, chains_cut;
};

/* The error is kept, unless there is one; nothing is written after it. */
void writer_fail(struct recording_writer *w, int error);

/* Everything open becomes a batch of the queue. */
void writer_close_batch(struct recording_writer *w);

/* To be called with each table that grew. */
static inline void writer_grew(struct recording_writer *w, const struct buffer *table) {
    if (unlikely(table->length >= BATCH_TABLE_SIZE))
        writer_close_batch(w);
}

/* An id that names no row would make the file unreadable from there on: better to end it here, and say so. Gives back `is_valid`. */
static inline bool writer_check(struct recording_writer *w, bool is_valid) {
    if (unlikely(!is_valid))
        writer_fail(w, -EINVAL);
    return is_valid;
}

/* A chunk that stands between batches: an epoch's start, the end. Closes the batch first. */
void writer_put_mark(struct recording_writer *w, uint32_t type, const struct buffer *payload);

/* The file's id of a string, which goes into the file before the tables of the batch. A string longer than STRING_LENGTH_MAX is cut there
 * and counted. */
uint32_t writer_string(struct recording_writer *w, const char *string);
