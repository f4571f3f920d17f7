/* SPDX-License-Identifier: MIT */
/*
 * Spans, which need not nest, and values. An open span is a row of a small table; its key names the site and grows with the order of
 * begins. Handlers may take and free rows in between: a row is taken, and given back, by one compare-and-swap of its key.
 */
#include "scope/account.h"

enum { KEY_SITE_BITS = 16 };

#define KEY_BUSY UINT64_MAX

static bool ready(struct cprof_site *site, struct scope_own **ret_own, struct scope_record **ret_record, uint32_t *ret_id) {
    struct scope_self *self = &scope_self;
    if (!scope_is_begun(self) && !scope_thread_begin())
        return false;
    struct scope_direct *direct = scope_direct_of(self->own, site, ret_id);
    if (unlikely(!direct))
        return false;
    *ret_own = self->own;
    *ret_record = direct->record;
    return true;
}

static struct scope_span *take(struct scope_own *own) {
    for (uint32_t i = 0; i < SCOPE_SPANS_MAX; i++) {
        uint64_t key = 0;
        if (own->spans[i].key || !machine_swap(&own->spans[i].key, &key, KEY_BUSY))
            continue;
        if (own->span_high <= i)
            own->span_high = i + 1; /* a handler that came further has given back what it took, or will be found by its own begin */
        return &own->spans[i];
    }
    return NULL;
}

void scope_span_begin(struct cprof_site *site) {
    struct scope_own *own;
    struct scope_record *record;
    uint32_t id;
    if (!ready(site, &own, &record, &id))
        return;
    struct scope_span *span = take(own);
    if (unlikely(!span)) {
        machine_add(&own->block->spans_refused, 1);
        return;
    }
    span->record = record;
    machine_add32(&record->active, 1);
    machine_add(&own->span_order, 1);
    uint64_t key = own->span_order << KEY_SITE_BITS | id;
    span->begin = scope_clock();
    scope_fence();
    __atomic_store_n(&span->key, key, __ATOMIC_RELAXED);
}

/* The latest of the site. */
static struct scope_span *find(struct scope_own *own, uint32_t id, uint64_t *ret_key) {
    struct scope_span *latest = NULL;
    *ret_key = 0;
    for (uint32_t i = 0; i < SCOPE_SPANS_MAX && i < own->span_high; i++) {
        uint64_t key = __atomic_load_n(&own->spans[i].key, __ATOMIC_RELAXED);
        if (key != KEY_BUSY && (uint16_t)key == id && key > *ret_key) {
            *ret_key = key;
            latest = &own->spans[i];
        }
    }
    return latest;
}

void scope_span_end(struct cprof_site *site) {
    uint64_t end = scope_clock(), begin, key;
    struct scope_own *own;
    struct scope_record *record;
    struct scope_span *span;
    uint32_t id;
    if (!ready(site, &own, &record, &id))
        return;
    do {
        if (!(span = find(own, id, &key))) {
            machine_add(&own->block->unbalanced, 1);
            return;
        }
        begin = span->begin;
    } while (unlikely(!machine_swap(&span->key, &key, 0)));
    uint64_t ticks = (int64_t)(end - begin) > 0 ? end - begin : 0;
    uint32_t rare = scope_account(record, ticks, ticks, true);
    machine_add32(&record->active, (uint32_t)-1);
    scope_event_push(own, SCOPE_EVENT_SPAN, id, begin, end);
    if (unlikely(rare))
        scope_account_rare(own, &(struct scope_ended){record, begin, end, ticks, id}, rare);
}

void scope_value(struct cprof_site *site, uint64_t value) {
    struct scope_own *own;
    struct scope_record *record;
    uint32_t id;
    if (!ready(site, &own, &record, &id))
        return;
    scope_account_value(record, value);
    if (unlikely(value > record->max) || unlikely(value < record->min))
        scope_account_rare(own, &(struct scope_ended){.record = record, .ticks = value}, RARE_EXTREME);
}
