/* SPDX-License-Identifier: MIT */
/*
 * The witness of its own scopes: it reads the cycle counter before and behind each instance, and inside it at both ends, so that every
 * figure has a lower and an upper bound, whatever interrupts it and whenever.
 *
 *     before | begin [ first ... last ] end | behind          last - first <= what was measured <= behind - before
 *
 *     scopes-exact lengths COUNT            a scope of 1 us to 0.5 ms
 *     scopes-exact threads COUNT N          the same in each of N threads
 *     scopes-exact recursion COUNT DEPTH    a function within itself, and two that call each other
 *
 * On stdout `clock TICKS NS`, what passed meanwhile of the counter and of CLOCK_MONOTONIC_RAW; and for each scope and thread, in ticks,
 *
 *     NAME TID CALLS PRIMITIVE TOTAL_LOW TOTAL_HIGH MIN_LOW MIN_HIGH P50.. P90.. P99.. MAX..
 *
 * TOTAL is of the primitive ones, the rest of all. The order statistics of the bounds bound those of what lies between.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "include/cprof.h"

struct inside {
    uint64_t first, last;
};

struct row {
    const char *name;
    size_t count, room, primitive;
    uint64_t total_low, total_high;
    uint64_t *low, *high; /* of each instance */
};

enum row_name { LENGTH, RECUR, EVEN, ODD, ROWS };
static const char *const names[ROWS] = {"length", "recur", "even", "odd"};

static __thread struct row rows[ROWS];
static __thread uint64_t random_state = 88172645463325252u;
static pthread_mutex_t stdout_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned deepest;
static size_t thread_rounds;

/* Neither the compiler nor the CPU moves what is measured across. */
static uint64_t now(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void burn(uint64_t ticks) {
    uint64_t end = now() + ticks;
    while (now() < end)
        ;
}

/* ---- what was measured ----------------------------------------------------------------------------------------------------------- */

static void note(enum row_name name, bool is_primitive, uint64_t low, uint64_t high) {
    struct row *row = &rows[name];
    if (row->count == row->room) {
        row->room = row->room ? 2 * row->room : 4096;
        row->low = realloc(row->low, row->room * sizeof *row->low);
        row->high = realloc(row->high, row->room * sizeof *row->high);
        if (!row->low || !row->high)
            exit(1);
    }
    row->low[row->count] = low;
    row->high[row->count++] = high;
    if (!is_primitive)
        return;
    row->primitive++;
    row->total_low += low;
    row->total_high += high;
}

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void print(void) {
    static const double shares[] = {0, 0.5, 0.9, 0.99, 1};
    pthread_mutex_lock(&stdout_lock);
    for (int i = 0; i < ROWS; i++) {
        struct row *row = &rows[i];
        if (!row->count)
            continue;
        qsort(row->low, row->count, sizeof *row->low, ascending);
        qsort(row->high, row->count, sizeof *row->high, ascending);
        printf("%s %ld %zu %zu %llu %llu", names[i], syscall(SYS_gettid), row->count, row->primitive, (unsigned long long)row->total_low,
               (unsigned long long)row->total_high);
        for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
            double rank = shares[k] * (double)row->count;
            size_t above = (size_t)rank + (rank > (double)(size_t)rank), at = above ? above - 1 : 0;
            printf(" %llu %llu", (unsigned long long)row->low[at], (unsigned long long)row->high[at]);
        }
        printf("\n");
        free(row->low);
        free(row->high);
    }
    pthread_mutex_unlock(&stdout_lock);
}

/* ---- scopes ---------------------------------------------------------------------------------------------------------------------- */

static void measure(enum row_name name, bool is_primitive, struct inside (*function)(uint64_t), uint64_t argument) {
    uint64_t before = now();
    struct inside inside = function(argument);
    note(name, is_primitive, inside.last - inside.first, now() - before);
}

__attribute__((noinline)) static struct inside length(uint64_t ticks) {
    CPROF_FUNCTION();
    struct inside inside = {.first = now()};
    burn(ticks);
    inside.last = now();
    return inside;
}

__attribute__((noinline)) static struct inside recur(uint64_t depth) {
    CPROF_FUNCTION();
    struct inside inside = {.first = now()};
    burn(20000);
    if (depth > 1)
        measure(RECUR, false, recur, depth - 1);
    inside.last = now();
    return inside;
}

static struct inside odd(uint64_t depth);

__attribute__((noinline)) static struct inside even(uint64_t depth) {
    CPROF_FUNCTION();
    struct inside inside = {.first = now()};
    burn(20000);
    if (depth)
        measure(ODD, depth == deepest, odd, depth - 1);
    inside.last = now();
    return inside;
}

__attribute__((noinline)) static struct inside odd(uint64_t depth) {
    CPROF_FUNCTION();
    struct inside inside = {.first = now()};
    burn(20000);
    if (depth)
        measure(EVEN, false, even, depth - 1);
    inside.last = now();
    return inside;
}

static void lengths(size_t count) {
    for (size_t i = 0; i < count; i++) {
        random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
        uint64_t ticks = UINT64_C(2000) << random_state % 9;
        measure(LENGTH, true, length, ticks + (random_state >> 16) % ticks);
    }
    print();
}

static void recursion(size_t count, unsigned depth) {
    deepest = depth;
    for (size_t i = 0; i < count; i++) {
        measure(RECUR, true, recur, depth);
        measure(EVEN, true, even, depth);
    }
    print();
}

static void *thread(void *argument) {
    random_state += (uintptr_t)argument * 2654435761u;
    lengths(thread_rounds);
    return NULL;
}

static void threads(size_t count, unsigned number) {
    pthread_t ids[256];
    thread_rounds = count;
    for (unsigned i = 0; i < number; i++)
        if (i == sizeof ids / sizeof *ids || pthread_create(&ids[i], NULL, thread, (void *)(uintptr_t)(i + 1)) != 0)
            exit(1);
    for (unsigned i = 0; i < number; i++)
        pthread_join(ids[i], NULL);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    unsigned number = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 8;
    uint64_t ticks = now(), ns = now_ns();
    if (strcmp(mode, "lengths") == 0)
        lengths(count);
    else if (strcmp(mode, "threads") == 0)
        threads(count, number);
    else if (strcmp(mode, "recursion") == 0)
        recursion(count, number);
    else
        return 2;
    while (now_ns() - ns < 200000000)
        ; /* long enough for the two clocks to be compared */
    ns = now_ns() - ns;
    printf("clock %llu %llu\n", (unsigned long long)(now() - ticks), (unsigned long long)ns);
    return 0;
}
