/* SPDX-License-Identifier: MIT */
/*
 * Memory for entries. A thread has a list of free ones, of its own; what a thread leaves behind at its end, or has too many of because
 * fibres brought them from other threads, is everybody's.
 */
#include <sys/mman.h>

#include "base/system.h"
#include "scope/private.h"

enum {
    CHUNK_FIRST = 4096,
    CHUNK_MAX = 1 << 20,
    IMPORTED_MAX = 256, /* entries that a thread keeps for itself though others made them */
};

/* Pushed to with release, taken whole with acquire: so there is no ABA. */
static _Atomic(struct scope_entry *) everybodys;

static void put(struct scope_entry *first, struct scope_entry *last) {
    struct scope_entry *old = atomic_load_explicit(&everybodys, memory_order_relaxed);
    do
        last->parent = old;
    while (!atomic_compare_exchange_weak_explicit(&everybodys, &old, first, memory_order_release, memory_order_relaxed));
}

bool scope_entries_refill(struct scope_self *self) {
    uint64_t mask = scope_block_signals();
    if (!self->free)
        self->free = atomic_exchange_explicit(&everybodys, NULL, memory_order_acquire);
    if (!self->free) {
        uint64_t size = MIN((uint64_t)CHUNK_FIRST << MIN(self->chunks, 16u), (uint64_t)CHUNK_MAX);
        long at = system_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct scope_entry *entries = at > 0 ? (struct scope_entry *)at : NULL; /* NOLINT: an address */
        for (uint64_t i = 0; entries && i + 1 < size / sizeof *entries; i++)
            entries[i].parent = &entries[i + 1];
        self->free = entries;
        self->chunks++;
    }
    scope_restore_signals(mask);
    return self->free != NULL;
}

void scope_entries_leave(struct scope_self *self) {
    struct scope_entry *last = self->free;
    if (!last)
        return;
    while (last->parent)
        last = last->parent;
    put(self->free, last);
    self->free = NULL;
    self->chunks = 0;
}

void scope_entries_imported(struct scope_self *self, uint32_t count) {
    self->imported += count;
    if (self->imported < IMPORTED_MAX || !self->free)
        return;
    struct scope_entry *first = self->free, *last = first;
    for (uint32_t i = 1; i < self->imported && last->parent; i++)
        last = last->parent;
    self->free = last->parent;
    self->imported = 0;
    put(first, last);
}
