/* SPDX-License-Identifier: MIT */
/* A scope that is compiled out, for scope-calls.c. */
#define CPROF_DISABLE
#include "include/cprof.h"

void scope_disabled(unsigned calls);

void scope_disabled(unsigned calls) {
    while (calls--) {
        CPROF_SCOPE("none");
        __asm__ volatile("" ::: "memory");
    }
}
