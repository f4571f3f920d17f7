/* SPDX-License-Identifier: MIT */
/*
 * Scopes whose phases against a sampler are as independent as statistics wants them: a dozen sites of 10 us, 100 us, 1 ms and 50 ms, and
 * one within itself, in random order with random pauses between. What samples are to be found of them, and how these are to stray, is
 * known.
 *
 *     scopes-calibrated SEED THREADS LONG [PERCENT]   the work in all is the same for any number of threads; LONG instances of 50 ms, and
 *                                                     so many per cent of all others
 *
 * One thread alone runs before all others of the machine where the system lets it: a sampler of elapsed time can be judged only there.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "include/cprof.h"

enum { SITES = 12, THREADS_MAX = 64 };

struct kind {
    double us;
    unsigned count; /* instances, of all threads */
};

static struct kind kinds[SITES] = {{10, 3000},  {10, 3000},  {10, 3000},  {100, 500}, {100, 500}, {100, 500},
                                   {1000, 100}, {1000, 100}, {1000, 100}, {60, 200},  {300, 200}, {50000, 0}};
enum { RECURSION = 9, LONG = 11 };

static double ticks_per_us;
static unsigned thread_count;
static uint64_t seed;

static uint64_t now(void) {
    return __builtin_ia32_rdtsc();
}

static void burn(double us) {
    uint64_t end = now() + (uint64_t)(us * ticks_per_us);
    while (now() < end)
        ;
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void calibrate(void) {
    uint64_t ns = now_ns(), ticks = now();
    while (now_ns() - ns < 20000000)
        ;
    ticks_per_us = (double)(now() - ticks) / ((double)(now_ns() - ns) / 1000);
}

static double uniform(uint64_t *random) {
    *random ^= *random << 13, *random ^= *random >> 7, *random ^= *random << 17;
    return (double)(*random >> 11) * 0x1p-53;
}

/* ---- the sites ------------------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void recur(double us, unsigned depth) {
    CPROF_SCOPE("recursion");
    burn(us / 2);
    if (depth > 1)
        recur(us, depth - 1);
    burn(us / 2);
}

#define SITE(i)               \
    case i: {                 \
        CPROF_SCOPE("s-" #i); \
        burn(us);             \
        break;                \
    }

__attribute__((noinline)) static void run_site(unsigned site, double us) {
    switch (site) {
        SITE(0)
        SITE(1)
        SITE(2)
        SITE(3)
        SITE(4)
        SITE(5)
        SITE(6)
        SITE(7)
        SITE(8)
    case RECURSION:
        recur(us, 5);
        break;
        SITE(10)
        SITE(11)
    default:
        break;
    }
}

/* ---- the order ------------------------------------------------------------------------------------------------------------------- */

/* One thread's share of all instances, shuffled. */
static uint8_t *make_order(unsigned thread, uint64_t *random, unsigned *ret_count) {
    unsigned count = 0, capacity = 0;
    for (unsigned i = 0; i < SITES; i++)
        capacity += kinds[i].count;
    uint8_t *order = malloc(capacity + 1);
    if (!order)
        exit(1);
    for (unsigned i = 0; i < SITES; i++)
        for (unsigned k = thread; k < kinds[i].count; k += thread_count)
            order[count++] = (uint8_t)i;
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)(uniform(random) * i);
        uint8_t site = order[i - 1];
        order[i - 1] = order[other];
        order[other] = site;
    }
    *ret_count = count;
    return order;
}

static void *work(void *argument) {
    unsigned thread = (unsigned)(uintptr_t)argument, count;
    uint64_t random = (seed * 64 + thread + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint8_t *order = make_order(thread, &random, &count);
    for (unsigned i = 0; i < count; i++) {
        burn(60 * uniform(&random));
        run_site(order[i], kinds[order[i]].us * (0.8 + 0.4 * uniform(&random)));
    }
    free(order);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t ids[THREADS_MAX];
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    thread_count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    unsigned percent = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 100;
    for (unsigned i = 0; i < SITES; i++)
        kinds[i].count = kinds[i].count * percent / 100;
    kinds[LONG].count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 8;
    if (thread_count < 1 || thread_count > THREADS_MAX)
        return 2;
    calibrate();
    if (thread_count == 1) {
        (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
        work(NULL);
        return 0;
    }
    for (unsigned i = 0; i < thread_count; i++)
        if (pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)i) != 0)
            return 1;
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
