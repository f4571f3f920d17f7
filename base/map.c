/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

void map_free(struct map *m) {
    free(m->slots);
    free(m->occupied);
    *m = (struct map){0};
}

void map_clear(struct map *m) {
    if (m->capacity)
        memset(m->occupied, 0, m->capacity);
    m->used = 0;
}

/* The slot of `key`, or the empty one where it belongs. */
static size_t map_slot_of(const struct map *m, uint64_t key) {
    size_t i = map_hash(key) & (m->capacity - 1);
    while (m->occupied[i] && m->slots[i].key != key)
        i = (i + 1) & (m->capacity - 1);
    return i;
}

static bool map_grow(struct map *m) {
    struct map grown = {.capacity = m->capacity ? m->capacity * 2 : 16, .used = m->used};
    grown.slots = malloc(grown.capacity * sizeof *grown.slots);
    grown.occupied = calloc(grown.capacity, 1);
    if (!grown.slots || !grown.occupied) {
        map_free(&grown);
        return false;
    }
    for (size_t i = map_next(m, 0); i < m->capacity; i = map_next(m, i + 1)) {
        size_t to = map_slot_of(&grown, m->slots[i].key);
        grown.slots[to] = m->slots[i];
        grown.occupied[to] = 1;
    }
    free(m->slots);
    free(m->occupied);
    *m = grown;
    return true;
}

uint64_t *map_find(const struct map *m, uint64_t key) {
    if (!m->used)
        return NULL;
    size_t i = map_slot_of(m, key);
    return m->occupied[i] ? &m->slots[i].value : NULL;
}

uint64_t *map_put(struct map *m, uint64_t key, bool *ret_new) {
    if (m->used + 1 > m->capacity / 4 * 3 && !map_grow(m)) {
        uint64_t *found = map_find(m, key); /* an existing key needs no room */
        if (found)
            *ret_new = false;
        return found;
    }
    size_t i = map_slot_of(m, key);
    *ret_new = !m->occupied[i];
    if (*ret_new) {
        m->occupied[i] = 1;
        m->slots[i] = (struct map_slot){.key = key};
        m->used++;
    }
    return &m->slots[i].value;
}

bool map_remove(struct map *m, uint64_t key) {
    if (!m->used)
        return false;
    size_t mask = m->capacity - 1, hole = map_slot_of(m, key);
    if (!m->occupied[hole])
        return false;
    /* Close the gap: an entry further along moves back unless its home lies between the hole and itself. */
    for (size_t i = (hole + 1) & mask; m->occupied[i]; i = (i + 1) & mask) {
        size_t home = map_hash(m->slots[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->occupied[hole] = 0;
    m->used--;
    return true;
}
