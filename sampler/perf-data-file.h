/* SPDX-License-Identifier: MIT */
/*
 * perf.data, as records: its header, its attributes, and then one record after another, decompressed, in file order.
 * Source: tools/perf/Documentation/perf.data-file-format.txt and tools/perf/util/header.c.
 *
 * Two shapes: a file ("PERFILE2", sections at offsets) and a pipe (a 16-byte header, everything else as records). Both may hold compressed
 * records (PERF_RECORD_COMPRESSED, COMPRESSED2): pieces of one zstd stream each ring, whose content is records again, which may straddle
 * the pieces.
 *
 * Ownership of a record: it lies in a block; perf_data_next hands out a reference, and whoever keeps the record longer than the next call
 * holds the block (perf_data_hold) and drops it later. So memory is bounded by what the order queue holds. Every byte is hostile. 0 or
 * -errno; -EBADMSG and *ret_problem say what is broken. One thread.
 */
#pragma once

#include <linux/perf_event.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"

/* What perf puts between kernel records (tools/lib/perf/include/perf/event.h). */
enum {
    PERF_DATA_HEADER_ATTR = 64,
    PERF_DATA_HEADER_BUILD_ID = 67,
    PERF_DATA_FINISHED_ROUND = 68,
    PERF_DATA_AUXTRACE = 71,
    PERF_DATA_HEADER_FEATURE = 80,
    PERF_DATA_COMPRESSED = 81,
    PERF_DATA_COMPRESSED2 = 83,
};

struct perf_data_attr {
    struct perf_event_attr attr;
    char name[64]; /* from the event description, or made from type and config */
};

struct perf_data_build_id {
    char *path;
    uint8_t length;
    uint8_t bytes[20];
};

struct perf_data_block; /* a piece of memory with records in it, counted */

struct perf_data_file {
    VEC(struct perf_data_attr) attrs;
    struct map attr_of_id; /* event id -> index into attrs */
    VEC(struct perf_data_build_id) build_ids;
    char *hostname, *release, *command; /* or NULL */
    bool is_truncated;                  /* the file ends before its header says; the records before that are good */
    const char *problem;
    struct perf_data_input *input;
};

/* The descriptor becomes the file's. A pipe is read as it comes. */
int perf_data_open(int fd, struct perf_data_file **ret, const char **ret_problem);
void perf_data_close(struct perf_data_file *file);

/* 1 and the next record with the block it lies in, 0 at the end, -errno. */
int perf_data_next(struct perf_data_file *file, const struct perf_event_header **ret_record, struct perf_data_block **ret_block);

struct perf_data_block *perf_data_hold(struct perf_data_block *block);
void perf_data_drop(struct perf_data_block *block);
