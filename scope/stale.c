/* SPDX-License-Identifier: MIT */
/*
 * Scopes whose end was jumped over by longjmp, or by an exception through C. Nobody tells; the stack shows it, later: a record below the
 * stack pointer, or overwritten, is dead. That holds on one stack alone, so each address is first told to be on the alternate signal stack,
 * on the thread's own, or elsewhere.
 */
#include <signal.h>

#include "base/system.h"
#include "scope/account.h"

enum stack_kind { STACK_OWN, STACK_ALTERNATE, STACK_ELSEWHERE };

struct stacks {
    uint64_t alternate_low, alternate_size;
    const struct scope_self *self;
};

static struct stacks look_at_stacks(const struct scope_self *self) {
    stack_t alternate = {.ss_flags = SS_DISABLE};
    struct stacks stacks = {.self = self};
    if (system_call(SYS_sigaltstack, 0, (long)&alternate, 0, 0, 0, 0) == 0 && !(alternate.ss_flags & SS_DISABLE)) {
        stacks.alternate_low = (uintptr_t)alternate.ss_sp;
        stacks.alternate_size = alternate.ss_size;
    }
    return stacks;
}

/* The alternate stack first: it may lie in the thread's own. */
static enum stack_kind kind_of(const struct stacks *stacks, uint64_t at) {
    if (at - stacks->alternate_low < stacks->alternate_size)
        return STACK_ALTERNATE;
    return at - stacks->self->real_low < stacks->self->real_size ? STACK_OWN : STACK_ELSEWHERE;
}

static bool is_dead(const struct stacks *stacks, const struct scope_entry *entry, uint64_t sp, const struct cprof_scope *scope) {
    uint64_t at = (uintptr_t)entry->scope, size = sizeof *scope;
    if ((uintptr_t)scope - at < size || at - (uintptr_t)scope < size)
        return true; /* the next one will lie where it was */
    enum stack_kind here = kind_of(stacks, sp), there = kind_of(stacks, at);
    if (here == STACK_OWN && there == STACK_ALTERNATE)
        return true; /* its handler was left */
    if (here != there || (here == STACK_ELSEWHERE && !stacks->self->fiber))
        return false; /* nothing is known of the order of stacks */
    return at < sp || (here != STACK_ELSEWHERE && entry->scope->magic != (CPROF_SCOPE_MAGIC ^ at));
}

/* A record that nobody wrote over would still be found in the stack. Only where it lies in the stack that we are on. */
static void clear_magic(const struct stacks *stacks, struct cprof_scope *scope, uint64_t sp) {
    enum stack_kind here = kind_of(stacks, sp);
    if (here == STACK_ELSEWHERE || kind_of(stacks, (uintptr_t)scope) != here)
        return;
    volatile uint64_t *magic = &scope->magic;
    if (*magic == (CPROF_SCOPE_MAGIC ^ (uintptr_t)scope))
        *magic = 0;
}

static void pop(struct scope_self *self, struct scope_entry *entry, uint64_t now) {
    scope_chain_pop(self, entry);
    if (entry->begin) {
        scope_account_end(self, entry, now, entry->nested, RARE_UNWOUND);
        return;
    }
    /* A handler jumped out of its begin before it had begun. */
    machine_add32(&entry->record->active, (uint32_t)-1);
    scope_entry_give(self, entry);
}

void scope_stale_pop(struct scope_self *self, uint64_t sp, const struct cprof_scope *scope) {
    uint64_t mask = scope_block_signals(), now = scope_clock();
    struct stacks stacks = look_at_stacks(self);
    struct scope_entry *entry;
    while ((entry = self->top) && is_dead(&stacks, entry, sp, scope)) {
        clear_magic(&stacks, entry->scope, sp);
        pop(self, entry, now);
    }
    scope_restore_signals(mask);
}

static bool is_in_chain(const struct scope_self *self, const struct cprof_scope *scope) {
    const struct scope_entry *entry = self->top;
    while (entry && entry->scope != scope)
        entry = entry->parent;
    return entry != NULL;
}

static void end_inner(struct scope_self *self, struct cprof_scope *scope, uint64_t now) {
    struct stacks stacks = look_at_stacks(self);
    while (self->top->scope != scope) {
        clear_magic(&stacks, self->top->scope, (uintptr_t)scope);
        pop(self, self->top, now);
    }
}

void scope_stale_end(struct scope_self *self, struct cprof_scope *scope) {
    if (!self->own || (!self->own->block && !scope_thread_begin())) { /* the thread has ended, or fork's child is not recorded */
        scope->magic = 0;
        return;
    }
    uint64_t mask = scope_block_signals(), now = scope_clock();
    if (is_in_chain(self, scope)) {
        end_inner(self, scope, now);
        struct scope_entry *entry = self->top;
        scope_chain_pop(self, entry);
        scope_account_end(self, entry, now, entry->nested, 0);
    } else
        machine_add(&self->own->block->unbalanced, 1);
    scope->magic = 0;
    scope_restore_signals(mask);
}
