/* SPDX-License-Identifier: MIT */
/*
 * Load for the recorder rather than for the CPU:
 *
 *     load busy N SECONDS     N threads at once share so much CPU time
 *     load short N            N threads, one after the other, each gone before its first sample
 *     load forks N            as many processes
 *     load crowd N            N threads that are all there at the same time
 *
 * Prints the CPU time of all of it but the first thread, in seconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chain.h"

enum { STACK = 64 << 10 };

static double seconds_each;
static pthread_barrier_t all_there;

static double seconds_of(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void *busy(void *nothing) {
    while (chain_goes_on(seconds_each))
        chain_work();
    return nothing;
}

static void *brief(void *nothing) {
    for (int i = 0; i < 20; i++)
        chain_work();
    return nothing;
}

static void *wait_for_all(void *nothing) {
    pthread_barrier_wait(&all_there);
    return brief(nothing);
}

static void start(pthread_t *thread, void *(*run)(void *)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    int error = pthread_create(thread, &attributes, run, NULL);
    if (error) {
        fprintf(stderr, "load: cannot start a thread: %s\n", strerror(error));
        exit(2);
    }
    pthread_attr_destroy(&attributes);
}

static void together(int count, void *(*run)(void *)) {
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    for (int i = 0; i < count; i++)
        start(&threads[i], run);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static void one_by_one(int count) {
    pthread_t thread;
    for (int i = 0; i < count; i++) {
        start(&thread, brief);
        pthread_join(thread, NULL);
    }
}

static void forks(int count) {
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            brief(NULL);
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            exit(2);
    }
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (count < 1)
        return 2;
    if (!strcmp(argv[1], "busy")) {
        seconds_each = (argc > 3 ? strtod(argv[3], NULL) : 1) / count;
        together(count, busy);
    } else if (!strcmp(argv[1], "short")) {
        one_by_one(count);
    } else if (!strcmp(argv[1], "forks")) {
        forks(count);
    } else if (!strcmp(argv[1], "crowd")) {
        pthread_barrier_init(&all_there, NULL, (unsigned)count);
        together(count, wait_for_all);
    } else {
        return 2;
    }
    printf("%.6f\n", seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN) - seconds_of(RUSAGE_THREAD));
    return 0;
}
