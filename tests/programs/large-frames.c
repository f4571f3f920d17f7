/* SPDX-License-Identifier: MIT */
/* Single frames larger than any copy of the stack: what is beyond can only be read later, when it may be another call's. */
#include "chain.h"

#define CHAINS                               \
    "main +\n"                               \
    "main > go_round > large_leaf\n"         \
    "go_round > other_caller > other_leaf\n" \
    "go_round > larger > larger_leaf\n"

LINK static void large_leaf(void) {
    volatile char block[100 * 1024];
    for (size_t i = 0; i < sizeof block; i += 1024)
        block[i] = (char)i;
    chain_work();
    chain_sink += (uint64_t)block[chain_sink % sizeof block];
}

LINK static void other_leaf(void) {
    chain_work();
}

LINK static void other_caller(void) {
    chain_pause();
    other_leaf();
    chain_pause();
}

LINK static void larger_leaf(void) {
    chain_work();
}

LINK static void larger(void) {
    volatile char block[200 * 1024];
    block[0] = 1;
    larger_leaf();
    chain_sink += (uint64_t)block[0];
}

LINK static void go_round(void) {
    chain_pause();
    large_leaf();
    other_caller();
    larger();
    chain_pause();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds))
        go_round();
    return 0;
}
