/* SPDX-License-Identifier: MIT */
/*
 * pc -> rule and place, in front of the search: two-way sets of one cache line an entry, keyed by pc and space generation.
 *
 * A frame given out keeps a pointer to its entry's memo until the next walk, so an entry that the current walk has used is never replaced
 * by it (`stamp`); with both ways so taken the frame goes uncached.
 */
#pragma once

#include "unwind/rule.h"

struct cache_entry {
    uint64_t key; /* 0: empty */
    uint64_t generation;
    uint64_t address; /* what the frame shows: svma, or the pc itself */
    const struct rule *rule;
    struct rule_hot hot; /* rule->hot, to save the line it is in */
    uint32_t module_id;
    uint32_t memo;
    uint32_t stamp; /* the last walk that used it */
    uint8_t kind;   /* enum frame_kind */
};

static_assert(sizeof(struct cache_entry) == 64, "one cache line");

enum { CACHE_SETS_BITS = 13, CACHE_WAYS = 2, CACHE_ENTRIES = CACHE_WAYS << CACHE_SETS_BITS };

/* A pc with what else the memo belongs to. User addresses end below 2^56 (five-level paging); 0 is no pc. */
static inline uint64_t cache_key(uint64_t pc, unsigned class, bool is_return) {
    return pc | (uint64_t) class << 56 | (uint64_t)is_return << 60;
}

static inline struct cache_entry *cache_set(struct cache_entry *entries, uint64_t key, uint64_t generation) {
    uint64_t hash = (key ^ generation << 40) * 0x9e3779b97f4a7c15u;
    return &entries[(hash >> (64 - CACHE_SETS_BITS)) * CACHE_WAYS];
}

static inline struct cache_entry *cache_find(struct cache_entry *entries, uint64_t key, uint64_t generation, uint32_t stamp) {
    struct cache_entry *entry = cache_set(entries, key, generation);
    if (likely(entry->key == key && entry->generation == generation)) {
        entry->stamp = stamp;
        return entry;
    }
    entry++;
    if (likely(entry->key == key && entry->generation == generation)) {
        entry->stamp = stamp;
        return entry;
    }
    return NULL;
}

/* The entry to fill for a key that is not there, or NULL: both ways are in use by this walk. */
static inline struct cache_entry *cache_claim(struct cache_entry *entries, uint64_t key, uint64_t generation, uint32_t stamp) {
    struct cache_entry *set = cache_set(entries, key, generation);
    struct cache_entry *oldest = stamp - set[0].stamp >= stamp - set[1].stamp ? &set[0] : &set[1];
    if (oldest->key && oldest->stamp == stamp)
        return NULL;
    return oldest;
}
