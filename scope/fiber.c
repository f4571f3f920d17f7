/* SPDX-License-Identifier: MIT */
/*
 * Fibres: each has a chain of its own. One that goes on in another thread than it was left in takes its open scopes along: their records
 * and nodes are then that thread's, so that no thread ever writes what is another's.
 */
#include "scope/private.h"

/* Scopes of a fibre that does not run are open all the same, but in no thread. */
static void count_active(struct scope_entry *entry, uint32_t by) {
    for (; entry; entry = entry->parent)
        machine_add32(&entry->record->active, by);
}

static void go_home(struct scope_self *self, struct scope_entry *top, bool is_of_this_process) {
    uint64_t mask = scope_block_signals(), now = scope_clock();
    uint32_t count = scope_path_rehome(self->own, top, is_of_this_process ? 0 : now);
    scope_entries_imported(self, count);
    scope_restore_signals(mask);
}

void scope_fiber_enter(struct cprof_fiber *fiber) {
    struct scope_self *self = &scope_self;
    if (!scope_is_begun(self) && !scope_thread_begin())
        return;
    struct scope_entry *top = fiber->top;
    if (top && fiber->home != self->own->number)
        go_home(self, top, fiber->reserved[0] == scope_process.number);
    else
        count_active(top, 1);
    fiber->thread = self->own;
    fiber->below = self->top;
    fiber->outer = self->fiber;
    self->stack_size = 0;
    self->top = top;
    self->fiber = fiber;
    scope_fence();
    atomic_store_explicit(&self->own->block->top, top ? top->node : 0, memory_order_relaxed);
}

void scope_fiber_leave(struct cprof_fiber *fiber) {
    struct scope_self *self = &scope_self;
    fiber->thread = NULL;
    if (!scope_is_begun(self) && !(self->own && scope_thread_begin()))
        return;
    if (self->fiber != fiber) {
        machine_add(&self->own->block->unbalanced, 1);
        return;
    }
    struct scope_entry *top = self->top, *below = fiber->below;
    fiber->top = top;
    fiber->home = self->own->number;
    fiber->reserved[0] = scope_process.number;
    count_active(top, (uint32_t)-1);
    self->fiber = fiber->outer;
    self->top = below;
    if (!self->fiber) {
        self->stack_low = self->real_low;
        self->stack_size = self->real_size;
    }
    scope_fence();
    atomic_store_explicit(&self->own->block->top, below ? below->node : 0, memory_order_relaxed);
}
