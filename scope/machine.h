/* SPDX-License-Identifier: MIT */
/*
 * Changes of memory in one instruction: whole with respect to signal handlers of the same thread, which may change the same word, and
 * without the price of a lock prefix, because no other thread writes it. x86-64 only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline void machine_add(uint64_t *word, uint64_t value) {
    __asm__ volatile("addq %1, %0" : "+m"(*word) : "er"(value) : "cc");
}

static inline void machine_sub(uint64_t *word, uint64_t value) {
    __asm__ volatile("subq %1, %0" : "+m"(*word) : "er"(value) : "cc");
}

static inline void machine_add32(uint32_t *word, uint32_t value) {
    __asm__ volatile("addl %1, %0" : "+m"(*word) : "er"(value) : "cc");
}

/* word = value if it is *expected; else *expected = word and false. */
static inline bool machine_swap(uint64_t *word, uint64_t *expected, uint64_t value) {
    bool is_done;
    __asm__ volatile("cmpxchgq %3, %1" : "=@ccz"(is_done), "+m"(*word), "+a"(*expected) : "r"(value) : "memory");
    return is_done;
}

struct machine_pair {
    uint64_t first, second;
};

/* The same for two words, at a multiple of 16. */
static inline bool machine_swap_pair(void *pair, uint64_t expected[2], uint64_t first, uint64_t second) {
    bool is_done;
    __asm__ volatile("cmpxchg16b %1"
                     : "=@ccz"(is_done), "+m"(*(struct machine_pair *)pair), "+a"(expected[0]), "+d"(expected[1])
                     : "b"(first), "c"(second)
                     : "memory");
    return is_done;
}
