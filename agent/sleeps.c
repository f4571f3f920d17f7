/* SPDX-License-Identifier: MIT */
/*
 * Calls that no kernel restarts after a signal, SA_RESTART or not, and that programs sleep in: interposed, so that a program does not see
 * ours. A call that was interrupted by our signal alone goes on for the time that is left.
 *
 * Whether it was ours is the handler's word: it has found the thread where such a call returns EINTR, just below the frame that called it,
 * and no other signal waiting. One that the program wants to be interrupted by comes first, or is seen to wait, but for a moment no longer
 * than that between the end of a call and the beginning of the next. Calls that change the signal mask (ppoll, pselect, epoll_pwait,
 * sigsuspend) are there to have no such moment, and are left alone.
 *
 * Here the end of a sleep is seen, too: a thread whose timer was put off while it slept (timers.c) has it back at once.
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "agent/next.h"
#include "agent/private.h"
#include "base/clock.h"

AGENT_NEXT(nanosleep)
AGENT_NEXT(clock_nanosleep)
AGENT_NEXT(poll)
AGENT_NEXT(epoll_wait)
AGENT_NEXT(select)
AGENT_NEXT(sem_timedwait)

void agent_sleeps_init(void) {
    (void)next_nanosleep();
    (void)next_clock_nanosleep();
    (void)next_poll();
    (void)next_epoll_wait();
    (void)next_select();
    (void)next_sem_timedwait();
}

struct nap {
    struct agent_thread *self; /* NULL: not sampled */
    int error;                 /* errno before */
    uint64_t start;
};

/* Before each call, in the function that makes it. */
#define BEGIN(nap) begin(nap, (uintptr_t)__builtin_frame_address(0))

static struct nap prepare(void) {
    return (struct nap){.self = agent_threads_hint(), .error = errno, .start = clock_read(CLOCK_MONOTONIC)};
}

static void begin(struct nap *nap, uint64_t frame) {
    if (!nap->self)
        return;
    nap->self->interrupted = false;
    nap->self->sleeps_below = frame;
    atomic_signal_fence(memory_order_seq_cst); /* with the handler of this thread */
}

/* After the call: whether it is to go on. */
static bool goes_on(struct nap *nap, bool is_interrupted) {
    struct agent_thread *self = nap->self;
    atomic_signal_fence(memory_order_seq_cst);
    if (!self)
        return false;
    self->sleeps_below = 0;
    if (is_interrupted && self->interrupted)
        return true;
    if (self->is_put_off && self == agent_threads_self()) {
        int error = errno;
        uint64_t mask = agent_block_signals();
        agent_timers_wake(self);
        agent_restore_signals(mask);
        errno = error;
    }
    return false;
}

/* What is left of `ns` since the beginning. */
static uint64_t left_of(const struct nap *nap, uint64_t ns) {
    uint64_t passed = clock_read(CLOCK_MONOTONIC) - nap->start;
    return ns > passed ? ns - passed : 0;
}

static int left_of_ms(const struct nap *nap, int ms) {
    return ms < 0 ? ms : (int)((left_of(nap, (uint64_t)ms * 1000000) + 999999) / 1000000);
}

AGENT_EXPORT int nanosleep(const struct timespec *time, struct timespec *ret_left) {
    struct nap nap = prepare();
    struct timespec left, rest;
    int result;
    do {
        BEGIN(&nap);
        result = next_nanosleep()(time, &left);
        rest = left;
        time = &rest;
    } while (goes_on(&nap, result != 0 && errno == EINTR));
    if (result == 0)
        errno = nap.error;
    else if (errno == EINTR && ret_left)
        *ret_left = left;
    return result;
}

AGENT_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *ret_left) {
    struct nap nap = prepare();
    struct timespec left, rest;
    int result;
    do {
        BEGIN(&nap);
        result = next_clock_nanosleep()(clock, flags, time, &left);
        if (!(flags & TIMER_ABSTIME)) {
            rest = left;
            time = &rest;
        }
    } while (goes_on(&nap, result == EINTR));
    if (result == EINTR && ret_left && !(flags & TIMER_ABSTIME))
        *ret_left = left;
    errno = nap.error;
    return result;
}

AGENT_EXPORT int usleep(useconds_t us) {
    return nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

AGENT_EXPORT unsigned sleep(unsigned seconds) {
    struct timespec left = {.tv_sec = seconds};
    return nanosleep(&left, &left) == 0 ? 0 : (unsigned)left.tv_sec;
}

AGENT_EXPORT int poll(struct pollfd *polled, nfds_t count, int ms) {
    if (!ms) /* it does not sleep */
        return next_poll()(polled, count, ms);
    struct nap nap = prepare();
    int result, left = ms;
    do {
        BEGIN(&nap);
        result = next_poll()(polled, count, left);
        left = left_of_ms(&nap, ms);
    } while (goes_on(&nap, result < 0 && errno == EINTR));
    if (result >= 0)
        errno = nap.error;
    return result;
}

AGENT_EXPORT int epoll_wait(int epoll, struct epoll_event *events, int most, int ms) {
    if (!ms) /* it does not sleep */
        return next_epoll_wait()(epoll, events, most, ms);
    struct nap nap = prepare();
    int result, left = ms;
    do {
        BEGIN(&nap);
        result = next_epoll_wait()(epoll, events, most, left);
        left = left_of_ms(&nap, ms);
    } while (goes_on(&nap, result < 0 && errno == EINTR));
    if (result >= 0)
        errno = nap.error;
    return result;
}

/* The sets are as they were after EINTR, and so is the time in C libraries that do not count it down. */
AGENT_EXPORT int select(int count, fd_set *readable, fd_set *writable, fd_set *failed, struct timeval *time) {
    struct nap nap = prepare();
    struct timeval whole = {0};
    bool is_first = true;
    int result;
    do {
        if (time && is_first) {
            whole = *time;
        } else if (time) {
            uint64_t left = left_of(&nap, (uint64_t)whole.tv_sec * 1000000000u + (uint64_t)whole.tv_usec * 1000u) + 999;
            *time = (struct timeval){.tv_sec = (time_t)(left / 1000000000u), .tv_usec = (suseconds_t)(left % 1000000000u / 1000)};
        }
        is_first = false;
        BEGIN(&nap);
        result = next_select()(count, readable, writable, failed, time);
    } while (goes_on(&nap, result < 0 && errno == EINTR));
    if (result >= 0)
        errno = nap.error;
    return result;
}

AGENT_EXPORT int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    struct nap nap = prepare();
    int result;
    do {
        BEGIN(&nap);
        result = next_sem_timedwait()(semaphore, until);
    } while (goes_on(&nap, result != 0 && errno == EINTR));
    if (result == 0)
        errno = nap.error;
    return result;
}
