/* SPDX-License-Identifier: MIT */
/*
 * The ring of events. A handler may interrupt the writing of one to write its own: places are given out in order, and whoever was first
 * publishes those of all that came in between (as the kernel's perf rings do). One who was jumped out of by siglongjmp would hold up the
 * ring for ever; the next one sees it by its stack pointer, and the recorder by the missing number.
 */
#include "scope/private.h"

static bool is_first(struct scope_own *own, uint64_t sp) {
    const struct scope_self *self = &scope_self;
    uint64_t pushing = __atomic_load_n(&own->pushing, __ATOMIC_RELAXED);
    return !pushing || (pushing < sp && pushing - self->stack_low < self->stack_size && sp - self->stack_low < self->stack_size);
}

static void publish(struct scope_own *own) {
    uint64_t head;
    do {
        head = __atomic_load_n(&own->reserved, __ATOMIC_RELAXED);
        /* release: pairs with the recorder's acquire, who then reads the events */
        atomic_store_explicit(&own->block->head, head, memory_order_release);
        scope_fence();
    } while (unlikely(__atomic_load_n(&own->reserved, __ATOMIC_RELAXED) != head));
}

/* A place for one event, whose number is then *ret; false: the ring is full. */
static bool reserve(struct scope_own *own, uint64_t *ret) {
    uint64_t number = __atomic_load_n(&own->reserved, __ATOMIC_RELAXED);
    do
        /* acquire: the recorder has copied what was here before we write over it */
        if (number - atomic_load_explicit(&own->block->tail, memory_order_acquire) >= SCOPE_EVENTS)
            return false;
    while (!machine_swap(&own->reserved, &number, number + 1));
    *ret = number;
    return true;
}

static void lose(struct scope_own *own, uint32_t kind) {
    machine_add(kind == SCOPE_EVENT_SPAN ? &own->block->spans_lost : &own->block->lost, 1);
    if (atomic_load_explicit(&scope_shared()->is_ended, memory_order_relaxed))
        scope_process_stop();
}

void scope_event_push(struct scope_own *own, uint32_t kind, uint32_t site, uint64_t begin, uint64_t end) {
    uint64_t sp = (uintptr_t)__builtin_dwarf_cfa(), number;
    bool first = is_first(own, sp);
    if (first)
        own->pushing = sp;
    scope_fence();
    if (reserve(own, &number)) {
        struct scope_event *event = &own->block->events[number % SCOPE_EVENTS];
        event->begin = begin;
        event->end = end;
        event->site = site;
        event->kind = kind;
        scope_fence();
        event->number = number + 1;
    } else
        lose(own, kind);
    if (first) {
        publish(own);
        own->pushing = 0;
    }
}
