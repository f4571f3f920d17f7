/* SPDX-License-Identifier: MIT */
/* Every common shape of a function; built in many ways (static, stripped, without .eh_frame, by lld, ...), see meson.build. */
#include <alloca.h>

#include "chain.h"

#define CHAINS                             \
    "main +\n"                             \
    "main > outer > middle > leaf_plain\n" \
    "middle > leaf_saves\n"                \
    "middle > leaf_big\n"                  \
    "middle > leaf_variable\n"             \
    "middle > leaf_switch\n"               \
    "middle > many_arguments\n"            \
    "outer > by_pointer > leaf_pointed\n"  \
    "outer > walk > walk > leaf_walk\n"    \
    "outer > sorter > ... > compare\n"

#ifdef __x86_64__
#define USE_EVERY_SAVED_REGISTER __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15")
#else
#define USE_EVERY_SAVED_REGISTER __asm__ volatile("" ::: "esi", "edi")
#endif

LINK static void leaf_plain(void) {
    chain_work();
}

/* Pushes and pops every register that a callee saves. */
LINK static void leaf_saves(void) {
    chain_pause();
    USE_EVERY_SAVED_REGISTER;
    chain_work();
    USE_EVERY_SAVED_REGISTER;
}

LINK static void leaf_big(void) {
    volatile char block[9000]; /* two pages and more: probed on the way down */
    for (size_t i = 0; i < sizeof block; i += 1024)
        block[i] = (char)i;
    chain_work();
    chain_sink += (uint64_t)block[chain_sink % sizeof block];
}

LINK static void leaf_variable(void) {
    size_t length = 100 + chain_sink % 3000;
    volatile char *block = alloca(length);
    block[length - 1] = 1;
    chain_work();
    chain_sink += (uint64_t)block[length - 1];
}

LINK static void leaf_switch(void) {
    for (int i = 0; i < 400; i++)
        switch ((chain_sink >> i % 8) % 7) {
        case 0:
            chain_sink += 3;
            break;
        case 1:
            chain_sink ^= 5;
            break;
        case 2:
            chain_sink *= 7;
            break;
        case 3:
            chain_sink -= 9;
            break;
        case 4:
            chain_sink += 11;
            break;
        case 5:
            chain_sink ^= 13;
            break;
        default:
            chain_sink *= 15;
            break;
        }
}

LINK static void many_arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h,
                                uint64_t i) {
    chain_sink += a + b + c + d + e + f + g + h + i;
    chain_work();
}

LINK static void middle(void) {
    chain_pause();
    leaf_plain();
    leaf_saves();
    chain_pause();
    leaf_big();
    leaf_variable();
    leaf_switch();
    many_arguments(1, 2, 3, 4, 5, 6, 7, 8, 9);
    chain_pause();
}

LINK static void leaf_pointed(void) {
    chain_work();
}

static void (*volatile pointed)(void) = leaf_pointed;

LINK static void by_pointer(void) {
    chain_pause();
    pointed();
    chain_pause();
}

LINK static void leaf_walk(void) {
    chain_work();
}

LINK static void walk(unsigned depth) {
    chain_pause();
    if (depth)
        walk(depth - 1);
    else
        leaf_walk();
    chain_pause();
}

LINK static int compare(const void *a, const void *b) {
    chain_pause();
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

LINK static void sorter(void) {
    uint32_t numbers[32];
    for (size_t i = 0; i < 32; i++)
        numbers[i] = (uint32_t)(chain_sink >> i);
    qsort(numbers, 32, sizeof *numbers, compare);
    chain_sink += numbers[0];
}

LINK static void outer(void) {
    chain_pause();
    middle();
    by_pointer();
    walk(30);
    sorter();
    chain_pause();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds))
        outer();
    return 0;
}
