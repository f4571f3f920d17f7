/* SPDX-License-Identifier: MIT */
/*
 * A string pool: each distinct byte string is stored once and has a dense id, 0, 1, 2, ... in order of first appearance.
 *
 * Strings may hold any byte; a NUL is added behind each, so that those without one inside are C strings.
 * A string's address never changes while the pool lives. A zeroed struct is an empty pool. One thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct strings_entry {
    const char *data;
    uint32_t length;
    uint32_t hash;
};

struct strings {
    VEC(struct strings_entry) entries;
    VEC(char *) blocks;
    char *block_at;
    size_t block_left;
    uint32_t *table; /* id + 1, 0 = empty */
    size_t table_capacity;
};

void strings_free(struct strings *s);

/* 0 and the id, or -ENOMEM. */
int strings_intern(struct strings *s, const char *data, size_t length, uint32_t *ret_id);

/* The same for who looks up many strings at once and would wait for memory at each: take all their hashes, then give each hint for all
 * of them in turn, then intern. Hints are only hints. */
uint32_t strings_hash(const char *data, size_t length);
int strings_intern_hashed(struct strings *s, const char *data, size_t length, uint32_t hash, uint32_t *ret_id);

static inline void strings_hint_slot(const struct strings *s, uint32_t hash) {
    if (s->table_capacity)
        __builtin_prefetch(&s->table[hash & (s->table_capacity - 1)]);
}

static inline void strings_hint_entry(const struct strings *s, uint32_t hash) {
    uint32_t id = s->table_capacity ? s->table[hash & (s->table_capacity - 1)] : 0;
    if (id)
        __builtin_prefetch(&s->entries.items[id - 1]);
}

static inline void strings_hint_data(const struct strings *s, uint32_t hash) {
    uint32_t id = s->table_capacity ? s->table[hash & (s->table_capacity - 1)] : 0;
    if (id) {
        const struct strings_entry *entry = &s->entries.items[id - 1];
        __builtin_prefetch(entry->data);
        __builtin_prefetch(entry->data + entry->length);
    }
}

/* The string of a valid id. */
static inline const char *strings_get(const struct strings *s, uint32_t id) {
    return s->entries.items[id].data;
}
