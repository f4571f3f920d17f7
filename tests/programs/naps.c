/* SPDX-License-Identifier: MIT */
/*
 * Calls that programs sleep in and no kernel restarts after a signal.
 *
 *     naps CALL MICROSECONDS TIMES     works for so long and sleeps for 10 ms, so many times: how often it was interrupted, and how often
 *                                      it was awake too early
 *     naps CALL alarm TIMES            sleeps for an hour until an alarm of its own, of which one comes every 5 ms: how often it was
 * interrupted
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "chain.h"

enum { NAP_MS = 10, HOUR_MS = 3600000, ALARM_US = 5000 };

static const char *call;
static int epoll;
static sem_t never;

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static bool is_call(const char *name) {
    return !strcmp(call, name);
}

/* Whether it was interrupted. */
static bool nap(int ms) {
    uint64_t ns = (uint64_t)ms * 1000000u;
    struct timespec time = timespec_of(ns), left = {0};
    struct timeval timeval = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (is_call("nanosleep"))
        return nanosleep(&time, &left) != 0 && errno == EINTR && left.tv_sec + left.tv_nsec > 0;
    if (is_call("clock_nanosleep"))
        return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == EINTR;
    time = timespec_of(now_ns(CLOCK_MONOTONIC) + ns);
    if (is_call("clock_nanosleep-until"))
        return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR;
    time = timespec_of(now_ns(CLOCK_REALTIME) + ns);
    if (is_call("sem_timedwait"))
        return sem_timedwait(&never, &time) != 0 && errno == EINTR;
    if (is_call("usleep"))
        return usleep((useconds_t)ms * 1000) != 0 && errno == EINTR;
    if (is_call("sleep"))
        return sleep((unsigned)(ms + 999) / 1000) != 0;
    if (is_call("poll"))
        return poll(NULL, 0, ms) != 0 && errno == EINTR;
    if (is_call("epoll_wait"))
        return epoll_wait(epoll, &(struct epoll_event){0}, 1, ms) != 0 && errno == EINTR;
    if (is_call("select"))
        return select(0, NULL, NULL, NULL, &timeval) != 0 && errno == EINTR;
    exit(2);
}

LINK static void work(double seconds) {
    double until = (double)now_ns(CLOCK_THREAD_CPUTIME_ID) / 1e9 + seconds;
    while (chain_goes_on(until))
        chain_work();
}

static void ignore(int number) {
    (void)number;
}

static int wait_for_alarms(int times) {
    const struct itimerval soon = {.it_value = {.tv_usec = ALARM_US}, .it_interval = {.tv_usec = ALARM_US}}; /* one may come before */
    struct sigaction action = {.sa_handler = ignore};
    int interrupted = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < times; i++)
        interrupted += nap(HOUR_MS);
    printf("%d of %d\n", interrupted, times);
    return 0;
}

int main(int argc, char **argv) {
    int times = argc == 4 ? atoi(argv[3]) : 0, interrupted = 0, early = 0;
    if (times < 1 || (epoll = epoll_create1(0)) < 0 || sem_init(&never, 0, 0) != 0)
        return 2;
    call = argv[1];
    if (!strcmp(argv[2], "alarm"))
        return wait_for_alarms(times);
    for (int i = 0; i < times; i++) {
        work(strtod(argv[2], NULL) / 1e6);
        uint64_t start = now_ns(CLOCK_MONOTONIC);
        bool was_interrupted = nap(NAP_MS);
        interrupted += was_interrupted;
        early += !was_interrupted && now_ns(CLOCK_MONOTONIC) - start < NAP_MS * 1000000u;
    }
    printf("%d interrupted, %d early of %d\n", interrupted, early, times);
    return 0;
}
