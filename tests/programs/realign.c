/* SPDX-License-Identifier: MIT */
/* Frames that realign the stack: the CFA is an expression or hangs on r10 (GCC's DRAP), and rbp may hold neither. */
#include <alloca.h>

#include "chain.h"

#define CHAINS                                          \
    "main +\n"                                          \
    "main > aligned_32 > under_32\n"                    \
    "main > aligned_64 > under_64\n"                    \
    "main > aligned_variable > under_variable\n"        \
    "main > aligned_arguments > under_arguments\n"      \
    "main > aligned_deep > aligned_deep > under_deep\n" \
    "main > aligned_vectors > under_vectors\n"

typedef double vector __attribute__((vector_size(32)));

LINK static void under_32(void) {
    chain_work();
}

LINK static void aligned_32(void) {
    _Alignas(32) volatile uint64_t block[8] = {chain_sink};
    chain_pause();
    under_32();
    chain_sink += block[0];
}

LINK static void under_64(void) {
    chain_work();
}

LINK static void aligned_64(void) {
    _Alignas(64) volatile uint64_t block[16] = {chain_sink};
    chain_pause();
    under_64();
    chain_sink += block[0];
}

LINK static void under_variable(void) {
    chain_work();
}

LINK static void aligned_variable(size_t length) {
    _Alignas(64) volatile uint64_t block[16] = {chain_sink};
    volatile char *more = alloca(length);
    more[0] = 1;
    chain_pause();
    under_variable();
    chain_sink += block[0] + (uint64_t)more[0];
}

LINK static void under_arguments(void) {
    chain_work();
}

LINK static void aligned_arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    _Alignas(64) volatile uint64_t block[16] = {a + b + c + d, e + f + g + h};
    chain_pause();
    under_arguments();
    chain_sink += block[0] + block[1] + g;
}

LINK static void under_deep(void) {
    chain_work();
}

LINK static void aligned_deep(unsigned depth, size_t length) {
    _Alignas(128) volatile uint64_t block[16] = {depth};
    volatile char *more = alloca(length);
    more[0] = 1;
    chain_pause();
    if (depth)
        aligned_deep(depth - 1, length);
    else
        under_deep();
    chain_sink += block[0] + (uint64_t)more[0];
}

LINK static void under_vectors(vector *v) {
    chain_work();
    *v += (vector){1, 2, 3, 4};
}

/* Lives across the call in memory that must be 32-byte aligned. */
LINK static void aligned_vectors(void) {
    vector v = {(double)chain_sink, 2, 3, 4};
    chain_pause();
    under_vectors(&v);
    chain_sink += (uint64_t)v[0];
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds)) {
        aligned_32();
        aligned_64();
        aligned_variable(100 + chain_sink % 1000);
        aligned_arguments(1, 2, 3, 4, 5, 6, 7, 8);
        aligned_deep(20, 10 + chain_sink % 100);
        aligned_vectors();
    }
    return 0;
}
