/* SPDX-License-Identifier: MIT */
#include "pipeline/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/map.h"

static_assert(sizeof(struct intern_frame) == 16, "compared and hashed as two words");
static_assert(sizeof(struct intern_node) == 8, "hashed as one word");

static uint64_t frame_hash(const struct intern_frame *frame) {
    uint64_t words[2];
    memcpy(words, frame, sizeof words);
    return map_hash(map_hash(words[0]) ^ words[1]);
}

static uint64_t node_hash(const struct intern_node *node) {
    return map_hash(((uint64_t)node->parent << 32) | node->frame);
}

static uint64_t hash_of(const void *items, size_t size, size_t i) {
    const uint8_t *at = (const uint8_t *)items + i * size;
    return size == sizeof(struct intern_frame) ? frame_hash((const void *)at) : node_hash((const void *)at);
}

/* The slot of the row equal to `row`, or the empty one where its id belongs. */
static inline uint32_t *table_slot(const struct intern_table *table, const void *items, size_t size, const void *row, uint64_t hash) {
    for (size_t i = hash & (table->capacity - 1);; i = (i + 1) & (table->capacity - 1)) {
        uint32_t *slot = &table->slots[i];
        if (!*slot || !memcmp((const uint8_t *)items + (*slot - 1) * size, row, size))
            return slot;
    }
}

/* Room for one row more. */
static int table_reserve(struct intern_table *table, const void *items, size_t size, size_t first, size_t count) {
    if (count + 1 <= table->capacity / 2)
        return 0;
    size_t capacity = table->capacity ? table->capacity * 2 : 1024;
    uint32_t *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = first; i < count; i++) {
        size_t at = hash_of(items, size, i) & (capacity - 1);
        while (slots[at])
            at = (at + 1) & (capacity - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(table->slots);
    *table = (struct intern_table){slots, capacity};
    return 0;
}

static void table_clear(struct intern_table *table) {
    if (table->capacity)
        memset(table->slots, 0, table->capacity * sizeof *table->slots);
}

int intern_reset(struct intern *in) {
    vec_clear(&in->frames);
    vec_clear(&in->nodes);
    table_clear(&in->frame_table);
    table_clear(&in->node_table);
    while (in->nodes.count < STACK_END_COUNT) {
        struct intern_node *root = vec_push(&in->nodes);
        if (!root)
            return -ENOMEM;
        *root = (struct intern_node){RECORDING_NONE, RECORDING_NONE};
    }
    return 0;
}

void intern_free(struct intern *in) {
    vec_free(&in->frames);
    vec_free(&in->nodes);
    free(in->frame_table.slots);
    free(in->node_table.slots);
    *in = (struct intern){0};
}

int intern_frame(struct intern *in, const struct intern_frame *frame, uint32_t *ret_id, bool *ret_new) {
    if (table_reserve(&in->frame_table, in->frames.items, sizeof *frame, 0, in->frames.count) < 0)
        return -ENOMEM;
    uint32_t *slot = table_slot(&in->frame_table, in->frames.items, sizeof *frame, frame, frame_hash(frame));
    *ret_new = !*slot;
    if (!*slot) {
        struct intern_frame *row = vec_push(&in->frames);
        if (!row)
            return -ENOMEM;
        *row = *frame;
        *slot = (uint32_t)in->frames.count;
    }
    *ret_id = *slot - 1;
    return 0;
}

int intern_node(struct intern *in, uint32_t parent, uint32_t frame, uint32_t *ret_id, bool *ret_new) {
    struct intern_node node = {parent, frame};
    if (table_reserve(&in->node_table, in->nodes.items, sizeof node, STACK_END_COUNT, in->nodes.count) < 0)
        return -ENOMEM;
    uint32_t *slot = table_slot(&in->node_table, in->nodes.items, sizeof node, &node, node_hash(&node));
    *ret_new = !*slot;
    if (!*slot) {
        struct intern_node *row = vec_push(&in->nodes);
        if (!row)
            return -ENOMEM;
        *row = node;
        *slot = (uint32_t)in->nodes.count;
    }
    *ret_id = *slot - 1;
    return 0;
}
