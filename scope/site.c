/* SPDX-License-Identifier: MIT */
/*
 * Sites and the records of a thread at them.
 *
 * A site's id is its place in a list of hashes of what sites say, which only grows: whoever comes with the same words, from whatever
 * thread, handler, or loading of a plugin, finds the same place, without a lock. The words are copied at first use, since a plugin takes
 * its site with it; two who copy at the same time copy the same.
 */
#include "base/system.h"
#include "scope/private.h"

static _Atomic uint64_t hashes[SCOPE_SITES_MAX];

static struct scope_site *site_at(const void *memory, uint32_t index) {
    return (struct scope_site *)(void *)((char *)memory + SCOPE_SITES_AT) + index; /* NOLINT: const is cast off for both uses */
}

static uint64_t length_of(const char *text) {
    uint64_t length = 0;
    while (text[length])
        length++;
    return length;
}

/* The end of a path says more than its beginning. */
static const char *end_of_path(const char *path) {
    uint64_t length = length_of(path);
    return length < SCOPE_NAME_BYTES ? path : path + length - (SCOPE_NAME_BYTES - 1);
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (uint64_t i = 0; text[i] && i < SCOPE_NAME_BYTES - 1; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3); /* FNV-1a; no text has this byte in UTF-8 */
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static uint64_t hash_site(const struct cprof_site *site) {
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), or_empty(site->name));
    hash = hash_text(hash, or_empty(site->function));
    hash = hash_text(hash, end_of_path(or_empty(site->file)));
    hash = (hash ^ site->line ^ (uint64_t)site->kind << 32) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

static void copy_text(char to[SCOPE_NAME_BYTES], const char *text) {
    for (uint64_t i = 0; text[i] && i < SCOPE_NAME_BYTES - 1; i++)
        to[i] = text[i];
}

static void fill(struct scope_site *row, const struct cprof_site *site) {
    uint32_t state = SCOPE_SITE_EMPTY;
    atomic_compare_exchange_strong_explicit(&row->state, &state, SCOPE_SITE_FILLING, memory_order_relaxed, memory_order_relaxed);
    row->line = site->line;
    row->kind = site->kind;
    copy_text(row->name, or_empty(site->name));
    copy_text(row->function, or_empty(site->function));
    copy_text(row->file, end_of_path(or_empty(site->file)));
    atomic_store_explicit(&row->state, SCOPE_SITE_READY, memory_order_release);
}

static uint32_t refuse(void) {
    atomic_fetch_add_explicit(&scope_shared()->sites_refused, 1, memory_order_relaxed);
    return 0;
}

uint32_t scope_site_find(struct cprof_site *site) {
    struct scope_shared *shared = scope_shared();
    if (__atomic_load_n(&site->id, __ATOMIC_RELAXED) == SITE_REFUSED)
        return refuse();
    uint64_t hash = hash_site(site);
    for (uint32_t i = 0; i < SCOPE_SITES_MAX; i++) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong_explicit(&hashes[i], &found, hash, memory_order_relaxed, memory_order_relaxed))
            atomic_fetch_add_explicit(&shared->site_count, 1, memory_order_relaxed);
        else if (found != hash)
            continue;
        struct scope_site *row = site_at(shared, i);
        if (atomic_load_explicit(&row->state, memory_order_acquire) != SCOPE_SITE_READY)
            fill(row, site);
        __atomic_store_n(&site->id, i + 1, __ATOMIC_RELAXED);
        return i + 1;
    }
    __atomic_store_n(&site->id, (uint32_t)SITE_REFUSED, __ATOMIC_RELAXED);
    return refuse();
}

void scope_sites_after_fork(const void *old_memory) {
    struct scope_shared *shared = scope_shared();
    uint32_t count = 0;
    for (; count < SCOPE_SITES_MAX && atomic_load_explicit(&hashes[count], memory_order_relaxed); count++)
        if (atomic_load_explicit(&site_at(old_memory, count)->state, memory_order_relaxed) == SCOPE_SITE_READY)
            system_copy(site_at(shared, count), site_at(old_memory, count), sizeof(struct scope_site));
    atomic_store_explicit(&shared->site_count, count, memory_order_relaxed);
}

/* ---- records --------------------------------------------------------------------------------------------------------------------- */

/* Positions of spare records are not kept: they follow from their addresses. */
static uint32_t position_of(const struct scope_record *record) {
    return (uint32_t)(((uintptr_t)record - (uintptr_t)scope_process.memory) / SCOPE_UNIT);
}

static struct scope_record *take(struct scope_own *own) {
    if (!own->spare)
        return scope_arena_take(sizeof(struct scope_record));
    struct scope_record *record = own->spares[--own->spare];
    system_clear(record, sizeof *record);
    return record;
}

struct scope_record *scope_record_make(struct scope_own *own, uint32_t site) {
    uint64_t mask = scope_block_signals();
    struct scope_direct *direct = &own->direct[site - 1];
    struct scope_record *record = direct->record;
    if (!record && (record = take(own))) {
        record->site = site;
        record->min = UINT64_MAX;
        record->next = atomic_load_explicit(&own->block->records, memory_order_relaxed);
        own->used_sites[own->used++] = (uint16_t)(site - 1);
        direct->record = record;
        /* release: the recorder, having read the position, reads a record that is filled in */
        atomic_store_explicit(&own->block->records, position_of(record), memory_order_release);
    }
    scope_restore_signals(mask);
    if (!record)
        (void)refuse();
    return record;
}

void scope_records_forget(struct scope_own *own) {
    for (uint32_t i = 0; i < own->used; i++) {
        struct scope_direct *direct = &own->direct[own->used_sites[i]];
        own->spares[own->spare++] = direct->record;
        *direct = (struct scope_direct){0};
    }
    own->used = 0;
}
