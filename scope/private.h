/* SPDX-License-Identifier: MIT */
/*
 * What the files of scope/ share with each other. All of it runs in the profiled program, in any thread and in signal handlers.
 *
 *     start.c    the public symbol, the constructor, fork      thread.c   the beginning and end of threads
 *     link.c     how the memory is had from the recorder       entry.c    where the chain of open scopes is kept
 *     measure.c  begin and end                                 stale.c    scopes whose end was jumped over
 *     site.c     sites and their records                       path.c     nodes
 *     span.c     spans and values                              ring.c     events
 *     fiber.c    other stacks
 *
 * Glossary
 *   entry   what is known of an open scope, in private memory: the record on the stack may be overwritten before anybody learns that a
 *           longjmp has left it
 *   chain   the entries of the scopes open in this thread or fibre, the innermost first
 *   own     the private memory of a thread. fork's child finds it zero (MADV_WIPEONFORK), however it was forked, and so learns that the
 *           shared memory is not its own
 *   slow    what seldom happens, done with all signals blocked: no handler sees it half done
 *
 * What is not slow may be interrupted by a handler that opens and closes scopes of its own at any instruction. So every sum is added to by
 * one instruction (machine.h), and begin and end put the chain right before anything that must not be seen twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "include/cprof.h"
#include "scope/machine.h"
#include "scope/scope.h"

#define SCOPE_TLS __attribute__((tls_model("initial-exec")))

/* Nothing moves across, for the eyes of a handler in this thread. */
#define scope_fence() atomic_signal_fence(memory_order_seq_cst)

enum scope_entry_flag {
    ENTRY_PRIMITIVE = 1, /* no instance of the same site is open around it */
    ENTRY_RECURSED = 2,  /* the one directly around it is of the same site */
};

struct scope_entry {
    struct cprof_scope *scope;
    struct scope_entry *parent; /* of a free one: the next free one */
    uint64_t begin;             /* ticks; 0: being opened */
    uint64_t nested;            /* ticks of the scopes directly inside that have ended */
    struct scope_record *record;
    struct scope_node *at; /* its node */
    uint32_t site, node;
    uint32_t flags;
    uint32_t padding;
};
static_assert(sizeof(struct scope_entry) == 64, "one cache line");

/* Of a site in a thread. */
struct scope_direct {
    struct scope_record *record;
    uint64_t hint; /* (row of the parent's node + 1) << 32 | row of the node << 1 | is primitive: the last one looked up; 0: none */
};

struct scope_span {
    uint64_t key; /* order << 16 | site; SPAN_BUSY: being filled; 0: free */
    uint64_t begin;
    struct scope_record *record;
};

struct scope_own {
    struct scope_thread *block; /* NULL: not begun, or wiped by fork */
    uint64_t number;            /* of this thread, never another's in this process and its ancestors */
    uint64_t reserved;          /* events for which there is a place in the ring */
    uint64_t pushing;           /* stack pointer of whoever writes events now; 0: nobody */
    uint64_t span_order;
    uint32_t span_high; /* all spans from here on are free */
    uint32_t used;      /* sites with records */
    uint32_t spare;     /* records kept from the thread that had the block before */
    uint32_t ends;      /* calls of the key's destructor */
    bool has_overflow;  /* SCOPE_NODE_OVERFLOW is in use */
    struct scope_span spans[SCOPE_SPANS_MAX];
    uint8_t outermost[SCOPE_NODES_MAX]; /* of a node: its site is not on the path above it */
    struct scope_direct direct[SCOPE_SITES_MAX];
    uint16_t used_sites[SCOPE_SITES_MAX]; /* id - 1 */
    struct scope_record *spares[SCOPE_SITES_MAX];
};

/* In thread-local storage, which fork copies. */
struct scope_self {
    struct scope_own *own;
    struct scope_entry *top;        /* the chain */
    struct scope_entry *free;       /* entries */
    uint64_t stack_low, stack_size; /* of the stack that the thread was started on; 0 within a fibre */
    uint64_t real_low, real_size;
    struct cprof_fiber *fiber; /* the one entered last */
    uint64_t process;          /* scope_process.number when it began */
    uint32_t imported;         /* entries that came with fibres from other threads */
    uint32_t chunks;           /* of entries, made so far */
    bool is_refused;
};
extern __thread struct scope_self scope_self SCOPE_TLS;

struct scope_process {
    char *memory;        /* NULL: not recorded */
    uint64_t size;       /* of the mapping */
    bool is_cycles;      /* the clock */
    uint64_t number;     /* 1, and one more at each fork */
    uint64_t fork_ticks; /* when this process was forked; 0: it was not seen */
    uint64_t inverse_period, event_ticks;
};
extern struct scope_process scope_process;

static inline struct scope_shared *scope_shared(void) {
    return (struct scope_shared *)(void *)scope_process.memory;
}

static inline uint64_t scope_clock(void) {
    return likely(scope_process.is_cycles) ? clock_cycles() : clock_now();
}

/* ---- link.c ---------------------------------------------------------------------------------------------------------------------- */

/* Keeps where $CPROF_SCOPES says the recorder is. False: nobody records. */
bool scope_link_prepare(void);

