/* SPDX-License-Identifier: MIT */
/* One instance more in a record and in a node. Whole with respect to handlers that do the same in between. */
#pragma once

#include "scope/private.h"

enum scope_rare { RARE_EXTREME = 1, RARE_SLOW = 2, RARE_EVENT = 4, RARE_UNWOUND = 8 };

/* What is to be done for few instances: out of the way of the many. */
struct scope_ended {
    struct scope_record *record;
    uint64_t begin, end, ticks;
    uint32_t site;
};
void scope_account_rare(struct scope_own *own, const struct scope_ended *ended, uint32_t rare);

/*
 * Counts the value before this one in the histogram. A store whose address hangs on a clock that was just read holds up the next reading of
 * the clock, which is most of what a scope costs (by up to 6 ns, on Zen 4); so a value's bucket waits here, as data, for the next value.
 */
static inline void scope_account_bucket(struct scope_record *record, uint64_t value) {
    uint64_t before = __atomic_load_n(&record->pending, __ATOMIC_RELAXED), bucket = loglinear_bucket(value);
    while (unlikely(!machine_swap(&record->pending, &before, bucket + 1)))
        ;
    if (likely(before - 1 < LOGLINEAR_BUCKETS))
        machine_add(&record->histogram[before - 1], 1);
}

/* A value of whatever kind: how often, how much, the histogram. */
static inline void scope_account_value(struct scope_record *record, uint64_t value) {
    machine_add(&record->sum, value);
    scope_account_bucket(record, value);
    machine_add(&record->count, 1);
}

/* f(1-f) in units of 2^-30: f is the fraction part of ticks / period, in 2^-64 what is left of the product. */
static inline uint64_t scope_account_variance(uint64_t ticks) {
    uint64_t fraction = (ticks * scope_process.inverse_period) >> 34;
    return (fraction * ((UINT64_C(1) << 30) - fraction)) >> 30;
}

/* What is rare about it. None is greater than the greatest that is not among the slowest as well. */
static inline uint32_t scope_account(struct scope_record *record, uint64_t ticks, uint64_t self, bool is_primitive) {
    machine_add(&record->self, self);
    if (likely(is_primitive)) {
        machine_add(&record->primitive, 1);
        machine_add(&record->total, ticks);
        machine_add(&record->variance, scope_account_variance(ticks));
    }
    scope_account_value(record, ticks);
    return unlikely(ticks > record->slowest_floor) || unlikely(ticks < record->min) ? RARE_EXTREME | RARE_SLOW : 0;
}

static inline void scope_account_node(struct scope_node *node, uint64_t ticks, uint64_t self, bool is_recursed) {
    machine_add(&node->self, self);
    if (unlikely(is_recursed))
        machine_add(&node->recursed, 1);
    else
        machine_add(&node->total, ticks);
    machine_add(&node->count, 1);
}

/* Takes the innermost scope from the chain: from here on handlers add to its parent. */
static inline void scope_chain_pop(struct scope_self *self, const struct scope_entry *entry) {
    struct scope_entry *parent = entry->parent;
    struct scope_thread *block = self->own->block;
    self->top = parent;
    atomic_store_explicit(&block->top, parent ? parent->node : 0, memory_order_relaxed);
    scope_fence();
}

/* Accounts for one that was taken from the chain and ended at `end`, when scopes inside it had taken `nested` ticks: what was added since
 * is its parent's. Inline because it is the greater part of end. */
static inline void scope_account_end(struct scope_self *self, struct scope_entry *entry, uint64_t end, uint64_t nested, uint32_t rare) {
    struct scope_record *record = entry->record;
    uint64_t begin = entry->begin, ticks = end - begin;
    if (unlikely((int64_t)ticks < 0))
        ticks = 0; /* the clocks of two CPUs may differ by little */
    if (entry->parent)
        machine_add(&entry->parent->nested, ticks + (entry->nested - nested));
    uint32_t flags = entry->flags, site = entry->site;
    rare |= scope_account(record, ticks, ticks - nested, flags & ENTRY_PRIMITIVE);
    scope_account_node(entry->at, ticks, ticks - nested, flags & ENTRY_RECURSED);
    machine_add32(&record->active, (uint32_t)-1);
    scope_entry_give(self, entry);
    if (ticks >= scope_process.event_ticks && flags & ENTRY_PRIMITIVE)
        rare |= RARE_EVENT;
    if (unlikely(rare)) {
        struct scope_ended ended = {record, begin, end, ticks, site};
        scope_account_rare(self->own, &ended, rare);
    }
}
