/* SPDX-License-Identifier: MIT */
/*
 * The public symbol, and the beginning of programs and forked processes.
 *
 * There may be several copies of this library in a process: in the executable, shared, in plugins. Their symbols of this name are one, the
 * first of the dynamic linker's search; the copy whose functions it holds does all the work, and the others find that out and rest.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/system.h"
#include "scope/private.h"

struct cprof_runtime cprof_runtime = {
    .size = sizeof(struct cprof_runtime),
    .version = CPROF_ABI_VERSION,
    .begin = scope_begin,
    .end = scope_end,
    .span_begin = scope_span_begin,
    .span_end = scope_span_end,
    .value = scope_value,
    .thread_name = scope_thread_name,
    .fiber_enter = scope_fiber_enter,
    .fiber_leave = scope_fiber_leave,
};

struct scope_process scope_process;

/* A page that forked children find zero, however they were forked. */
enum { FORKED, CONNECTING, LINKED };
static _Atomic uint32_t *link_state;

static __thread uint64_t mask_before_fork SCOPE_TLS;

/* ---- signals --------------------------------------------------------------------------------------------------------------------- */

static void set_mask(const uint64_t *mask, uint64_t *ret_old) {
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, (long)ret_old, sizeof *mask, 0, 0);
}

uint64_t scope_block_signals(void) {
    uint64_t all = ~UINT64_C(0), old = 0;
    set_mask(&all, &old);
    return old;
}

void scope_restore_signals(uint64_t mask) {
    set_mask(&mask, NULL);
}

/* ---- the process ----------------------------------------------------------------------------------------------------------------- */

static void set_recording(uint32_t version) {
    __atomic_store_n(&cprof_runtime.recording, version, __ATOMIC_RELEASE);
}

static void process_begin(struct scope_shared *memory, uint64_t size) {
    scope_process.memory = (char *)memory;
    scope_process.size = size;
    scope_process.is_cycles = memory->clock == SCOPE_CLOCK_CYCLES;
    scope_process.inverse_period = memory->inverse_period;
    scope_process.event_ticks = memory->event_ticks;
    scope_process.number++;
    memory->pid = (uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
    atomic_store_explicit(&memory->arena_used, SCOPE_ARENA_AT / SCOPE_UNIT, memory_order_relaxed);
}

void scope_process_stop(void) {
    set_recording(0);
}

/* ---- fork ------------------------------------------------------------------------------------------------------------------------ */

static void fork_prepare(void) {
    mask_before_fork = scope_block_signals();
}

static void fork_parent(void) {
    scope_restore_signals(mask_before_fork);
}

/* Most children go on to exec: the recorder is asked at the first scope. A kernel without MADV_WIPEONFORK (before 4.14) leaves it to us. */
static void fork_child(void) {
    atomic_store_explicit(link_state, FORKED, memory_order_relaxed);
    scope_process.fork_ticks = scope_clock();
    if (scope_self.own)
        scope_self.own->block = NULL;
    scope_restore_signals(mask_before_fork);
}

/* The old memory stays mapped when it is not known that no other thread of ours may look at it: it is the parent's, who is not disturbed.
 */
static void connect_child(void) {
    int error = errno;
    uint64_t size;
    const void *old = scope_process.memory;
    struct scope_shared *memory = scope_link_connect(&size);
    scope_threads_forget();
    if (memory) {
        process_begin(memory, size);
        scope_sites_after_fork(old);
    } else {
        scope_process.memory = NULL;
        set_recording(0);
    }
    errno = error;
}

/* acquire and release pair with each other: whoever finds LINKED finds what connect_child has left */
void scope_process_check_fork(void) {
    uint32_t state = atomic_load_explicit(link_state, memory_order_acquire);
    while (state != LINKED) {
        if (state == FORKED &&
            atomic_compare_exchange_strong_explicit(link_state, &state, CONNECTING, memory_order_acquire, memory_order_acquire)) {
            connect_child();
            atomic_store_explicit(link_state, LINKED, memory_order_release);
            return;
        }
        (void)system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        state = atomic_load_explicit(link_state, memory_order_acquire);
    }
}

/* ---- the program ----------------------------------------------------------------------------------------------------------------- */

static bool make_link_state(void) {
    long page = sysconf(_SC_PAGESIZE);
    void *at = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return false;
    (void)madvise(at, (size_t)page, MADV_WIPEONFORK);
    link_state = at;
    atomic_store_explicit(link_state, LINKED, memory_order_relaxed);
    return true;
}

bool scope_process_start(struct scope_shared *memory, uint64_t size) {
    if (!make_link_state() || scope_threads_prepare() != 0 || pthread_atfork(fork_prepare, fork_parent, fork_child) != 0)
        return false;
    process_begin(memory, size);
    set_recording(CPROF_ABI_VERSION);
    return true;
}

/* Another copy answers for this process. If it is of another version, code made for ours finds nobody, and the recorder is to say so. */
static void tell_of_foreigner(struct scope_shared *memory) {
    memory->pid = (uint32_t)getpid();
    atomic_store_explicit(&memory->foreign_version, cprof_runtime.version, memory_order_release);
}

/* Early: scopes in the constructors of an executable that has the library in itself are to be seen. */
__attribute__((constructor(101))) static void program_begin(void) {
    int error = errno;
    bool is_first = cprof_runtime.begin == scope_begin, is_foreign = cprof_runtime.version != CPROF_ABI_VERSION;
    uint64_t size = 0;
    struct scope_shared *memory = (is_first || is_foreign) && scope_link_prepare() ? scope_link_connect(&size) : NULL;
    if (memory && is_foreign)
        tell_of_foreigner(memory);
    if (memory && (is_foreign || !scope_process_start(memory, size)))
        munmap(memory, size);
    errno = error;
}

void scope_thread_name(const char *name) {
    int error = errno;
    (void)prctl(PR_SET_NAME, name, 0, 0, 0); /* libc's: the agent sees it by the call */
    errno = error;
}
