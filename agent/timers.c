/* SPDX-License-Identifier: MIT */
/*
 * When a thread is sampled.
 *
 * Time is cut into cells of one period; in each cell the thread's one-shot timer (CLOCK_MONOTONIC: high resolution where CPU-time timers
 * have the tick's) fires at a moment drawn uniformly (cells.h), so that nothing periodic in the program can keep step with it.
 *
 * A thread that sleeps does not get the timer again, so that it takes one signal a sleep. In the calls of sleeps.c its waking is seen, and
 * it is in its cells again at once. In others one on its CPU clock wakes the chain when it runs; that is looked at once a tick, so this is
 * for threads that have used next to nothing since their last signal. (The same timer is behind the others, in case they are left by a
 * jump; it finds the main timer armed, and does nothing.)
 *
 * Where monotonic timers are no better than the tick (AGENT_CLOCK_CPU) a periodic timer on the thread's CPU clock takes their place: the
 * kernel looks at it once a tick, sends one signal, and tells how many periods went by unsignalled (si_overrun). It starts at a random
 * moment of the first period, does not disturb a thread that sleeps, and goes on by itself.
 *
 * Timers are counted (RLIMIT_SIGPENDING, of all processes of a user together). When there are no more, threads have them in turn: who has
 * had one for TURN_NS, or sleeps, hands it on to one that waits. A timer cannot change its thread, so handing on is making one there and
 * deleting one here. The weights stay right: a sample weighs all that its thread has used since its last one. Threads that have used next
 * to nothing since they were last seen are passed over; who sleeps, and finds nobody who could use its timer, looks again after a while.
 *
 *     timer_state    BEFORE -> NONE -> GIVING -> HAS -> NONE ... -> OVER, and back to NONE if the exec for which it stopped has failed
 *
 * Whoever moves it from NONE to GIVING (compare-and-swap, acquire) may write the thread's timer and draws its moments, until it stores HAS
 * or NONE (release). From HAS it is moved by the thread itself alone, in its handler or with signals blocked.
 */
#include <time.h>

#include "agent/private.h"
#include "base/clock.h"
#include "base/system.h"

enum { BEFORE, NONE, GIVING, HAS, OVER };

enum {
    IDLE_NS = 100000, /* that a thread which slept uses before it is looked at again */
    TURN_NS = 20000000,
    TO_THREAD = 4,         /* SIGEV_THREAD_ID */
    TURN_LOOKED_AT = 1024, /* places of the table, at once, for one who could use a timer */
    TURN_ASKED = 64,       /* and so many of them for what they have used */
    TURN_SLEEP_CELLS = 64, /* until a sleeper looks again */
};

static _Atomic uint32_t waiting; /* threads in state NONE */
static _Atomic uint32_t cursor;  /* in the table: whose turn is next */

/* struct sigevent, whose members the C libraries call by different names */
struct kernel_sigevent {
    uint64_t value;
    int32_t signal, notify;
    uint32_t tid;
    uint32_t padding[11];
};
static_assert(sizeof(struct kernel_sigevent) == 64, "as in the kernel's siginfo.h");

