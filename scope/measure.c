/* SPDX-License-Identifier: MIT */
/* Begin and end. Begin reads the clock last and end reads it first, so that what lies between is the program's. */
#include "scope/account.h"

/*
 * Whether the innermost scope may have been left by a longjmp: its record lies below the caller's stack pointer, or is no record any more.
 * Sound on the thread's own stack; elsewhere stale.c looks closer. A record is not looked at unless it lies in mapped stack.
 */
static inline bool may_be_stale(const struct scope_self *self, const struct scope_entry *top, uint64_t sp,
                                const struct cprof_scope *scope) {
    uint64_t at = (uintptr_t)top->scope;
    if (unlikely(sp - self->stack_low >= self->stack_size))
        return at < sp || top->scope == scope; /* not on the thread's own stack */
    if (unlikely(at - sp >= self->stack_low + self->stack_size - sp))
        return true;
    return unlikely(top->scope->magic != (CPROF_SCOPE_MAGIC ^ at)) || unlikely(top->scope == scope);
}

/* The usual course of it, in fewer instructions: on the thread's own stack, and whole. */
static inline bool is_plainly_open(const struct scope_self *self, const struct scope_entry *top, uint64_t sp,
                                   const struct cprof_scope *scope) {
    uint64_t at = (uintptr_t)top->scope;
    return likely(sp >= self->stack_low) && likely(at >= sp) && likely(at < self->stack_low + self->stack_size) &&
           likely(top->scope->magic == (CPROF_SCOPE_MAGIC ^ at)) && likely(top->scope != scope);
}

/*
 * The chain first, then the clock: whatever a handler measures before the clock is read goes to `nested`, and is not of this instance. That
 * it was read in one go with the clock is seen by its being the same before and after.
 */
static inline void start_clock(struct cprof_scope *scope, struct scope_entry *entry, bool is_cycles) {
    uint64_t before, now;
    do {
        before = __atomic_load_n(&entry->nested, __ATOMIC_RELAXED);
        scope_fence();
        now = is_cycles ? clock_cycles() : clock_now();
        scope_fence();
    } while (unlikely(__atomic_load_n(&entry->nested, __ATOMIC_RELAXED) != before));
    entry->begin = now;
    scope->begin = now;
    if (unlikely(before))
        machine_sub(&entry->nested, before);
}

static inline uint64_t stop_clock(const struct scope_entry *entry, bool is_cycles, uint64_t *ret_nested) {
    uint64_t nested, now;
    do {
        nested = __atomic_load_n(&entry->nested, __ATOMIC_RELAXED);
        scope_fence();
        now = is_cycles ? clock_cycles() : clock_now();
        scope_fence();
    } while (unlikely(__atomic_load_n(&entry->nested, __ATOMIC_RELAXED) != nested));
    *ret_nested = nested;
    return now;
}

/* What is found out before a scope is opened. */
struct opening {
    struct scope_record *record;
    uint64_t place;
    uint32_t site, node, flags;
};

/* `entry` was taken from the free ones; `parent` is the innermost scope. */
static inline void open_scope(struct scope_self *self, struct scope_entry *parent, struct scope_entry *entry, struct cprof_scope *scope,
                              struct opening opening, bool is_cycles) {
    struct scope_thread *block = self->own->block;
    entry->scope = scope;
    entry->parent = parent;
    entry->begin = 0;
    entry->nested = 0;
    entry->record = opening.record;
    entry->at = &block->nodes[opening.node];
    entry->site = opening.site;
    entry->node = opening.node;
    entry->flags = opening.flags;
    scope->begin = 0;
    scope->site = opening.site;
    scope->node = opening.node;
    scope->parent = parent ? parent->scope : NULL;
    scope->place = opening.place;
    scope->magic = CPROF_SCOPE_MAGIC ^ (uintptr_t)scope;
    machine_add32(&opening.record->active, 1);
    scope_fence();
    self->top = entry;
    atomic_store_explicit(&block->top, opening.node, memory_order_relaxed);
    scope_fence();
    start_clock(scope, entry, is_cycles);
}

/* Whatever is new: the thread, the site, the path; what is left over; another clock. */
__attribute__((noinline)) static void begin_slow(struct cprof_scope *scope, struct cprof_site *site, uint64_t sp, uint64_t place) {
    struct scope_self *self = &scope_self;
    if (!scope_is_begun(self) && !scope_thread_begin())
        return;
    struct opening opening = {.place = place};
    struct scope_direct *direct = scope_direct_of(self->own, site, &opening.site);
    if (!direct)
        return;
    opening.record = direct->record;
    if (self->top && may_be_stale(self, self->top, sp, scope))
        scope_stale_pop(self, sp, scope);
    struct scope_entry *entry = scope_entry_take(self);
    if (!entry)
        return;
    opening.node = scope_path_find(self->own, self->top, opening.site, &opening.flags);
    open_scope(self, self->top, entry, scope, opening, scope_process.is_cycles);
}

