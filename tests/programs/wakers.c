/* SPDX-License-Identifier: MIT */
/*
 * Threads that wake each other, more of them than most machines have CPUs: so each spends most of its time waiting for one.
 *
 *     wakers pipe|condition PAIRS ROUNDS
 *
 * In a pair, each in its turn does three parts of work in work_long, passes the turn on, and does one in work_short before it waits for
 * its next. So the CPU time of work_long is three times that of work_short, wherever the threads lose their CPU.
 */
#include <pthread.h>
#include <unistd.h>

#include "chain.h"

enum { PART = 12, PAIRS_MAX = 64 };

static struct pair {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int turn;
    int ends[2][2];
} pairs[PAIRS_MAX];

struct one {
    struct pair *pair;
    int side;
};

static bool is_by_pipe;
static int rounds;

LINK static void work_long(void) {
    for (int i = 0; i < 3 * PART; i++)
        chain_work();
}

LINK static void work_short(void) {
    for (int i = 0; i < PART; i++)
        chain_work();
}

LINK static void pass_on(const struct one *one) {
    struct pair *pair = one->pair;
    if (is_by_pipe) {
        if (write(pair->ends[one->side][1], "x", 1) != 1)
            abort();
        return;
    }
    pthread_mutex_lock(&pair->lock);
    pair->turn = !one->side;
    pthread_cond_signal(&pair->changed);
    pthread_mutex_unlock(&pair->lock);
}

LINK static void await(const struct one *one) {
    struct pair *pair = one->pair;
    char byte;
    if (is_by_pipe) {
        if (read(pair->ends[!one->side][0], &byte, 1) != 1)
            abort();
        return;
    }
    pthread_mutex_lock(&pair->lock);
    while (pair->turn != one->side)
        pthread_cond_wait(&pair->changed, &pair->lock);
    pthread_mutex_unlock(&pair->lock);
}

static void *run(void *argument) {
    const struct one *one = argument;
    for (int i = 0; i < rounds; i++) {
        await(one);
        work_long();
        pass_on(one);
        work_short();
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[2 * PAIRS_MAX];
    struct one ones[2 * PAIRS_MAX];
    int count = argc == 4 ? 2 * atoi(argv[2]) : 0;
    if (count < 2 || count > 2 * PAIRS_MAX)
        return 2;
    is_by_pipe = !strcmp(argv[1], "pipe");
    rounds = atoi(argv[3]);
    for (int i = 0; i < count; i++) {
        struct pair *pair = &pairs[i / 2];
        ones[i] = (struct one){pair, i % 2};
        if (pipe(pair->ends[i % 2]) != 0)
            return 2;
        if (i % 2 == 0) {
            pthread_mutex_init(&pair->lock, NULL);
            pthread_cond_init(&pair->changed, NULL);
        }
    }
    for (int i = 0; i < count; i += 2)
        pass_on(&(struct one){&pairs[i / 2], 1});
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, run, &ones[i]) != 0)
            return 2;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
