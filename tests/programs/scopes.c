/* SPDX-License-Identifier: MIT */
/*
 * A program annotated with cprof.h that counts for itself: what a recording says of its scopes can be held against what it prints.
 *
 *     scopes nested MS           request { parse 10 us, work 100 us, write 1 ms, and a flush of 50 ms every 50th time }
 *     scopes threads MS N        the same in N threads
 *     scopes recursion MS DEPTH  recur, DEPTH deep, 20 us in each, and even and odd that call each other
 *     scopes many MS K           K scopes (at most 16) of different lengths, in turn
 *     scopes sleep MS            half of the time busy, half of it asleep in `nap`
 *     scopes lockstep MS HZ      tick, the first 30 % of each period of a HZ clock, then rest: a sampler of this rate runs in step with it.
 *                                MS, as the periods, of CPU time
 *     scopes slow MS FACTOR      as many with K = 10, but the third takes FACTOR times as long as it should
 *     scopes longjmp MS          two of three scopes are left by longjmp
 *     scopes uneven N            N of `job`, nine of ten in `quick` and one in `slow`, which takes forty times its CPU time
 *     scopes spans MS            spans that overlap and begin in one function and end in another
 *     scopes exit MS             ends inside two scopes
 *     scopes endless             a scope of 1 ms, and its number on stdout when it has ended, until somebody kills it
 *
 * On stdout, a line for each scope: name, calls ended, ticks of the cycle counter spent in them (between the begin and the end as the
 * program reads the counter just inside).
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "include/cprof.h"

enum { ROWS = 32, MANY_MAX = 16 };

struct row {
    const char *name;
    uint64_t calls, ticks;
};

static __thread struct row rows[ROWS];
static struct row sums[ROWS];
static pthread_mutex_t sums_lock = PTHREAD_MUTEX_INITIALIZER;
static double ticks_per_us;

static uint64_t now(void) {
    return __builtin_ia32_rdtsc();
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void add(struct row *table, const char *name, uint64_t calls, uint64_t ticks) {
    for (int i = 0; i < ROWS; i++) {
        if (table[i].name && strcmp(table[i].name, name) != 0)
            continue;
        table[i].name = name;
        table[i].calls += calls;
        table[i].ticks += ticks;
        return;
    }
}

static void note(const char *name, uint64_t begin) {
    uint64_t ticks = now() - begin;
    add(rows, name, 1, ticks);
}

static void gather(void) {
    pthread_mutex_lock(&sums_lock);
    for (int i = 0; i < ROWS && rows[i].name; i++)
        add(sums, rows[i].name, rows[i].calls, rows[i].ticks);
    pthread_mutex_unlock(&sums_lock);
}

static void print(void) {
    for (int i = 0; i < ROWS && sums[i].name; i++)
        printf("%s %llu %llu\n", sums[i].name, (unsigned long long)sums[i].calls, (unsigned long long)sums[i].ticks);
    fflush(stdout);
}

static void calibrate(void) {
    uint64_t ns = now_ns(), ticks = now();
    while (now_ns() - ns < 20000000)
        ;
    ticks_per_us = (double)(now() - ticks) / ((double)(now_ns() - ns) / 1000);
}

__attribute__((noinline)) static void burn(double us) {
    uint64_t end = now() + (uint64_t)(us * ticks_per_us);
    while (now() < end)
        ;
}

/* ---- the modes ------------------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void parse(void) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    burn(10);
    note("parse", begin);
}

__attribute__((noinline)) static void work(void) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    burn(100);
    note("work", begin);
}

__attribute__((noinline)) static void request(uint64_t number) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    parse();
    work();
    {
        CPROF_SCOPE("write");
        uint64_t inner = now();
        burn(1000);
        note("write", inner);
    }
    if (number % 50 == 49) {
        CPROF_SCOPE("flush");
        uint64_t inner = now();
        burn(50000);
        note("flush", inner);
    }
    note("request", begin);
}

static void nested(uint64_t end_ns) {
    for (uint64_t number = 0; now_ns() < end_ns; number++)
        request(number);
}

static void *thread(void *argument) {
    cprof_thread_name("worker");
    nested(*(uint64_t *)argument);
    gather();
    return NULL;
}

static void threads(uint64_t end_ns, unsigned count) {
    pthread_t ids[256];
    count = count < 1 ? 1 : count > 256 ? 256 : count;
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&ids[i], NULL, thread, &end_ns) != 0)
            exit(1);
    for (unsigned i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
}

__attribute__((noinline)) static void recur(unsigned depth) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    burn(20);
    if (depth > 1)
        recur(depth - 1);
    note("recur", begin);
}

static void odd(unsigned depth);

__attribute__((noinline)) static void even(unsigned depth) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    burn(20);
    if (depth)
        odd(depth - 1);
    note("even", begin);
}

__attribute__((noinline)) static void odd(unsigned depth) {
    CPROF_FUNCTION();
    uint64_t begin = now();
    burn(20);
    if (depth)
        even(depth - 1);
    note("odd", begin);
}

static void recursion(uint64_t end_ns, unsigned depth) {
    while (now_ns() < end_ns) {
        recur(depth);
        even(depth);
    }
}

#define ONE_OF_MANY(i)           \
    case i: {                    \
        CPROF_SCOPE("many-" #i); \
        uint64_t begin = now();  \
        burn(us);                \
        note("many-" #i, begin); \
        break;                   \
    }

__attribute__((noinline)) static void one_of_many(unsigned i, double us) {
    switch (i) {
        ONE_OF_MANY(0)
        ONE_OF_MANY(1)
        ONE_OF_MANY(2)
        ONE_OF_MANY(3)
        ONE_OF_MANY(4)
        ONE_OF_MANY(5)
        ONE_OF_MANY(6)
        ONE_OF_MANY(7)
        ONE_OF_MANY(8)
        ONE_OF_MANY(9)
        ONE_OF_MANY(10)
        ONE_OF_MANY(11)
        ONE_OF_MANY(12)
        ONE_OF_MANY(13)
        ONE_OF_MANY(14)
        ONE_OF_MANY(15)
    default:
        break;
    }
}

/* Lengths from 10 us on, growing by half, with a jitter of a fixed seed so that no phase repeats. */
static void many(uint64_t end_ns, unsigned count, unsigned slow, double factor) {
    uint64_t random = 88172645463325252u;
    count = count > MANY_MAX ? MANY_MAX : count;
    while (now_ns() < end_ns) {
        double us = 10;
        for (unsigned i = 0; i < count; i++, us *= 1.5) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            one_of_many(i, us * (0.75 + (double)(random % 1000) / 2000) * (i == slow ? factor : 1));
        }
    }
}