/* No call in the usual course: nothing to save. */
void scope_begin(struct cprof_scope *scope, struct cprof_site *site) {
    struct scope_self *self = &scope_self;
    struct scope_own *own = self->own;
    struct scope_entry *parent = self->top;
    uint32_t id = __atomic_load_n(&site->id, __ATOMIC_RELAXED), parent_node = 0;
    uint64_t sp = (uintptr_t)__builtin_dwarf_cfa(), place = (uintptr_t)__builtin_return_address(0);
    if (unlikely(!own || id - 1 >= SCOPE_SITES_MAX || !self->free || !scope_process.is_cycles))
        goto slow;
    const struct scope_direct *direct = &own->direct[id - 1];
    uint64_t hint = __atomic_load_n(&direct->hint, __ATOMIC_RELAXED);
    if (parent) {
        if (unlikely(parent->site == id) || (unlikely(!is_plainly_open(self, parent, sp, scope)) && may_be_stale(self, parent, sp, scope)))
            goto slow;
        parent_node = parent->node;
    }
    if (unlikely(hint >> 32 != parent_node + UINT64_C(1))) /* after fork there is none */
        goto slow;
    struct scope_entry *entry = scope_entry_take_one(self);
    open_scope(self, parent, entry, scope,
               (struct opening){
                   .record = direct->record, .place = place, .site = id, .node = (uint32_t)hint >> 1, .flags = hint & ENTRY_PRIMITIVE},
               true);
    return;
slow:
    begin_slow(scope, site, sp, place);
}

__attribute__((noinline)) static void end_slow(struct scope_self *self, struct cprof_scope *scope) {
    struct scope_entry *entry = self->top;
    if (!entry || entry->scope != scope || !scope_is_begun(self)) {
        scope_stale_end(self, scope);
        return;
    }
    uint64_t nested, now = stop_clock(entry, false, &nested);
    scope_chain_pop(self, entry);
    scope->magic = 0;
    scope_account_end(self, entry, now, nested, 0);
}

void scope_end(struct cprof_scope *scope) {
    struct scope_self *self = &scope_self;
    struct scope_entry *entry = self->top;
    if (unlikely(!entry || entry->scope != scope || !scope_is_begun(self) || !scope_process.is_cycles)) {
        end_slow(self, scope);
        return;
    }
    uint64_t nested, now = stop_clock(entry, true, &nested);
    scope_chain_pop(self, entry);
    scope->magic = 0; /* not before: a handler would take the innermost of the chain for left */
    scope_account_end(self, entry, now, nested, 0);
}

/* ---- what seldom happens --------------------------------------------------------------------------------------------------------- */

static void account_extreme(struct scope_record *record, uint64_t value) {
    uint64_t max = __atomic_load_n(&record->max, __ATOMIC_RELAXED);
    while (value > max && !machine_swap(&record->max, &max, value))
        ;
    uint64_t min = __atomic_load_n(&record->min, __ATOMIC_RELAXED);
    while (value < min && !machine_swap(&record->min, &min, value))
        ;
}

static struct scope_instance *find_least(struct scope_record *record) {
    struct scope_instance *least = &record->slowest[0];
    for (size_t i = 1; i < SCOPE_SLOWEST; i++)
        if (record->slowest[i].ticks < least->ticks)
            least = &record->slowest[i];
    return least;
}

/* The least of the slowest makes room. The floor may be too low when a handler did the same in between, never too high. */
static void account_slow(struct scope_record *record, uint64_t begin, uint64_t ticks) {
    for (;;) {
        struct scope_instance *least = find_least(record), was = *least;
        uint64_t expected[2] = {was.begin, was.ticks};
        if (ticks <= was.ticks || machine_swap_pair(least, expected, begin, ticks))
            break;
    }
    record->slowest_floor = find_least(record)->ticks;
}

void scope_account_rare(struct scope_own *own, const struct scope_ended *ended, uint32_t rare) {
    if (rare & RARE_EXTREME)
        account_extreme(ended->record, ended->ticks);
    if (rare & RARE_SLOW)
        account_slow(ended->record, ended->begin, ended->ticks);
    if (rare & RARE_EVENT)
        scope_event_push(own, SCOPE_EVENT_INSTANCE, ended->site, ended->begin, ended->end);
    if (rare & RARE_UNWOUND) {
        machine_add(&ended->record->unwound, 1);
        machine_add(&own->block->unwound, 1);
    }
}
