/* SPDX-License-Identifier: MIT */
/* Built twice, PLUGIN = a and b: alike, but for what the functions are called and how their frames look at the same address. */
#include "chain.h"

#define JOIN_(x, y) x##y
#define JOIN(x, y)  JOIN_(x, y)
#define NAME(stem)  JOIN(stem, PLUGIN)

void NAME(entry_)(void);

LINK static void NAME(leaf_)(void) {
    volatile char block[FRAME];
    block[0] = 1;
    chain_work();
    chain_sink += (uint64_t)block[0];
}

LINK static void NAME(inner_)(void) {
    volatile char block[3 * FRAME];
    block[1] = 1;
    chain_pause();
    NAME(leaf_)();
    chain_sink += (uint64_t)block[1];
}

__attribute__((visibility("default"))) LINK void NAME(entry_)(void) {
    for (int i = 0; i < 2000; i++)
        NAME(inner_)();
    chain_sink++;
}
