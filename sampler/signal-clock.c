/* SPDX-License-Identifier: MIT */
#include "sampler/signal-clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OUT_OF_REACH "programs that are static, setuid or drop the environment; threads beyond 16,384 at once"

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

int signal_clock_choose(struct signal_clock *ret, enum signal_clock_choice choice, unsigned hz, int signal) {
    *ret = (struct signal_clock){.clock = AGENT_CLOCK_MONOTONIC};
    int error = choice == SIGNAL_CLOCK_CPU         ? -EOPNOTSUPP
                : choice == SIGNAL_CLOCK_MONOTONIC ? try_timer(CLOCK_MONOTONIC, signal)
                                                   : try_monotonic(hz, signal);
    if (error == 0) {
        snprintf(ret->source, sizeof ret->source, "one-shot monotonic timer of each thread, signal %d", signal);
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
