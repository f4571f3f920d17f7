/* SPDX-License-Identifier: MIT */
/* The beginning and end of threads, and what they are given of the shared memory. */
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/system.h"
#include "scope/private.h"

/* Rounds of destructors of keys (PTHREAD_DESTRUCTOR_ITERATIONS): others may run scopes in all but our last. ThreadSanitizer ends a thread
 * in the last one, and nothing that it instruments may run after that: where it sees us, ours is the one before. */
#ifdef SCOPE_UNDER_THREAD_SANITIZER
#define ENDS 3
#else
#define ENDS 4
#endif

enum {
    PROBES = 64, /* blocks looked at for one to use again, before a new one is made */
    STACK_LEAST = 64 << 10,
    STACK_MOST_FIRST = 128 << 20, /* the kernel keeps so much room below the first thread's stack */
    STACK_MOST = 8 << 20,
};

__thread struct scope_self scope_self SCOPE_TLS;

static pthread_key_t end_key;

static _Atomic uint64_t arena_units; /* given out */
static _Atomic uint64_t numbers;
static _Atomic uint32_t own_count, own_turn;
static _Atomic(struct scope_own *) owns[SCOPE_THREADS_MAX];

/* ---- memory ---------------------------------------------------------------------------------------------------------------------- */

void *scope_arena_take(uint64_t size) {
    uint64_t units = (size + SCOPE_UNIT - 1) / SCOPE_UNIT;
    uint64_t at = SCOPE_ARENA_AT + atomic_fetch_add_explicit(&arena_units, units, memory_order_relaxed) * SCOPE_UNIT;
    if (at > scope_process.size || units * SCOPE_UNIT > scope_process.size - at)
        return NULL;
    atomic_fetch_add_explicit(&scope_shared()->arena_used, units, memory_order_relaxed);
    return scope_process.memory + at;
}

