/* SPDX-License-Identifier: MIT */
/*
 * Nodes: which site was entered under which path. Children are a list that only grows at its front, with signals blocked, so that a search
 * may be interrupted. Most lookups are spared by the hint of struct scope_direct.
 */
#include "base/system.h"
#include "scope/private.h"

static uint32_t search(const struct scope_thread *block, uint32_t row, uint32_t site) {
    uint32_t child = __atomic_load_n(&block->nodes[row].child, __ATOMIC_RELAXED);
    while (child && block->nodes[child].site != site)
        child = block->nodes[child].sibling;
    return child;
}

static bool is_outermost(const struct scope_thread *block, uint32_t row, uint32_t site) {
    for (; row; row = block->nodes[row].parent)
        if (block->nodes[row].site == site)
            return false;
    return true;
}

/* 0: there is no room. */
static uint32_t make(struct scope_own *own, uint32_t row, uint32_t site) {
    struct scope_thread *block = own->block;
    uint64_t mask = scope_block_signals();
    uint32_t node = search(block, row, site), count = atomic_load_explicit(&block->node_count, memory_order_relaxed);
    if (!node && count < SCOPE_NODE_OVERFLOW) {
        node = count;
        block->nodes[node] = (struct scope_node){.parent = row, .site = site, .sibling = block->nodes[row].child};
        own->outermost[node] = is_outermost(block, row, site);
        /* release: the recorder reads no row that is not filled in */
        atomic_store_explicit(&block->node_count, count + 1, memory_order_release);
        block->nodes[row].child = node;
    }
    scope_restore_signals(mask);
    return node;
}

static uint32_t overflow(struct scope_own *own, const struct scope_entry *parent, uint32_t site, uint32_t *ret_flags) {
    if (!own->has_overflow) {
        uint64_t mask = scope_block_signals();
        if (!own->has_overflow)
            own->block->nodes[SCOPE_NODE_OVERFLOW] = (struct scope_node){0};
        own->has_overflow = true;
        scope_restore_signals(mask);
    }
    *ret_flags = ENTRY_PRIMITIVE | (parent && parent->node == SCOPE_NODE_OVERFLOW ? ENTRY_RECURSED : 0);
    for (const struct scope_entry *entry = parent; entry; entry = entry->parent)
        if (entry->site == site)
            *ret_flags &= ~(uint32_t)ENTRY_PRIMITIVE;
    machine_add(&own->block->nodes_refused, 1);
    return SCOPE_NODE_OVERFLOW;
}

uint32_t scope_path_find(struct scope_own *own, const struct scope_entry *parent, uint32_t site, uint32_t *ret_flags) {
    uint32_t row = parent ? parent->node : 0, node;
    if (row == SCOPE_NODE_OVERFLOW)
        return overflow(own, parent, site, ret_flags);
    if (parent && parent->site == site) {
        *ret_flags = ENTRY_RECURSED;
        return row;
    }
    node = search(own->block, row, site);
    if (!node && !(node = make(own, row, site)))
        return overflow(own, parent, site, ret_flags);
    *ret_flags = own->outermost[node] ? ENTRY_PRIMITIVE : 0;
    __atomic_store_n(&own->direct[site - 1].hint, (row + UINT64_C(1)) << 32 | node << 1 | *ret_flags, __ATOMIC_RELAXED);
    return node;
}

/* ---- a chain that comes from another thread, or from before a fork ---------------------------------------------------------------- */

static struct scope_entry *reverse(struct scope_entry *chain) {
    struct scope_entry *done = NULL;
    while (chain) {
        struct scope_entry *next = chain->parent;
        chain->parent = done;
        done = chain;
        chain = next;
    }
    return done;
}

/* Where what cannot be kept is put, so that nobody need ask. */
static struct scope_record nowhere;

static void move(struct scope_own *own, struct scope_entry *entry, const struct scope_entry *parent, uint64_t restart) {
    struct scope_record *record = own->direct[entry->site - 1].record;
    if (!record && !(record = scope_record_make(own, entry->site)))
        record = &nowhere;
    entry->record = record;
    entry->node = scope_path_find(own, parent, entry->site, &entry->flags);
    entry->at = &own->block->nodes[entry->node];
    machine_add32(&record->active, 1);
    if (restart) {
        entry->begin = restart;
        entry->nested = 0;
    }
}

uint32_t scope_path_rehome(struct scope_own *own, struct scope_entry *top, uint64_t restart) {
    uint32_t count = 0;
    struct scope_entry *rest = reverse(top), *done = NULL;
    while (rest) {
        struct scope_entry *next = rest->parent;
        move(own, rest, done, restart);
        rest->parent = done;
        done = rest;
        rest = next;
        count++;
    }
    return count;
}
