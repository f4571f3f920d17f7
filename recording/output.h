/* SPDX-License-Identifier: MIT */
/*
 * The file under a writer, and the thread that compresses and writes. Private to the room.
 *
 *     writer (caller's thread) --batch--> queue --> output thread: pack each chunk, one write(2) a batch --> file
 *
 * A batch is what was open together: its tables in an order in which nothing names what comes later, then the samples that name them. So
 * any prefix of whole chunks is a valid recording.
 *
 * Invariant: queued = sum of the sizes of the batches that are not yet written, the one in the thread's hands included.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "recording/samples.h"

struct batch {
    struct batch *next;
    struct buffer chunks; /* {u32 type, u32 length, payload}* */
    struct sample_rows samples;
    size_t size; /* bytes of memory, about */
};

void batch_free(struct batch *b);
void batch_add_chunk(struct batch *b, uint32_t type, const void *payload, size_t length);

struct output {
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;   /* there is a batch, or is_stopping */
    pthread_cond_t idle;   /* queued became 0 */
    struct batch *first, **last;
    size_t queued;
    bool is_stopping;
    int error;     /* the first one, kept; nothing is written after it */
    uint64_t size; /* of the file, up to its last whole batch */
};

/* Makes the file (see recording_create), writes its head, and starts the thread. */
int output_open(struct output *o, const char *path);

/* Takes the batch. */
void output_put(struct output *o, struct batch *b);

/* Bytes of memory in the queue. */
size_t output_queued(struct output *o);

/* The error kept, or 0; `error` (if not 0) is kept first, unless there is one. */
int output_error(struct output *o, int error);

/* Waits until all that was put is written. The error kept, or 0. */
int output_drain(struct output *o);

/* Drains, ends the thread, closes the file. */
int output_close(struct output *o, uint64_t *ret_size);
