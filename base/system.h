/* SPDX-License-Identifier: MIT */
/*
 * System calls and the few other things that the machine gives directly. No libc, no errno, no symbol that a program or another preloaded
 * library could have replaced: for signal handlers. x86-64 only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result; /* or -errno */
}

/* Of this CPU: what the kernel keeps in TSC_AUX. */
static inline uint32_t system_cpu(void) {
    uint32_t low, high, aux;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
    return aux & 0xfff;
}

static inline void system_copy(void *to, const void *from, size_t length) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

static inline void system_clear(void *to, size_t length) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(0) : "memory");
}
