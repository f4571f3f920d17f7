/* SPDX-License-Identifier: MIT */
/*
 * Threads that no library made. `foreign-threads raw SECONDS` makes four by clone with no thread pointer of their own: they share the first
 * thread's. `foreign-threads c11 SECONDS` makes them by thrd_create, which does not go through pthread_create. `... raw-blocked SECONDS`
 * as raw, all signals blocked by system calls; `... no-tls SECONDS` as raw, with a thread pointer to a page of nothing. Each works in a
 * function of its own, foreign_0 to foreign_3; the first thread waits, but for a little work in `first`.
 */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, STACK = 256 << 10 };

static double seconds;
static volatile uint64_t sink;
static int ids[THREADS]; /* the kernel clears them at the end of a thread */

/* No libc: its errno is another thread's here. */
static double clock_of(long clock) {
    struct timespec now;
    register long result __asm__("rax") = SYS_clock_gettime;
    __asm__ volatile("syscall" : "+a"(result) : "D"(clock), "S"(&now) : "rcx", "r11", "memory");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline __attribute__((always_inline)) void spin(double until, long clock) {
    uint64_t x = 1;
    while (clock_of(clock) < until) {
        for (int i = 0; i < 100000; i++)
            x = x * 6364136223846793005u + 1;
        sink = x;
    }
}

#define FOREIGN(n)                                                                  \
    __attribute__((noinline)) static void foreign_##n(void) {                       \
        spin(clock_of(CLOCK_THREAD_CPUTIME_ID) + seconds, CLOCK_THREAD_CPUTIME_ID); \
    }
FOREIGN(0)
FOREIGN(1)
FOREIGN(2)
FOREIGN(3)

static void (*const works[THREADS])(void) = {foreign_0, foreign_1, foreign_2, foreign_3};

__attribute__((noinline)) static void first(void) {
    spin(clock_of(CLOCK_THREAD_CPUTIME_ID) + .05, CLOCK_THREAD_CPUTIME_ID);
}

static int run(void *argument) {
    works[(uintptr_t)argument]();
    return 0;
}

static void make_raw(bool has_tls) {
    for (uintptr_t i = 0; i < THREADS; i++) {
        char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int flags =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
        ids[i] = 1;
        if (!has_tls) /* the thread pointer is what clone is given: the lowest page of the stack, in its middle */
            flags |= CLONE_SETTLS;
        if (stack == MAP_FAILED || clone(run, stack + STACK, flags, (void *)i, &ids[i], stack + 2048, &ids[i]) < 0)
            abort();
    }
}

static void wait_raw(void) {
    for (int i = 0; i < THREADS; i++)
        for (int id; (id = *(volatile int *)&ids[i]) != 0;)
            syscall(SYS_futex, &ids[i], FUTEX_WAIT, id, NULL, NULL, 0);
}

static void run_c11(void) {
    thrd_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (thrd_create(&threads[i], run, (void *)i) != thrd_success)
            abort();
    first();
    for (int i = 0; i < THREADS; i++)
        thrd_join(threads[i], NULL);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    seconds = atof(argv[2]);
    if (strcmp(argv[1], "c11") == 0) {
        run_c11();
        return 0;
    }
    uint64_t all = ~UINT64_C(0), none = 0;
    if (strcmp(argv[1], "raw-blocked") == 0)
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    make_raw(strcmp(argv[1], "no-tls") != 0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    first();
    wait_raw();
    return 0;
}