static struct scope_own *map_own(void) {
    long at = system_call(SYS_mmap, 0, sizeof(struct scope_own), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return NULL;
    (void)system_call(SYS_madvise, at, sizeof(struct scope_own), MADV_WIPEONFORK, 0, 0, 0); /* else fork_child of start.c clears it */
    return (struct scope_own *)at;                                                          /* NOLINT: an address */
}

static bool claim(struct scope_thread *block) {
    uint32_t state = SCOPE_THREAD_FREE;
    /* acquire: the recorder, who freed it, has read it */
    return atomic_compare_exchange_strong_explicit(&block->state, &state, SCOPE_THREAD_STARTING, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* One whose thread has ended and was read. */
static struct scope_own *use_again(uint32_t probes) {
    uint32_t count = MIN(atomic_load_explicit(&own_count, memory_order_relaxed), (uint32_t)SCOPE_THREADS_MAX);
    for (uint32_t i = 0; i < MIN(probes, count); i++) {
        uint32_t turn = atomic_fetch_add_explicit(&own_turn, 1, memory_order_relaxed) % count;
        /* acquire: pairs with make_new's release */
        struct scope_own *own = atomic_load_explicit(&owns[turn], memory_order_acquire);
        if (own && claim(own->block))
            return own;
    }
    return NULL;
}

static struct scope_own *make_new(void) {
    if (atomic_load_explicit(&own_count, memory_order_relaxed) >= SCOPE_THREADS_MAX)
        return NULL;
    struct scope_own *own = map_own();
    struct scope_thread *block = own ? scope_arena_take(sizeof *block) : NULL;
    uint32_t index = block ? atomic_fetch_add_explicit(&own_count, 1, memory_order_relaxed) : SCOPE_THREADS_MAX;
    if (index >= SCOPE_THREADS_MAX) {
        if (own)
            (void)system_call(SYS_munmap, (long)own, sizeof *own, 0, 0, 0, 0);
        return NULL;
    }
    (void)claim(block);
    own->block = block;
    scope_shared()->threads[index] = (uint32_t)(((uintptr_t)block - (uintptr_t)scope_process.memory) / SCOPE_UNIT);
    atomic_fetch_add_explicit(&scope_shared()->thread_count, 1, memory_order_relaxed);
    atomic_store_explicit(&owns[index], own, memory_order_release);
    return own;
}

/* Nothing of the thread before is left, but for the ring's positions, which only grow, and records to use again. */
static void clear(struct scope_own *own, uint32_t tid) {
    struct scope_thread *block = own->block;
    scope_records_forget(own);
    own->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    own->pushing = own->span_order = 0;
    own->span_high = own->ends = 0;
    own->has_overflow = false;
    system_clear(own->spans, sizeof own->spans);
    block->tid = tid;
    block->start = scope_clock();
    atomic_store_explicit(&block->records, 0, memory_order_relaxed);
    atomic_store_explicit(&block->top, 0, memory_order_relaxed);
    block->unwound = block->unfinished = block->unbalanced = block->spans_refused = block->nodes_refused = block->lost = block->spans_lost =
        0;
    block->nodes[0] = (struct scope_node){0};
    atomic_store_explicit(&block->node_count, 1, memory_order_relaxed);
    /* release: the recorder, having read LIVE, reads nothing of the thread before */
    atomic_store_explicit(&block->state, SCOPE_THREAD_LIVE, memory_order_release);
}

/* ---- threads --------------------------------------------------------------------------------------------------------------------- */

/*
 * glibc and musl put their record of a thread, to which pthread_self points, at the upper end of its stack; how large that is, nobody says
 * without an allocation, so as much as is usual is taken for it. The first thread's ends below the name of the program.
 */
static void find_stack(struct scope_self *self, uint32_t tid) {
    bool is_first = tid == (uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
    uint64_t end = is_first ? getauxval(AT_EXECFN) : (uint64_t)pthread_self(), most = is_first ? STACK_MOST_FIRST : STACK_MOST;
    struct rlimit64 limit = {.rlim_cur = RLIM_INFINITY};
    (void)system_call(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&limit, 0, 0);
    uint64_t size = MIN(MAX((uint64_t)limit.rlim_cur, (uint64_t)STACK_LEAST), most);
    if (end > size) {
        self->real_low = end - size;
        self->real_size = size;
    }
}

static bool begin(struct scope_self *self) {
    scope_process_check_fork();
    if (!scope_process.memory || (self->is_refused && self->process == scope_process.number))
        return false;
    if (atomic_load_explicit(&scope_shared()->is_ended, memory_order_relaxed)) {
        scope_process_stop();
        return false;
    }
    uint32_t tid = (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    struct scope_own *own = use_again(PROBES);
    if (!own && !(own = make_new()) && !(own = use_again(SCOPE_THREADS_MAX))) {
        atomic_fetch_add_explicit(&scope_shared()->threads_refused, 1, memory_order_relaxed);
        self->is_refused = true;
        self->process = scope_process.number;
        return false;
    }
    clear(own, tid);
    if (!self->real_size)
        find_stack(self, tid); /* fork's child keeps the stack it was forked on */
    if (!self->fiber) {
        self->stack_low = self->real_low;
        self->stack_size = self->real_size;
    }
    self->own = own;
    if (self->process != scope_process.number) /* open since before the fork; a new thread has none */
        (void)scope_path_rehome(own, self->top, scope_process.fork_ticks ? scope_process.fork_ticks : scope_clock());
    self->process = scope_process.number;
    (void)pthread_setspecific(end_key, self);
    return true;
}

bool scope_thread_begin(void) {
    struct scope_self *self = &scope_self;
    uint64_t mask = scope_block_signals();
    bool is_begun = scope_is_begun(self) || begin(self);
    scope_restore_signals(mask);
    return is_begun;
}

/* What is still open. The stack will be another thread's, and no record of ours may be found in it. */
static void leave_open(struct scope_self *self, struct scope_own *own) {
    while (self->top) {
        struct scope_entry *entry = self->top;
        if ((uintptr_t)entry->scope - self->real_low < self->real_size &&
            entry->scope->magic == (CPROF_SCOPE_MAGIC ^ (uintptr_t)entry->scope))
            entry->scope->magic = 0;
        own->block->unfinished++;
        self->top = entry->parent;
        scope_entry_give(self, entry);
    }
    for (uint32_t i = 0; i < SCOPE_SPANS_MAX; i++)
        own->block->unfinished += own->spans[i].key != 0;
}

static void thread_end(void *argument) {
    struct scope_self *self = argument;
    struct scope_own *own = self->own;
    if (!own || !own->block)
        return;
    if (++own->ends < ENDS) {
        (void)pthread_setspecific(end_key, self);
        return;
    }
    uint64_t mask = scope_block_signals();
    leave_open(self, own);
    self->own = NULL;
    self->fiber = NULL;
    scope_entries_leave(self);
    /* release: whoever reads ENDED reads all that was before */
    atomic_store_explicit(&own->block->state, SCOPE_THREAD_ENDED, memory_order_release);
    scope_restore_signals(mask);
}

/* At the start of the program, when few keys are given: glibc has room for the values of the first 32 in each thread, and allocates at the
 * first pthread_setspecific of a later one (a library loaded by dlopen into a program that has so many). musl never does. */
int scope_threads_prepare(void) {
    return pthread_key_create(&end_key, thread_end);
}

/* The parent's threads' own stay mapped, and zero: a thread that is here, in a child that was forked behind our back, learns by its own. */
void scope_threads_forget(void) {
    uint32_t count = MIN(atomic_load_explicit(&own_count, memory_order_relaxed), (uint32_t)SCOPE_THREADS_MAX);
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&owns[i], NULL, memory_order_relaxed);
    atomic_store_explicit(&own_count, 0, memory_order_relaxed);
    atomic_store_explicit(&arena_units, 0, memory_order_relaxed);
}
