/* SPDX-License-Identifier: MIT */
/* Threads that live for a millisecond or two, one after the other in pairs. */
#include <pthread.h>

#include "chain.h"

#define CHAINS                      \
    "main +\n"                      \
    "^ > short_life > short_leaf\n" \
    "^ > other_life > other_leaf\n" \
    "short_life +\n"                \
    "other_life +\n"

LINK static void short_leaf(void) {
    chain_work();
}

LINK static void *short_life(void *unused) {
    for (int i = 0; i < 1000; i++)
        short_leaf();
    chain_sink++;
    return unused;
}

LINK static void other_leaf(void) {
    chain_work();
}

LINK static void *other_life(void *unused) {
    for (int i = 0; i < 1500; i++)
        other_leaf();
    chain_sink++;
    return unused;
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    for (int round = 0; (double)clock() / CLOCKS_PER_SEC < seconds; round++) {
        pthread_t one, two;
        if (pthread_create(&one, NULL, short_life, NULL) || pthread_create(&two, NULL, other_life, NULL))
            return 1;
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    }
    return 0;
}
