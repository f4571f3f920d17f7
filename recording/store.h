/* SPDX-License-Identifier: MIT */
/* What a recording that is being read consists of beyond its tables. Private to the room. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/strings.h"
#include "recording/recording.h"
#include "recording/samples.h"

/* A sample chunk that was decoded once and found good. */
struct store_chunk {
    uint64_t offset; /* of its head in the file */
    uint32_t size;   /* head and stored payload */
    uint32_t rows;
    uint32_t epoch_base, epoch_nodes; /* as in struct sample_limits, when it was met */
    uint32_t tasks;
    const uint8_t *payload; /* decompressed, or NULL: read it again when it is walked */
    uint32_t payload_length;
};

struct recording_store {
    int fd;
    uint32_t file_roots;
    uint32_t epoch_base, epoch_nodes, epoch_frame_base;
    uint32_t fresh_frame; /* see NODE in docs/FORMAT.md */
    uint64_t expanded;    /* bytes of tables, decompressed */
    uint64_t kept;        /* bytes of payloads in `chunks` */

    VEC(void *) blocks; /* string chunks and locations: freed together */
    uint8_t *block_at;
    size_t block_left;

    VEC(const char *) strings;
    VEC(uint8_t) arity;         /* of each event */
    VEC(uint64_t) last_address; /* of each module's frames; [0]: of frames without one */
    VEC(struct store_chunk) chunks;
    struct strings fact_keys; /* id = index in recording.facts */
    struct strings counter_names;

    char damage[160];
};

/* Memory that lives as long as the recording. NULL: out of memory. */
void *store_allocate(struct recording_store *s, size_t size);

/* Whether the type is a table's (or a mark's) of this version. */
bool tables_know(uint32_t type);

/* Adds the rows of one chunk of a known type to the recording's tables. 0, -ENOMEM, or -EBADMSG and what is wrong with it: rows before the
 * fault stay, each good in itself. */
int tables_read(struct recording *r, uint32_t type, struct bytes payload, const char **ret_fault);

struct sample_limits store_limits(const struct recording_store *s, const struct store_chunk *chunk);
