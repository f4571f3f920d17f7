/* SPDX-License-Identifier: MIT */
/*
 * Who is sampled: the table of this process's threads, and how those are found that did not come through pthread_create.
 *
 *     agent_threads[i]   the thread that owns ring i, if it is one of this process
 *     slots[tid]         what is known of a thread by number: its index in the table + 1, or one of the values below
 *
 * A thread made by pthread_create enters before its start routine (enter). Others (C11's threads, clone) are found by the handler of any
 * thread: now and then it compares the number of threads that the kernel has of this process with those in the table, and lists
 * /proc/self/task if they differ; who is not in the table gets a ring and a timer, and its own first signal does the rest (complete).
 * Threads that ended without a word are taken out in the same way. Between two looks are LOOK_NS, or as much as makes looking cost a
 * hundredth of a thread's time: with thousands of threads a listing takes milliseconds.
 *
 * Both ways may meet: whoever moves a slot to BUSY (compare-and-swap) takes the ring; the other waits until it is no longer BUSY.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/private.h"
#include "base/clock.h"
#include "base/system.h"

enum {
    TID_MAX = 1 << 22, /* PID_MAX_LIMIT of the kernel */
    LOOK_NS = 5000000,
    LOOK_SHARE = 100,
    BUSY_TRIES = 100000,
    LIST_BYTES = 32 << 10,
    OWN_LINKS = 2, /* st_nlink of a directory without subdirectories */
    NO_SUCH_THREAD = -3,
    NAME_OPTION = 16, /* PR_GET_NAME */
};

enum {
    SLOT_BUSY = 0x40000000,
    SLOT_NO_RING = 0x40000001, /* there was none for it */
};
#define SLOT_ENDING UINT32_C(0x80000000) /* | number of the look: it has left the table and may be there for a moment still */

struct agent_thread agent_threads[AGENT_RINGS];

static __thread struct agent_thread *agent_self __attribute__((tls_model("initial-exec")));
static _Atomic uint32_t slots[TID_MAX];
static _Atomic uint32_t present; /* threads in the table */
static _Atomic uint32_t used;    /* of the table, from 0 */

static _Atomic uint32_t lock; /* over what follows */
static _Atomic uint64_t last_look, look_interval = LOOK_NS;
static uint32_t looks;
static char list[LIST_BYTES];