static uint64_t cpu_by(clockid_t clock) {
    struct timespec time = {0};
    system_call(SYS_clock_gettime, clock, (long)&time, 0, 0, 0, 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t agent_thread_cpu(void) {
    return cpu_by(CLOCK_THREAD_CPUTIME_ID);
}

/* clock_getcpuclockid's of a thread (the kernel's linux/posix-timers.h): any thread of the process may ask for it. */
static clockid_t cpu_clock_of(const struct agent_thread *thread) {
    enum { THREAD_CLOCK = 6 }; /* CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED */
    return (clockid_t)(~atomic_load_explicit(&thread->tid, memory_order_relaxed) << 3 | THREAD_CLOCK);
}

static bool timer_make(struct agent_thread *thread, clockid_t clock, int *ret_timer) {
    struct kernel_sigevent event;
    system_clear(&event, sizeof event);
    event.value = (uintptr_t)thread;
    event.signal = agent_process.signal;
    event.notify = TO_THREAD;
    event.tid = atomic_load_explicit(&thread->tid, memory_order_relaxed);
    return system_call(SYS_timer_create, clock, (long)&event, (long)ret_timer, 0, 0, 0) == 0;
}

static struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* `interval` 0: once. */
static void timer_arm(int timer, int flags, uint64_t at, uint64_t interval) {
    struct itimerspec when = {.it_value = timespec_of(at), .it_interval = timespec_of(interval)};
    system_call(SYS_timer_settime, timer, flags, (long)&when, 0, 0, 0);
}

static bool timer_make_main(struct agent_thread *thread) {
    return timer_make(thread, agent_process.clock == AGENT_CLOCK_CPU ? cpu_clock_of(thread) : CLOCK_MONOTONIC, &thread->main_timer);
}

static void timer_delete_raw(int timer) {
    system_call(SYS_timer_delete, timer, 0, 0, 0, 0, 0);
}

/* xorshift64 (Marsaglia 2003) */
static uint64_t draw(struct agent_thread *thread) {
    uint64_t x = thread->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return thread->random = x;
}

/* At the next moment of its cells, or so many cells later. `now` is CLOCK_MONOTONIC. */
static void arm_monotonic(struct agent_thread *thread, uint64_t now, uint64_t later) {
    uint64_t period = agent_process.period, at = cells_next(&thread->cells, now, period, draw(thread), draw(thread)) + later * period;
    atomic_store_explicit(&thread->expected, at, memory_order_relaxed); /* before the signal, which reads it */
    thread->is_put_off = later > 0;
    timer_arm(thread->main_timer, TIMER_ABSTIME, at, 0);
}

static void arm_first(struct agent_thread *thread) {
    uint64_t period = agent_process.period;
    if (agent_process.clock == AGENT_CLOCK_CPU)
        timer_arm(thread->main_timer, 0, draw(thread) % period + 1, period);
    else
        arm_monotonic(thread, clock_read(CLOCK_MONOTONIC), 0);
}

/* ---- turns ----------------------------------------------------------------------------------------------------------------------- */

/* A timer for `thread`, who is the caller or another; false: it has one, is going, or there is none. */
static bool give(struct agent_thread *thread, uint64_t now) {
    uint32_t state = NONE;
    if (!atomic_compare_exchange_strong_explicit(&thread->timer_state, &state, GIVING, memory_order_acquire, memory_order_relaxed))
        return false;
    if (!timer_make_main(thread)) {
        atomic_store_explicit(&thread->timer_state, NONE, memory_order_release);
        return false;
    }
    atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
    thread->turn_began = now;
    arm_first(thread);
    /* After the last use of its state. If its signal is there before, it finds GIVING and knows that it has a timer all the same. */
    atomic_store_explicit(&thread->timer_state, HAS, memory_order_release);
    return true;
}

/* The caller's own timers. */
static void take_away(struct agent_thread *self, uint32_t state) {
    timer_delete_raw(self->main_timer);
    if (self->has_cpu_timer)
        timer_delete_raw(self->cpu_timer);
    self->has_cpu_timer = false;
    if (state == NONE)
        atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    atomic_store_explicit(&self->timer_state, state, memory_order_release); /* acquired by give */
}

static bool is_waiting(const struct agent_thread *thread) {
    return atomic_load_explicit(&thread->tid, memory_order_relaxed) &&
           atomic_load_explicit(&thread->timer_state, memory_order_relaxed) == NONE;
}

/* The next of those who wait and have run, in order of the table. A look that finds none goes on next time where it ended. */
static struct agent_thread *next_in_turn(void) {
    uint32_t count = agent_threads_used(), asked = 0;
    for (uint32_t i = 0; i < count && i < TURN_LOOKED_AT && asked < TURN_ASKED; i++) {
        struct agent_thread *thread = &agent_threads[atomic_fetch_add_explicit(&cursor, 1, memory_order_relaxed) % count];
        if (!is_waiting(thread))
            continue;
        if (cpu_by(cpu_clock_of(thread)) > atomic_load_explicit(&thread->cpu_seen, memory_order_relaxed) + IDLE_NS)
            return thread;
        asked++;
    }
    return NULL;
}

/* False: the timer stays where it is. There is nobody to have it, or there are more of them by now. */
static bool hand_on(struct agent_thread *self, uint64_t now) {
    struct agent_thread *next = next_in_turn();
    if (!next || give(next, now) || !is_waiting(next)) {
        self->turn_began = now;
        return false;
    }
    take_away(self, NONE); /* there is one timer now, unless another process was quicker */
    if (!give(next, now))
        (void)give(self, now);
    return true;
}

/* ---- the thread's own ------------------------------------------------------------------------------------------------------------ */

void agent_timers_start(struct agent_thread *self, uint64_t now) {
    self->seen = clock_read(CLOCK_MONOTONIC);
    self->random = (clock_cycles() ^ (uintptr_t)self << 20) | 1;
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    atomic_store_explicit(&self->timer_state, NONE,
                          memory_order_release); /* acquired by give: who gives it a timer draws from its numbers */
    if (!give(self, now) && is_waiting(self))
        atomic_fetch_add_explicit(&agent_process.shared->in_turn, 1, memory_order_relaxed);
}

void agent_timers_restart(struct agent_thread *self, uint64_t now) {
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    atomic_store_explicit(&self->timer_state, NONE, memory_order_release); /* acquired by give */
    (void)give(self, now);
}

void agent_timers_stop(struct agent_thread *self) {
    uint32_t state = NONE;
    while (!atomic_compare_exchange_weak_explicit(&self->timer_state, &state, OVER, memory_order_acquire, memory_order_relaxed)) {
        if (state == HAS) {
            take_away(self, OVER);
            struct agent_thread *next = atomic_load_explicit(&waiting, memory_order_relaxed) ? next_in_turn() : NULL;
            if (next)
                (void)give(next, clock_now());
            return;
        }
        if (state == OVER)
            return;
        if (state == GIVING)
            system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        state = NONE;
    }
    atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
}

/* The second timer is a luxury, made when it is needed first, and not while others have none. */
static bool has_cpu_timer(struct agent_thread *self) {
    if (!self->has_cpu_timer && !atomic_load_explicit(&waiting, memory_order_relaxed))
        self->has_cpu_timer = timer_make(self, CLOCK_THREAD_CPUTIME_ID, &self->cpu_timer);
    return self->has_cpu_timer;
}

void agent_timers_next(struct agent_thread *self, uint64_t now, uint64_t clock, bool is_idle) {
    while (atomic_load_explicit(&self->timer_state, memory_order_acquire) == GIVING) /* somebody is about to store HAS */
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    if (atomic_load_explicit(&self->timer_state, memory_order_relaxed) != HAS) /* the last signal of a timer that is gone */
        return;
    bool is_turn_over = is_idle || now - self->turn_began > TURN_NS;
    if (is_turn_over && atomic_load_explicit(&waiting, memory_order_relaxed) && hand_on(self, now))
        return;
    if (agent_process.clock == AGENT_CLOCK_CPU)
        return;
    if (is_idle && has_cpu_timer(self)) {
        atomic_store_explicit(&self->expected, 0, memory_order_relaxed);
        self->is_put_off = true;
        timer_arm(self->cpu_timer, 0, IDLE_NS, 0);
    } else {
        arm_monotonic(self, clock, is_idle ? TURN_SLEEP_CELLS : 0);
    }
}

/* It is known to have slept until now: that does not make a signal late. */
void agent_timers_wake(struct agent_thread *self) {
    if (!self->is_put_off || atomic_load_explicit(&self->timer_state, memory_order_relaxed) != HAS)
        return;
    self->seen = clock_read(CLOCK_MONOTONIC);
    atomic_store_explicit(&self->cpu_seen, agent_thread_cpu(), memory_order_relaxed);
    arm_monotonic(self, self->seen, 0);
}

void agent_timers_after_fork(void) {
    atomic_store_explicit(&waiting, 0, memory_order_relaxed);
}
