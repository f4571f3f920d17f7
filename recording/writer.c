/* SPDX-License-Identifier: MIT */
/*
 * The writing half of the door. An add encodes its row at the end of an open table; a batch takes all open tables at once (see output.h for
 * why together). Only samples go as rows: the output thread encodes them.
 *
 * Memory is bounded: open tables by BATCH_TABLE_SIZE and the longest row, the queue by QUEUE_SAMPLES_MAX (past it samples are dropped) and
 * QUEUE_MAX (past it the recording is given up), the string pool by STRINGS_MAX (past it names may be written twice).
 */
#include "recording/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/strings.h"
#include "recording/format.h"
#include "recording/output.h"

enum {
    QUEUE_SAMPLES_MAX = 64 << 20,
    QUEUE_MAX = 256 << 20,
    STRINGS_MAX = 32 << 20,
};
static const uint64_t BATCH_AGE = 1000000000; /* ns */

static const uint32_t table_types[TABLE_COUNT] = {
    [TABLE_STRINGS] = CHUNK_STRINGS,         [TABLE_FACTS] = CHUNK_FACTS,
    [TABLE_CLOCKS] = CHUNK_CLOCKS,           [TABLE_EVENTS] = CHUNK_EVENTS,
    [TABLE_MODULES] = CHUNK_MODULES,         [TABLE_MODULE_UPDATES] = CHUNK_MODULE_UPDATE,
    [TABLE_PROCESSES] = CHUNK_PROCESSES,     [TABLE_MAPPINGS] = CHUNK_MAPPINGS,
    [TABLE_THREADS] = CHUNK_THREADS,         [TABLE_TASKS] = CHUNK_TASKS,
    [TABLE_THREAD_ENDS] = CHUNK_THREAD_ENDS, [TABLE_SITES] = CHUNK_SITES,
    [TABLE_FRAMES] = CHUNK_FRAMES,           [TABLE_NODES] = CHUNK_NODES,
    [TABLE_SYMBOLS] = CHUNK_SYMBOLS,         [TABLE_SCOPES] = CHUNK_SCOPES,
    [TABLE_SCOPE_NODES] = CHUNK_SCOPE_NODES, [TABLE_SCOPE_PATHS] = CHUNK_SCOPE_PATHS,
    [TABLE_INSTANCES] = CHUNK_INSTANCES,     [TABLE_COUNTERS] = CHUNK_COUNTERS,
};

void writer_fail(struct recording_writer *w, int error) {
    (void)output_error(&w->output, error);
}

/* ---- batches --------------------------------------------------------------------------------------------------------------------- */

/* What the writer itself had to leave out. */
static void writer_count_losses(struct recording_writer *w) {
    if (w->samples_dropped)
        recording_set_counter(w, "writer queue full", w->samples_dropped);
    if (w->strings_cut)
        recording_set_counter(w, "string cut", w->strings_cut);
    if (w->chains_cut)
        recording_set_counter(w, "inline chain cut", w->chains_cut);
}

static void writer_put_counters(struct recording_writer *w) {
    writer_count_losses(w);
    for (size_t i = 0; i < w->counters.count; i++) {
        struct counter *c = &w->counters.items[i];
        if (c->is_written)
            continue;
        c->is_written = true;
        buffer_put_uleb(&w->tables[TABLE_COUNTERS], writer_string(w, c->name));
        buffer_put_uleb(&w->tables[TABLE_COUNTERS], c->value);
    }
}

static void writer_join_columns(struct buffer *table, struct buffer *columns, size_t count) {
    if (!columns[0].length)
        return;
    for (size_t i = 0; i < count; i++)
        buffer_put_uleb(table, columns[i].length);
    for (size_t i = 0; i < count; i++) {
        buffer_put(table, columns[i].data, columns[i].length);
        table->failed |= columns[i].failed;
        buffer_clear(&columns[i]);
    }
}

void writer_close_batch(struct recording_writer *w) {
    w->last_batch = clock_now();
    size_t queued = output_queued(&w->output);
    if (queued > QUEUE_MAX)
        writer_fail(w, -ENOBUFS);
    if (queued > QUEUE_SAMPLES_MAX) {
        w->samples_dropped += w->samples.rows.count;
        sample_rows_clear(&w->samples);
    }
    if (output_error(&w->output, 0)) { /* nothing is written any more: do not hold it either */
        sample_rows_clear(&w->samples);
        for (size_t i = 0; i < TABLE_COUNT; i++)
            buffer_clear(&w->tables[i]);
    }

    writer_put_counters(w);
    struct batch *b = calloc(1, sizeof *b);
    if (!b) {
        writer_fail(w, -ENOMEM);
        return;
    }
    writer_join_columns(&w->tables[TABLE_FRAMES], w->frame_columns, FRAME_COLUMNS);
    writer_join_columns(&w->tables[TABLE_NODES], w->node_columns, NODE_COLUMNS);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        struct buffer *table = &w->tables[i];
        b->chunks.failed |= table->failed;
        if (table->length)
            batch_add_chunk(b, table_types[i], table->data, table->length);
        buffer_clear(table);
    }
    w->samples_written += w->samples.rows.count;
    b->samples = w->samples;
    w->samples = (struct sample_rows){0};
    if (b->chunks.failed)
        writer_fail(w, -ENOMEM);
    if (b->chunks.length || b->samples.rows.count)
        output_put(&w->output, b);
    else
        batch_free(b);
}

