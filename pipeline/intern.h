/* SPDX-License-Identifier: MIT */
/*
 * The intern tables: each distinct frame, and each distinct (parent node, frame), has one dense id.
 *
 *     nodes   0 .. STACK_END_COUNT-1: the roots, one for each way a stack can end; then those added, each behind its parent
 *     table   open addressing over the ids: 0 = empty, else id + 1; at most half full
 *
 * A row is 8 bytes (node) or 16 (frame), and 8 to 16 of table. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "recording/recording.h"

struct intern_table {
    uint32_t *slots;
    size_t capacity; /* a power of two, or 0 */
};

/* recording_frame in 16 bytes. */
struct intern_frame {
    uint64_t address;
    uint32_t module;
    uint8_t kind, class, flags, zero;
};

struct intern_node {
    uint32_t parent, frame;
};

struct intern {
    VEC(struct intern_frame) frames;
    VEC(struct intern_node) nodes;
    struct intern_table frame_table, node_table;
};

/* Puts the roots in. Also makes a used one empty again, keeping its memory. */
int intern_reset(struct intern *in);
void intern_free(struct intern *in);

/* 0 or -ENOMEM; *ret_new: it was not there. */
int intern_frame(struct intern *in, const struct intern_frame *frame, uint32_t *ret_id, bool *ret_new);
int intern_node(struct intern *in, uint32_t parent, uint32_t frame, uint32_t *ret_id, bool *ret_new);