static void sleepy(uint64_t end_ns) {
    while (now_ns() < end_ns) {
        {
            CPROF_SCOPE("busy");
            uint64_t begin = now();
            burn(5000);
            note("busy", begin);
        }
        CPROF_SCOPE("nap");
        uint64_t begin = now();
        struct timespec left = {.tv_nsec = 5000000};
        while (nanosleep(&left, &left) < 0) /* the signal engine's signal wakes a sleeper once */
            ;
        note("nap", begin);
    }
}

static double cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* In the time that a sampler of CPU time goes by, on one CPU, since each has timers of its own; ahead of all others, where that is let. */
static void lockstep(double run_ns, unsigned hz) {
    double period = 1e9 / (hz ? hz : 997), start = cpu_ns();
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((unsigned)sched_getcpu(), &here);
    (void)sched_setaffinity(0, sizeof here, &here);
    (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    for (double from = start; from < start + run_ns; from += period) {
        {
            CPROF_SCOPE("tick");
            uint64_t begin = now();
            while (cpu_ns() < from + 0.3 * period)
                ;
            note("tick", begin);
        }
        CPROF_SCOPE("rest");
        uint64_t begin = now();
        while (cpu_ns() < from + period)
            ;
        note("rest", begin);
    }
}

static jmp_buf back;

__attribute__((noinline)) static void jumper(unsigned number) {
    CPROF_FUNCTION();
    burn(20);
    CPROF_SCOPE("leap");
    burn(20);
    if (number % 3)
        longjmp(back, 1);
}

static void jump(uint64_t end_ns) {
    for (volatile unsigned number = 0; now_ns() < end_ns; number++) {
        CPROF_SCOPE("around");
        uint64_t begin = now();
        if (setjmp(back) == 0)
            jumper(number);
        note("around", begin);
        add(rows, "jumper", 1, 0);
        add(rows, "leap", 1, 0);
    }
}

/* CPU time, where burn is elapsed time. */
static void spin(unsigned steps) {
    for (volatile unsigned i = 0; i < steps; i++)
        ;
}

__attribute__((noinline)) static void quick(void) {
    spin(300000);
}

__attribute__((noinline)) static void slow(void) {
    spin(12000000);
}

static void uneven(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        CPROF_SCOPE("job");
        uint64_t begin = now();
        if (i % 10)
            quick();
        else
            slow();
        note("job", begin);
    }
}

