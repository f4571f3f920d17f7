/* SPDX-License-Identifier: MIT */
/* Eight threads, each 200 frames of 300 bytes deep: 60 KiB of stack, more than any copy of it that is worth its price. */
#include <pthread.h>

#include "chain.h"

#define CHAINS                                            \
    "main +\n"                                            \
    "^ > thread_main > descend > descend > thread_leaf\n" \
    "thread_main +\n"

enum { THREADS = 8, DEPTH = 200, FRAME = 256 };

LINK static void thread_leaf() {
    for (int i = 0; i < 20; i++)
        chain_work();
}

LINK static void descend(int depth) {
    volatile char block[FRAME];
    block[depth] = 1;
    if (depth > 0)
        descend(depth - 1);
    else
        thread_leaf();
    chain_sink += static_cast<uint64_t>(block[depth]);
}

LINK static void *thread_main(void *seconds) {
    while (chain_goes_on(*static_cast<double *>(seconds)))
        descend(DEPTH - 1);
    return nullptr;
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS) / THREADS;
    pthread_t threads[THREADS];
    for (auto &thread : threads)
        if (pthread_create(&thread, nullptr, thread_main, &seconds))
            abort();
    for (auto &thread : threads)
        pthread_join(thread, nullptr);
    return 0;
}