/* The memory, mapped, from the recorder; NULL: it declines, or cannot be reached. */
struct scope_shared *scope_link_connect(uint64_t *ret_size);

/* ---- start.c --------------------------------------------------------------------------------------------------------------------- */

uint64_t scope_block_signals(void);
void scope_restore_signals(uint64_t mask);

/* From now on this program is recorded, into `memory`; once, while it has one thread. False: it cannot be. */
bool scope_process_start(struct scope_shared *memory, uint64_t size);

/* Nobody reads any more. */
void scope_process_stop(void);

/* If this process was forked off the one that was recorded, it is given a memory of its own, or none. Signals are blocked. */
void scope_process_check_fork(void);

/* ---- thread.c -------------------------------------------------------------------------------------------------------------------- */

/* Once a process, before anything else; 0 or an error of pthread_key_create. */
int scope_threads_prepare(void);

/* In fork's child: no other thread is here. */
void scope_threads_forget(void);

/* Gives the calling thread its own; slow. False: it is not recorded. */
bool scope_thread_begin(void);

static inline bool scope_is_begun(const struct scope_self *self) {
    return likely(self->own != NULL) && likely(self->own->block != NULL);
}

/* Room in the shared memory, zero; NULL: there is none. */
void *scope_arena_take(uint64_t size);

/* ---- entry.c --------------------------------------------------------------------------------------------------------------------- */

/* More free entries; slow, signals are blocked by it. False: no memory. */
bool scope_entries_refill(struct scope_self *self);

/* The calling thread has `count` entries more than it made; it has none any more. */
void scope_entries_imported(struct scope_self *self, uint32_t count);
void scope_entries_leave(struct scope_self *self);

/* There is one. */
static inline struct scope_entry *scope_entry_take_one(struct scope_self *self) {
    /* A handler in between takes from the list and gives back in reverse order, so that it is again as we read it. */
    struct scope_entry *entry = self->free;
    self->free = entry->parent;
    scope_fence();
    return entry;
}

static inline struct scope_entry *scope_entry_take(struct scope_self *self) {
    if (unlikely(!self->free) && !scope_entries_refill(self))
        return NULL;
    return scope_entry_take_one(self);
}

static inline void scope_entry_give(struct scope_self *self, struct scope_entry *entry) {
    entry->parent = self->free;
    scope_fence();
    self->free = entry;
}

/* ---- site.c ---------------------------------------------------------------------------------------------------------------------- */

/* The id of a site seen for the first time (0: no room), and the record of a thread that had none (NULL: no room). Slow. */
uint32_t scope_site_find(struct cprof_site *site);
struct scope_record *scope_record_make(struct scope_own *own, uint32_t site);
void scope_records_forget(struct scope_own *own);
void scope_sites_after_fork(const void *old_memory);

enum { SITE_REFUSED = 0xffffffff };

static inline struct scope_direct *scope_direct_of(struct scope_own *own, struct cprof_site *site, uint32_t *ret_id) {
    uint32_t id = __atomic_load_n(&site->id, __ATOMIC_RELAXED);
    if (unlikely(id - 1 >= SCOPE_SITES_MAX) && !(id = scope_site_find(site)))
        return NULL;
    struct scope_direct *direct = &own->direct[id - 1];
    if (unlikely(!direct->record) && !scope_record_make(own, id))
        return NULL;
    *ret_id = id;
    return direct;
}

/* ---- path.c ---------------------------------------------------------------------------------------------------------------------- */

/* The node of `site` under the node of `parent` (NULL: of none), and its flags. */
uint32_t scope_path_find(struct scope_own *own, const struct scope_entry *parent, uint32_t site, uint32_t *ret_flags);

/* Makes the chain from `top` on this thread's: its records and nodes. Slow; signals are blocked. `restart`: and lets it begin at that time,
 * if it is not 0. The entries. */
uint32_t scope_path_rehome(struct scope_own *own, struct scope_entry *top, uint64_t restart);

/* ---- stale.c --------------------------------------------------------------------------------------------------------------------- */

/* Ends what the stack, of which `sp` is the pointer, shows to be left. `scope`: where the next one will lie. */
void scope_stale_pop(struct scope_self *self, uint64_t sp, const struct cprof_scope *scope);

/* The end of one that is not the innermost. */
void scope_stale_end(struct scope_self *self, struct cprof_scope *scope);

/* ---- ring.c ---------------------------------------------------------------------------------------------------------------------- */

void scope_event_push(struct scope_own *own, uint32_t kind, uint32_t site, uint64_t begin, uint64_t end);

/* ---- measure.c: the functions of struct cprof_runtime ---------------------------------------------------------------------------- */

void scope_begin(struct cprof_scope *scope, struct cprof_site *site);
void scope_end(struct cprof_scope *scope);
void scope_span_begin(struct cprof_site *site);
void scope_span_end(struct cprof_site *site);
void scope_value(struct cprof_site *site, uint64_t value);
void scope_thread_name(const char *name);
void scope_fiber_enter(struct cprof_fiber *fiber);
void scope_fiber_leave(struct cprof_fiber *fiber);
