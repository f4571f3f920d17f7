/* SPDX-License-Identifier: MIT */
/*
 * A function that does nothing, called often: what the compiler's hooks around it cost, and whoever sits on them. For bench/bench-scope,
 * built plain, with -pg, and with -finstrument-functions, whose hooks are then the empty ones below.
 *
 *     scope-hooks [ROUNDS] [CALLS]       default 41 rounds of 20,000 calls; ns a call, the median
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum { ROUNDS_MAX = 1001 };

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

__attribute__((no_instrument_function, noinline)) void __cyg_profile_func_enter(void *function, void *caller) {
    __asm__ volatile("" : : "r"(function), "r"(caller) : "memory"); /* else the calls are optimised away */
}

__attribute__((no_instrument_function, noinline)) void __cyg_profile_func_exit(void *function, void *caller) {
    __asm__ volatile("" : : "r"(function), "r"(caller) : "memory"); /* else the calls are optimised away */
}

__attribute__((noinline)) static void block(void) {
    __asm__ volatile("" ::: "memory");
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    static double times[ROUNDS_MAX];
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 41;
    unsigned calls = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 20000;
    if (!rounds || rounds > ROUNDS_MAX || !calls)
        return 1;
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t start = clock_now();
        for (unsigned i = 0; i < calls; i++)
            block();
        times[round] = (double)(clock_now() - start) / calls;
    }
    qsort(times, rounds, sizeof times[0], compare);
    printf("%.2f\n", times[rounds / 2]);
    return 0;
}
