/* SPDX-License-Identifier: MIT */
/* A set of mappings: sorted, disjoint, shared until it changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process/private.h"

struct process_maps *process_maps_new(uint64_t generation) {
    struct process_maps *maps = calloc(1, sizeof *maps);
    if (maps) {
        maps->references = 1;
        maps->generation = generation;
    }
    return maps;
}

struct process_maps *process_maps_ref(struct process_maps *maps) {
    maps->references++;
    return maps;
}

void process_maps_unref(struct process_maps *maps) {
    if (!maps || --maps->references)
        return;
    vec_free(&maps->items);
    free(maps);
}

int process_maps_own(struct process_maps **maps) {
    const struct process_maps *shared = *maps;
    if (shared->references == 1 || shared->is_pending)
        return 0;
    struct process_maps *own = process_maps_new(shared->generation);
    if (!own || (shared->items.count && !vec_reserve(&own->items, shared->items.count))) {
        process_maps_unref(own);
        return -ENOMEM;
    }
    own->items.count = shared->items.count;
    if (shared->items.count)
        memcpy(own->items.items, shared->items.items, shared->items.count * sizeof *shared->items.items);
    process_maps_unref(*maps);
    *maps = own;
    return 0;
}

/* The index of the first mapping that ends behind `address`. */
static size_t maps_first_behind(const struct process_maps *maps, uint64_t address) {
    size_t low = 0, high = maps->items.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (maps->items.items[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * Replaces items[first, last) by `count` others.
 *
 *     | 0 .. first | first .. last | last .. |      ->      | 0 .. first | with[0 .. count) | last .. |
 */
static int maps_splice(struct process_maps *maps, size_t first, size_t last, const struct process_mapping *with, size_t count) {
    size_t tail = maps->items.count - last;
    if (first + count + tail > 0 && !vec_reserve(&maps->items, first + count + tail))
        return -ENOMEM;
    struct process_mapping *items = maps->items.items;
    if (tail)
        memmove(items + first + count, items + last, tail * sizeof *items);
    if (count)
        memcpy(items + first, with, count * sizeof *items);
    maps->items.count = first + count + tail;
    return 0;
}

/* Replaces whatever lies in [start, end) by `middle` (may be NULL), keeping what sticks out to the left and right. */
static int maps_replace(struct process_maps *maps, uint64_t start, uint64_t end, const struct process_mapping *middle) {
    size_t first = maps_first_behind(maps, start), last = first;
    while (last < maps->items.count && maps->items.items[last].start < end)
        last++;

    struct process_mapping with[3];
    size_t count = 0;
    if (first < last && maps->items.items[first].start < start) {
        with[count] = maps->items.items[first];
        with[count++].end = start;
    }
    if (middle)
        with[count++] = *middle;
    if (first < last && maps->items.items[last - 1].end > end) {
        with[count] = maps->items.items[last - 1];
        with[count++].start = end;
    }
    return maps_splice(maps, first, last, with, count);
}

int process_maps_cut(struct process_maps *maps, uint64_t start, uint64_t end) {
    return maps_replace(maps, start, end, NULL);
}

static bool mapping_is_anonymous(const struct process_mapping *mapping) {
    return mapping->module->kind == PROCESS_MODULE_ANONYMOUS;
}

/* They map the same bytes to the same addresses, where they do. */
static bool mapping_agrees(const struct process_mapping *a, const struct process_mapping *b) {
    return a->module == b->module && (mapping_is_anonymous(a) || a->offset - a->origin == b->offset - b->origin);
}

bool process_maps_has(const struct process_maps *maps, const struct process_mapping *mapping) {
    const struct process_mapping *there = process_maps_find(maps, mapping->start);
    return there && there->end >= mapping->end && mapping_agrees(there, mapping);
}

/* A JIT that maps (or makes executable) page after page has one mapping in the end, not thousands. */
static void mapping_grow_over_neighbours(const struct process_maps *maps, struct process_mapping *mapping) {
    if (!mapping_is_anonymous(mapping))
        return;
    const struct process_mapping *before = mapping->start ? process_maps_find(maps, mapping->start - 1) : NULL;
    const struct process_mapping *behind = process_maps_find(maps, mapping->end);
    if (before && before->module == mapping->module)
        mapping->start = before->start;
    if (behind && behind->module == mapping->module)
        mapping->end = behind->end;
    mapping->origin = mapping->start;
    mapping->origin_length = mapping->end - mapping->start;
}

int process_maps_insert(struct process_maps *maps, const struct process_mapping *mapping) {
    struct process_mapping grown = *mapping;
    mapping_grow_over_neighbours(maps, &grown);
    return maps_replace(maps, grown.start, grown.end, &grown);
}
