/* SPDX-License-Identifier: MIT */
/*
 * What a handler of somebody else's must not break. Each mode does its work under any profiler and prints what it saw:
 *
 *     hazard-signals altstack    works on an alternate stack with room for one signal frame and 1 KiB; how much of it was used
 *     hazard-signals crash       handles SIGSEGV on an alternate stack of which its handler leaves 1 KiB, and dies of it
 *     hazard-signals eintr       system calls that SA_RESTART restarts, and sleeps that it does not: how many were interrupted
 *     hazard-signals queue N     signals of the number N that have gathered while all were blocked
 *     hazard-signals foreign N   sends itself 100 of the number N by sigqueue, and has them by a timer: those it received
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chain.h"

enum { PAGE = 4096, OUR_ROOM = 1024, UNTOUCHED = 0xa5, SENT = 100, ROUNDS = 40, OWN_ROOM = 3072 };

static void burn(double seconds) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    double until = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds;
    while (chain_goes_on(until))
        chain_work();
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(number, &action, NULL);
}

/* A page that may not be touched lies below. */
static uint8_t *alternate_stack(size_t size) {
    uint8_t *pages = mmap(NULL, PAGE + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + PAGE, size, PROT_READ | PROT_WRITE) != 0)
        abort();
    memset(pages + PAGE, UNTOUCHED, size);
    stack_t stack = {.ss_sp = pages + PAGE, .ss_size = size};
    if (sigaltstack(&stack, NULL) != 0)
        abort();
    return pages + PAGE;
}

/* ---- altstack -------------------------------------------------------------------------------------------------------------------- */

static int altstack(void) {
    size_t kernel = getauxval(AT_MINSIGSTKSZ), size = kernel + OUR_ROOM, untouched = 0;
    const uint8_t *stack = alternate_stack(size);
    burn(.4);
    while (untouched < size && stack[untouched] == UNTOUCHED)
        untouched++;
    printf("%zu bytes used of %zu\n", size - untouched, size);
    return 0;
}

/* ---- crash ----------------------------------------------------------------------------------------------------------------------- */

/* No room for another signal's frame below it. */
LINK static void on_crash(int number, siginfo_t *info, void *context) {
    (void)info, (void)context;
    volatile char local[OWN_ROOM];
    for (size_t i = 0; i < sizeof local; i++)
        local[i] = 1;
    burn(.05);
    if (write(STDOUT_FILENO, "caught\n", 7) != 7 || !local[9])
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static int crash(void) {
    char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    alternate_stack(getauxval(AT_MINSIGSTKSZ) + OWN_ROOM + 1024);
    handle(SIGSEGV, on_crash, SA_ONSTACK);
    burn(.1);
    *nowhere = 1;
    return 0;
}

/* ---- eintr ----------------------------------------------------------------------------------------------------------------------- */

static void sleep_restarted(const struct timespec *time, int *interrupted, int *most) {
    struct timespec left = *time;
    int count = 0;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        count++;
    *interrupted += count;
    if (count > *most)
        *most = count;
}

static void *write_late(void *argument) {
    const struct timespec late = {.tv_nsec = 6000000};
    for (int i = 0; i < ROUNDS; i++) {
        int interrupted = 0, most = 0;
        sleep_restarted(&late, &interrupted, &most);
        if (write(*(int *)argument, "x", 1) != 1)
            abort();
    }
    return NULL;
}

static int eintr(void) {
    const struct timespec nap = {.tv_nsec = 5000000};
    int pair[2], reads = 0, sleeps = 0, most = 0;
    pthread_t thread;
    if (pipe(pair) != 0 || pthread_create(&thread, NULL, write_late, &pair[1]) != 0)
        return 2;
    for (int i = 0; i < ROUNDS; i++) {
        char byte;
        burn(.002);
        while (read(pair[0], &byte, 1) != 1)
            reads++;
    }
    pthread_join(thread, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        burn(.002);
        sleep_restarted(&nap, &sleeps, &most);
    }
    printf("%d reads, %d sleeps of %d interrupted, one at most %d times\n", reads, sleeps, ROUNDS, most);
    return 0;
}

/* ---- queue ----------------------------------------------------------------------------------------------------------------------- */

/* By system calls: libc's are interposed. */
static int queue(int number) {
    uint64_t all = ~UINT64_C(0), wanted = UINT64_C(1) << (number - 1), old;
    const struct timespec at_once = {0};
    int count = 0;
    burn(.1);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
    burn(.3);
    while (syscall(SYS_rt_sigtimedwait, &wanted, NULL, &at_once, sizeof wanted) == number)
        count++;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    printf("%d\n", count);
    return 0;
}

/* ---- foreign --------------------------------------------------------------------------------------------------------------------- */

static volatile int received, ticks;

static void on_foreign(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (info->si_code == SI_QUEUE && info->si_value.sival_int == received)
        received++;
    ticks += info->si_code == SI_TIMER && info->si_value.sival_int == -7;
}

static int foreign(int number) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number, .sigev_value.sival_int = -7};
    struct itimerspec often = {{0, 2000000}, {0, 2000000}};
    timer_t timer;
    handle(number, on_foreign, SA_RESTART);
    for (int i = 0; i < SENT; i++) {
        burn(.002);
        if (sigqueue(getpid(), number, (union sigval){.sival_int = i}) != 0)
            return 2;
    }
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0)
        return 2;
    while (ticks < 20)
        burn(.001);
    timer_delete(timer);
    printf("%d of %d, and of a timer's\n", received, SENT);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(mode, "altstack"))
        return altstack();
    if (!strcmp(mode, "crash"))
        return crash();
    if (!strcmp(mode, "eintr"))
        return eintr();
    if (!strcmp(mode, "queue"))
        return queue(number);
    return strcmp(mode, "foreign") ? 2 : foreign(number);
}
