/* SPDX-License-Identifier: MIT */
/* 10,000 frames, which no profiler copies whole. */
#include "chain.h"

#define CHAINS \
    "main +\n" \
    "main > down > down > bottom\n"

enum { DEPTH = 10000 };

LINK static void bottom(void) {
    for (int i = 0; i < 1000; i++)
        chain_work();
}

LINK static void down(int depth) {
    volatile char block[40];
    block[0] = (char)depth;
    if (depth)
        down(depth - 1);
    else
        bottom();
    chain_sink += (uint64_t)block[0];
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds))
        down(DEPTH);
    return 0;
}
