/* SPDX-License-Identifier: MIT */
/*
 * A hash map from uint64_t to uint64_t: open addressing, linear probing, removal by back-shift (no tombstones).
 *
 * Any key is allowed. Invariant: used <= 3/4 capacity, capacity a power of two or 0.
 * A zeroed struct is an empty map. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t key;
    uint64_t value;
};

struct map {
    struct map_slot *slots;
    uint8_t *occupied;
    size_t capacity;
    size_t used;
};

void map_free(struct map *m);
void map_clear(struct map *m);

/* Where the value of `key` is, or NULL. Valid until the map next changes. */
uint64_t *map_find(const struct map *m, uint64_t key);

/* As map_find, but a missing key is put in with value 0 and *ret_new says so. NULL when memory is out. */
uint64_t *map_put(struct map *m, uint64_t key, bool *ret_new);

/* True if the key was there. */
bool map_remove(struct map *m, uint64_t key);

/* A good 64-bit mixer (the finaliser of MurmurHash3, public domain), for keys built by hand. */
static inline uint64_t map_hash(uint64_t key) {
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ULL;
    key ^= key >> 33;
    return key;
}

/* Visits each entry: for (size_t i = map_next(m, 0); i < m->capacity; i = map_next(m, i + 1)) ... m->slots[i] */
static inline size_t map_next(const struct map *m, size_t i) {
    while (i < m->capacity && !m->occupied[i])
        i++;
    return i;
}