static uint32_t own_tid(void) {
    return (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static uint32_t tid_of(const struct agent_thread *thread) {
    return atomic_load_explicit(&thread->tid, memory_order_relaxed);
}

struct agent_thread *agent_threads_hint(void) {
    return agent_self && agent_self->ring ? agent_self : NULL;
}

uint32_t agent_threads_used(void) {
    return atomic_load_explicit(&used, memory_order_relaxed);
}

struct agent_thread *agent_threads_self(void) {
    struct agent_thread *self = agent_threads_hint();
    return self && tid_of(self) == own_tid() ? self : NULL;
}

struct agent_thread *agent_threads_of(const siginfo_t *info) {
    enum { SIGNAL_CODE_TIMER = -2 }; /* SI_TIMER */
    uintptr_t at = (uintptr_t)info->si_value.sival_ptr - (uintptr_t)agent_threads;
    if (info->si_code != SIGNAL_CODE_TIMER || at >= sizeof agent_threads || at % sizeof agent_threads[0])
        return NULL;
    return &agent_threads[at / sizeof agent_threads[0]];
}

/* ---- entering and leaving -------------------------------------------------------------------------------------------------------- */

static bool is_in_table(uint32_t slot, uint32_t tid) {
    return slot - 1 < AGENT_RINGS && tid_of(&agent_threads[slot - 1]) == tid;
}

/* The caller holds the slot BUSY. NULL: there is no ring. */
static struct agent_thread *add(uint32_t tid) {
    struct agent_thread *thread = agent_ring_take(tid);
    if (!thread) {
        atomic_store_explicit(&slots[tid], SLOT_NO_RING, memory_order_release);
        return NULL;
    }
    uint32_t index = (uint32_t)(thread - agent_threads), count = agent_threads_used();
    while (count <= index && !atomic_compare_exchange_weak_explicit(&used, &count, index + 1, memory_order_relaxed, memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&present, 1, memory_order_relaxed);
    return thread;
}

static void publish(struct agent_thread *thread, uint32_t tid) {
    atomic_store_explicit(&slots[tid], (uint32_t)(thread - agent_threads) + 1, memory_order_release); /* acquired by enter */
}

static void write_task(struct agent_thread *self, enum agent_record_type type, uint32_t parent_pid, uint32_t parent_tid, uint64_t now) {
    struct agent_task *task = agent_ring_begin(self, type, sizeof *task, now);
    if (!task)
        return;
    const struct agent_record record = task->record;
    system_clear(task, sizeof *task);
    task->record = record;
    task->parent_pid = parent_pid;
    task->parent_tid = parent_tid;
    task->image = agent_process.image;
    system_call(SYS_prctl, NAME_OPTION, (long)task->comm, 0, 0, 0, 0);
    agent_ring_commit(self);
}

void agent_threads_complete(struct agent_thread *self, uint64_t now) {
    self->is_begun = true;
    write_task(self, AGENT_THREAD, agent_process.pid, agent_process.pid, now);
}

/* True: the slot is ours, and it said whether the thread was counted as one without a ring. False: the thread is in the table already. */
static bool claim(uint32_t tid, bool *ret_is_counted) {
    for (unsigned tries = 0;; tries++) {
        uint32_t slot = atomic_load_explicit(&slots[tid], memory_order_acquire); /* pairs with publish */
        if (is_in_table(slot, tid))
            return false;
        bool is_free = slot != SLOT_BUSY || tries > BUSY_TRIES; /* by a thread that was not there any more after fork */
        *ret_is_counted = slot == SLOT_NO_RING;
        if (is_free && atomic_compare_exchange_strong_explicit(&slots[tid], &slot, SLOT_BUSY, memory_order_acquire, memory_order_relaxed))
            return true;
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
}

/* A thread is counted as long as there is no ring for it: whether it or somebody else has looked for one, and once. */
static void count_unarmed(bool is_counted, bool has_ring) {
    if (is_counted && has_ring)
        atomic_fetch_sub_explicit(&agent_process.shared->unarmed, 1, memory_order_relaxed);
    else if (!is_counted && !has_ring)
        atomic_fetch_add_explicit(&agent_process.shared->unarmed, 1, memory_order_relaxed);
}

static struct agent_thread *enter_new(uint32_t tid, enum agent_record_type type, uint32_t parent_pid, uint32_t parent_tid) {
    struct agent_thread *self = add(tid);
    if (!self)
        return NULL;
    uint64_t now = clock_now();
    self->is_begun = true;
    self->started = now;
    self->cpu_start = self->cpu_sampled = agent_thread_cpu();
    atomic_store_explicit(&self->cpu_seen, self->cpu_start, memory_order_relaxed);
    write_task(self, type, parent_pid, parent_tid, now);
    agent_timers_start(self, now);
    publish(self, tid);
    return self;
}

struct agent_thread *agent_threads_enter(enum agent_record_type type, uint32_t parent_pid, uint32_t parent_tid) {
    uint32_t tid = own_tid();
    struct agent_thread *self = NULL;
    if (tid >= TID_MAX)
        return NULL;
    bool is_counted;
    if (claim(tid, &is_counted)) {
        self = enter_new(tid, type, parent_pid, parent_tid);
        count_unarmed(is_counted, self);
    } else {
        self = &agent_threads[atomic_load_explicit(&slots[tid], memory_order_relaxed) - 1];
        if (!self->is_begun)
            agent_threads_complete(self, clock_now());
    }
    agent_self = self;
    return self;
}

static void take_out(struct agent_thread *thread, uint32_t slot) {
    atomic_store_explicit(&slots[tid_of(thread)], slot, memory_order_relaxed);
    atomic_fetch_sub_explicit(&present, 1, memory_order_relaxed);
    agent_ring_end(thread);
}

void agent_threads_leave(struct agent_thread *self, uint64_t now) {
    agent_timers_stop(self);
    struct agent_end *end = agent_ring_begin(self, AGENT_END, sizeof *end, now);
    if (end) {
        end->cpu_time = agent_thread_cpu() - self->cpu_start;
        agent_ring_commit(self);
    }
    take_out(self, SLOT_ENDING | looks);
    agent_self = NULL;
}

void agent_threads_forget(void) {
    uint32_t slot = SLOT_NO_RING, tid = own_tid();
    if (tid < TID_MAX)
        (void)atomic_compare_exchange_strong_explicit(&slots[tid], &slot, SLOT_ENDING | looks, memory_order_relaxed, memory_order_relaxed);
}

/* ---- looking for others ---------------------------------------------------------------------------------------------------------- */

static bool try_lock(void) {
    return !atomic_exchange_explicit(&lock, 1, memory_order_acquire); /* pairs with agent_threads_unlock */
}

void agent_threads_lock(void) {
    while (!try_lock())
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

void agent_threads_unlock(void) {
    atomic_store_explicit(&lock, 0, memory_order_release);
}

/* False: there is no ring for it. */
static bool adopt(uint32_t tid, uint64_t now) {
    uint32_t slot = tid < TID_MAX ? atomic_load_explicit(&slots[tid], memory_order_relaxed) : SLOT_BUSY;
    bool is_ending = slot & SLOT_ENDING && ((looks - slot) & ~SLOT_ENDING) <= 2;
    if (slot == SLOT_BUSY || is_ending || is_in_table(slot, tid) ||
        !atomic_compare_exchange_strong_explicit(&slots[tid], &slot, SLOT_BUSY, memory_order_acquire, memory_order_relaxed))
        return true;
    struct agent_thread *thread = add(tid);
    count_unarmed(slot == SLOT_NO_RING, thread);
    if (!thread)
        return false;
    atomic_fetch_add_explicit(&agent_process.shared->adopted, 1, memory_order_relaxed);
    agent_timers_start(thread, now);
    publish(thread, tid);
    return true;
}

struct entry { /* struct linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static uint32_t number_of(const char *name) {
    uint32_t number = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (uint32_t)(*name - '0');
    return number;
}

/* Adopts those that are not in the table; how many threads there are. */
static uint32_t list_threads(int directory, uint64_t now) {
    uint32_t count = 0;
    bool has_rings = true;
    for (;;) {
        long got = system_call(SYS_getdents64, directory, (long)list, sizeof list, 0, 0, 0);
        if (got <= 0)
            return count;
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(list + at);
            uint32_t tid = number_of(entry->name); /* 0: "." and ".." */
            count += tid > 0;
            if (tid && has_rings)
                has_rings = adopt(tid, now);
            at += entry->size;
        }
    }
}

/* Those that ended without a word. */
static void take_out_dead(void) {
    uint32_t count = agent_threads_used();
    for (uint32_t i = 0; i < count; i++) {
        struct agent_thread *thread = &agent_threads[i];
        uint32_t tid = tid_of(thread);
        if (!tid || system_call(SYS_tgkill, agent_process.pid, tid, 0, 0, 0, 0) != NO_SUCH_THREAD || tid_of(thread) != tid)
            continue;
        agent_timers_stop(thread);
        take_out(thread, 0);
    }
}

static void look(uint64_t now) {
    struct stat info;
    if (system_call(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&info, 0, 0, 0) != 0 ||
        info.st_nlink == atomic_load_explicit(&present, memory_order_relaxed) + OWN_LINKS)
        return;
    long directory = system_call(SYS_openat, AT_FDCWD, (long)"/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (directory < 0)
        return;
    looks = (looks + 1) & ~SLOT_ENDING;
    uint32_t count = list_threads((int)directory, now);
    system_call(SYS_close, directory, 0, 0, 0, 0, 0);
    if (count < atomic_load_explicit(&present, memory_order_relaxed))
        take_out_dead();
}

void agent_threads_look(uint64_t now) {
    if (now - atomic_load_explicit(&last_look, memory_order_relaxed) < atomic_load_explicit(&look_interval, memory_order_relaxed) ||
        !try_lock())
        return;
    atomic_store_explicit(&last_look, now, memory_order_relaxed);
    look(now);
    uint64_t interval = (clock_now() - now) * LOOK_SHARE;
    atomic_store_explicit(&look_interval, interval < LOOK_NS ? LOOK_NS : interval, memory_order_relaxed);
    agent_threads_unlock();
}

void agent_threads_after_fork(void) {
    uint32_t count = agent_threads_used();
    for (uint32_t i = 0; i < count; i++)
        if (tid_of(&agent_threads[i]))
            system_clear(&agent_threads[i], sizeof agent_threads[i]);
    atomic_store_explicit(&used, 0, memory_order_relaxed);
    atomic_store_explicit(&present, 0, memory_order_relaxed);
    agent_self = NULL;
    agent_threads_unlock();
}
