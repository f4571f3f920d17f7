/* SPDX-License-Identifier: MIT */
/* A call that never comes back is a function's last instruction, so that its return address lies in the next function. */
#include "chain.h"

#define CHAINS                                       \
    "main +\n"                                       \
    "main > catcher > caller > last_call > leaves\n" \
    "main > neighbour\n"

static void *place[5];

__attribute__((noreturn)) LINK static void leaves(void) {
    chain_work();
    __builtin_longjmp(place, 1);
}

__attribute__((noreturn)) LINK static void last_call(void) {
    chain_pause();
    leaves();
}

/* Must follow last_call in the file and in memory. */
LINK static void neighbour(void) {
    chain_work();
}

LINK static void caller(void) {
    chain_pause();
    last_call();
}

LINK static void catcher(void) {
    if (!__builtin_setjmp(place))
        caller();
    chain_pause();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds)) {
        for (int i = 0; i < 20; i++)
            catcher();
        neighbour();
    }
    return 0;
}