void writer_put_mark(struct recording_writer *w, uint32_t type, const struct buffer *payload) {
    writer_close_batch(w);
    struct batch *b = calloc(1, sizeof *b);
    if (!b) {
        writer_fail(w, -ENOMEM);
        return;
    }
    batch_add_chunk(b, type, payload->data, payload->length);
    if (b->chunks.failed)
        writer_fail(w, -ENOMEM);
    output_put(&w->output, b);
}

/* ---- strings --------------------------------------------------------------------------------------------------------------------- */

/* Strings name nothing, so they may go ahead of their batch: one row may bring many, and long ones. */
static void writer_close_strings(struct recording_writer *w) {
    struct buffer *table = &w->tables[TABLE_STRINGS];
    if (!table->length)
        return;
    struct batch *b = calloc(1, sizeof *b);
    if (b)
        batch_add_chunk(b, CHUNK_STRINGS, table->data, table->length);
    if (!b || b->chunks.failed)
        writer_fail(w, -ENOMEM);
    if (b)
        output_put(&w->output, b);
    buffer_clear(table);
}

uint32_t writer_string(struct recording_writer *w, const char *string) {
    size_t length = strnlen(string, STRING_LENGTH_MAX);
    w->strings_cut += string[length] != 0;
    if (unlikely(w->strings_size > STRINGS_MAX)) {
        writer_close_strings(w); /* no chunk has a string twice */
        w->strings_base += (uint32_t)w->strings.entries.count;
        w->strings_size = 0;
        strings_free(&w->strings);
    }
    size_t known = w->strings.entries.count;
    uint32_t id = 0;
    if (strings_intern(&w->strings, string, length, &id) < 0 || id >= RECORDING_NONE - 1 - w->strings_base) {
        writer_fail(w, -ENOMEM);
        return 0;
    }
    if (id == known) {
        struct buffer *table = &w->tables[TABLE_STRINGS];
        buffer_put(table, string, length);
        buffer_put_u8(table, 0);
        w->strings_size += length + 1 + sizeof(struct strings_entry);
        if (table->length >= BATCH_TABLE_SIZE)
            writer_close_strings(w);
    }
    return w->strings_base + id;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------ */

int recording_create(const char *path, struct recording_writer **ret) {
    struct recording_writer *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    int r = output_open(&w->output, path);
    if (r < 0) {
        free(w);
        return r;
    }
    w->last_batch = clock_now();
    *ret = w;
    return 0;
}

int recording_tick(struct recording_writer *w) {
    if (clock_now() - w->last_batch >= BATCH_AGE)
        writer_close_batch(w);
    return output_error(&w->output, 0);
}

int recording_flush(struct recording_writer *w) {
    writer_close_batch(w);
    return output_drain(&w->output);
}

static void writer_free(struct recording_writer *w) {
    for (size_t i = 0; i < TABLE_COUNT; i++)
        buffer_free(&w->tables[i]);
    for (size_t i = 0; i < FRAME_COLUMNS; i++)
        buffer_free(&w->frame_columns[i]);
    for (size_t i = 0; i < NODE_COLUMNS; i++)
        buffer_free(&w->node_columns[i]);
    for (size_t i = 0; i < w->counters.count; i++)
        free(w->counters.items[i].name);
    vec_free(&w->counters);
    vec_free(&w->events);
    vec_free(&w->last_address);
    sample_rows_free(&w->samples);
    strings_free(&w->strings);
    free(w);
}

int recording_close(struct recording_writer *w, uint64_t *ret_size) {
    writer_close_batch(w);
    struct buffer payload = {0};
    buffer_put_uleb(&payload, w->samples_written);
    if (payload.failed)
        writer_fail(w, -ENOMEM);
    else
        writer_put_mark(w, CHUNK_END, &payload);
    buffer_free(&payload);
    int r = output_close(&w->output, ret_size);
    writer_free(w);
    return r;
}
