/* SPDX-License-Identifier: MIT */
/*
 *     sleepers N TIMES    N threads that are all there at the same time; each sleeps for 50 ms TIMES times
 *
 * Prints how many sleeps there were, and how many of them a signal has cut short.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STACK = 64 << 10, SLEEP_NS = 50000000 };

static int times;
static atomic_long interrupted;

static void *run(void *nothing) {
    for (int i = 0; i < times; i++) {
        struct timespec left = {.tv_nsec = SLEEP_NS};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            interrupted++;
    }
    return nothing;
}

int main(int argc, char **argv) {
    int count = argc == 3 ? atoi(argv[1]) : 0;
    times = argc == 3 ? atoi(argv[2]) : 0;
    pthread_t *threads = calloc((size_t)count + 1, sizeof *threads);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], &attributes, run, NULL))
            return 2;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    printf("%ld %ld\n", (long)count * times, atomic_load(&interrupted));
    return 0;
}
