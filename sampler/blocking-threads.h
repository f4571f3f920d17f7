/* SPDX-License-Identifier: MIT */
/*
 * Threads that keep our signal blocked while they run, so that nothing of them is sampled. The agent takes the signal out of the masks that
 * a program sets through libc; those set by system calls it does not see.
 *
 * A thread is asked now and then. One whose signal is both blocked and pending at two questions in succession, and that was on a CPU in
 * between, was not sampled there: the signal of a thread that sleeps with it blocked waits for nothing. Unless it has written to its ring
 * meanwhile: then it was blocked for moments, as the agent does around fork.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct blocking_thread {
    uint32_t pid, tid;
    char name[16];
    bool was_blocking; /* at the last question */
    uint64_t cpu;      /* its CPU time then */
    uint64_t written;  /* the head of its ring then */
    uint64_t unseen;   /* CPU time between two such questions, ns */
};

struct blocking_threads {
    int signal;
    VEC(struct blocking_thread) threads;
};

/* Asks one thread, of another process, which has written so much to its ring. */
void blocking_threads_look(struct blocking_threads *blocking, uint32_t pid, uint32_t tid, uint64_t written);
void blocking_threads_free(struct blocking_threads *blocking);

/* "worker (1.203 s of CPU time), io (0.150 s of CPU time) and 3 more", those with most first; false: there are none. */
bool blocking_threads_put(struct blocking_threads *blocking, char *ret, size_t size);