CPROF_SITE(reply, CPROF_KIND_SPAN, "reply");
CPROF_SITE(queue, CPROF_KIND_SPAN, "queue");

__attribute__((noinline)) static uint64_t submit(void) {
    cprof_begin(&reply);
    uint64_t begin = now();
    burn(30);
    cprof_begin(&queue);
    burn(30);
    return begin;
}

__attribute__((noinline)) static void answer(uint64_t begin) {
    burn(30);
    note("reply", begin);
    cprof_end(&reply);
}

static void spans(uint64_t end_ns) {
    while (now_ns() < end_ns) {
        uint64_t begin = submit();
        answer(begin);
        burn(30);
        add(rows, "queue", 1, 0);
        cprof_end(&queue);
        CPROF_VALUE("bytes", 100);
        add(rows, "bytes", 1, 100);
    }
}

__attribute__((noinline)) static void leave(uint64_t end_ns) {
    CPROF_SCOPE("leaving");
    CPROF_SCOPE("left");
    while (now_ns() < end_ns)
        burn(100);
    gather();
    print();
    exit(0);
}

static void endless(void) {
    char line[32];
    for (uint64_t number = 1;; number++) {
        {
            CPROF_SCOPE("endless");
            burn(1000);
        }
        int length = snprintf(line, sizeof line, "%llu\n", (unsigned long long)number);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            exit(1);
    }
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "nested";
    unsigned number = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 8;
    calibrate();
    uint64_t end_ns = now_ns() + (argc > 2 ? strtoull(argv[2], NULL, 10) : 1000) * 1000000u;
    if (strcmp(mode, "nested") == 0)
        nested(end_ns);
    else if (strcmp(mode, "threads") == 0)
        threads(end_ns, number);
    else if (strcmp(mode, "recursion") == 0)
        recursion(end_ns, number);
    else if (strcmp(mode, "many") == 0)
        many(end_ns, number, MANY_MAX, 1);
    else if (strcmp(mode, "slow") == 0)
        many(end_ns, 10, 2, number);
    else if (strcmp(mode, "sleep") == 0)
        sleepy(end_ns);
    else if (strcmp(mode, "lockstep") == 0)
        lockstep((argc > 2 ? strtod(argv[2], NULL) : 1000) * 1e6, number);
    else if (strcmp(mode, "longjmp") == 0)
        jump(end_ns);
    else if (strcmp(mode, "uneven") == 0)
        uneven(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 400);
    else if (strcmp(mode, "spans") == 0)
        spans(end_ns);
    else if (strcmp(mode, "exit") == 0)
        leave(end_ns);
    else if (strcmp(mode, "endless") == 0)
        endless();
    else
        return 2;
    gather();
    print();
    return 0;
}
