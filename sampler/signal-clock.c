/* SPDX-License-Identifier: MIT */
#include "sampler/signal-clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    LATE_TRIES = 31,
    LATE_AHEAD_NS = 40000,       /* of now, the timer is set */
    LATE_PATIENCE_NS = 20000000, /* all tries together; they take 2 ms on a machine without other work */
    LATE_MARGIN_NS = 6000,       /* between the middle and the latest of fifty, measured */
    LATE_UNKNOWN_NS = 50000,
};

#define OUT_OF_REACH \
    "programs that are static, setuid or drop the environment; threads beyond 16,384 at once; the kernel's work at the end of a process"

static uint64_t resolution(clockid_t clock) {
    struct timespec step;
    return clock_getres(clock, &step) == 0 ? (uint64_t)step.tv_sec * 1000000000u + (uint64_t)step.tv_nsec : UINT64_MAX;
}

/* Whether a thread can have such timers. By the system call, as the agent makes them: it is not armed, and nothing is sent. */
static int try_timer(clockid_t clock, int signal) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
    int timer;
    event._sigev_un._tid = gettid();
    if (syscall(SYS_timer_create, clock, &event, &timer) == 0)
        (void)syscall(SYS_timer_delete, timer);
    else if (errno != EAGAIN) /* RLIMIT_SIGPENDING: threads will have them in turn */
        return -errno;
    return 0;
}

/* Timers without high resolution fire at the tick, whatever they are asked for. */
static int try_monotonic(unsigned hz, int signal) {
    return resolution(CLOCK_MONOTONIC) > 1000000000u / hz / 2 ? -EOPNOTSUPP : try_timer(CLOCK_MONOTONIC, signal);
}

/* ---- how late they are ----------------------------------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* How late the signal is of a timer of this thread, which has the CPU all the time; the signal is blocked. */
static uint64_t try_late(int timer, const sigset_t *set, uint64_t until) {
    static const struct timespec at_once;
    uint64_t at = clock_read(CLOCK_MONOTONIC) + LATE_AHEAD_NS, now;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
    if (syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &when, NULL) != 0)
        return LATE_UNKNOWN_NS;
    while (sigtimedwait(set, NULL, &at_once) < 0)
        if (clock_read(CLOCK_MONOTONIC) > until)
            return LATE_UNKNOWN_NS;
    now = clock_read(CLOCK_MONOTONIC);
    return now > at ? now - at : 0;
}

/* The middle of some tries, so that it stands what else the machine does, and a margin: virtual machines take ten times as long as others.
 */
static uint32_t measure_late(int signal) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
    uint64_t late[LATE_TRIES], until = clock_read(CLOCK_MONOTONIC) + LATE_PATIENCE_NS;
    sigset_t set, old;
    int timer;
    event._sigev_un._tid = gettid();
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0)
        return LATE_UNKNOWN_NS;
    sigemptyset(&set);
    sigaddset(&set, signal);
    (void)sigprocmask(SIG_BLOCK, &set, &old);
    for (size_t i = 0; i < LATE_TRIES; i++)
        late[i] = try_late(timer, &set, until);
    (void)syscall(SYS_timer_delete, timer); /* and its signal, if it is still pending */
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    qsort(late, LATE_TRIES, sizeof late[0], compare_times);
    uint64_t middle = late[LATE_TRIES / 2];
    return middle < LATE_UNKNOWN_NS ? (uint32_t)middle + LATE_MARGIN_NS : LATE_UNKNOWN_NS;
}

int signal_clock_choose(struct signal_clock *ret, enum signal_clock_choice choice, unsigned hz, int signal) {
    *ret = (struct signal_clock){.clock = AGENT_CLOCK_MONOTONIC};
    int error = choice == SIGNAL_CLOCK_CPU         ? -EOPNOTSUPP
                : choice == SIGNAL_CLOCK_MONOTONIC ? try_timer(CLOCK_MONOTONIC, signal)
                                                   : try_monotonic(hz, signal);
    if (error == 0) {
        ret->usually_late = measure_late(signal);
        snprintf(ret->source, sizeof ret->source, "one-shot monotonic timer of each thread, signal %d, up to %u us late", signal,
                 ret->usually_late / 1000);
        snprintf(ret->blind, sizeof ret->blind, "%s", OUT_OF_REACH);
        return 0;
    }
    if (choice == SIGNAL_CLOCK_MONOTONIC)
        return error;
    uint64_t tick = resolution(CLOCK_MONOTONIC_COARSE); /* which moves once a tick */
    ret->clock = AGENT_CLOCK_CPU;
    ret->is_at_ticks = true;
    ret->remark = "the signals come with the ticks of the clock: fewer samples than asked, in step with all else that ticks drive "
                  "(--signal-clock cpu)";
    snprintf(ret->source, sizeof ret->source, "timer on the CPU clock of each thread, signal %d", signal);
    snprintf(ret->blind, sizeof ret->blind, "what happens between the clock's ticks, %u a second; " OUT_OF_REACH,
             (unsigned)(1000000000u / (tick ? tick : 1)));
    return try_timer(CLOCK_THREAD_CPUTIME_ID, signal);
}
