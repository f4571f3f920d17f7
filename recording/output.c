/* SPDX-License-Identifier: MIT */
#include "recording/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/frame.h"
#include "recording/chunk.h"
#include "recording/file.h"
#include "recording/format.h"

void batch_free(struct batch *b) {
    if (!b)
        return;
    buffer_free(&b->chunks);
    sample_rows_free(&b->samples);
    free(b);
}

void batch_add_chunk(struct batch *b, uint32_t type, const void *payload, size_t length) {
    buffer_put_u32(&b->chunks, type);
    buffer_put_u32(&b->chunks, (uint32_t)length);
    buffer_put(&b->chunks, payload, length);
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------------ */

/* What the thread works with, and nobody else sees. */
struct packer {
    ZSTD_CCtx *zstd;
    struct sample_encoder encoder;
    struct buffer payload, out;
};

static void packer_free(struct packer *p) {
    ZSTD_freeCCtx(p->zstd);
    sample_encoder_free(&p->encoder);
    buffer_free(&p->payload);
    buffer_free(&p->out);
}

/* The batch as it goes to the file, in p->out. */
static int packer_pack(struct packer *p, const struct batch *b) {
    buffer_clear(&p->out);
    struct bytes chunks = bytes_of(b->chunks.data, b->chunks.length);
    while (!bytes_empty(&chunks)) {
        uint32_t type = bytes_u32(&chunks), length = bytes_u32(&chunks);
        chunk_pack(&p->out, p->zstd, type, bytes_take(&chunks, length), length);
    }
    if (b->samples.rows.count) {
        buffer_clear(&p->payload);
        if (sample_encode(&p->encoder, &b->samples, &p->payload) < 0)
            return -ENOMEM;
        chunk_pack(&p->out, p->zstd, CHUNK_SAMPLES, p->payload.data, p->payload.length);
    }
    return p->out.failed ? -ENOMEM : 0;
}

static int output_write(struct output *o, struct packer *p, const struct batch *b) {
    if (!p->zstd)
        return -ENOMEM;
    int r = packer_pack(p, b);
    if (r == 0)
        r = file_write(o->fd, p->out.data, p->out.length);
    if (r == 0)
        o->size += p->out.length; /* read by others after the join alone */
    else
        (void)!ftruncate(o->fd, (off_t)o->size); /* a file that ends with a whole chunk; a pipe refuses, and does not mind */
    return r;
}

static void *output_thread(void *argument) {
    struct output *o = argument;
    struct packer packer = {.zstd = ZSTD_createCCtx()};

    pthread_mutex_lock(&o->mutex);
    for (;;) {
        while (!o->first && !o->is_stopping)
            pthread_cond_wait(&o->work, &o->mutex);
        struct batch *b = o->first;
        if (!b)
            break;
        o->first = b->next;
        if (!o->first)
            o->last = &o->first;
        bool is_dead = o->error != 0;
        pthread_mutex_unlock(&o->mutex);

        int error = is_dead ? 0 : output_write(o, &packer, b);
        size_t size = b->size;
        batch_free(b);

        pthread_mutex_lock(&o->mutex);
        if (error && !o->error)
            o->error = error;
        o->queued -= size;
        if (!o->queued)
            pthread_cond_broadcast(&o->idle);
    }
    pthread_mutex_unlock(&o->mutex);
    packer_free(&packer);
    return NULL;
}

/* Every signal is blocked in the thread: the caller's handlers run in the caller's threads, and a full pipe or a file size limit is an
 * error of write(2) rather than the death of the recorder (SIGPIPE and SIGXFSZ go to the thread that wrote). */
static int output_start(struct output *o) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&o->thread, NULL, output_thread, o);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* ---- for the writer -------------------------------------------------------------------------------------------------------------- */

int output_open(struct output *o, const char *path) {
    struct file_head head = {.version = FORMAT_VERSION, .length = sizeof head, .roots = STACK_END_COUNT};
    memcpy(head.magic, FORMAT_MAGIC, sizeof head.magic);
    head.checksum = chunk_sum(0, &head, offsetof(struct file_head, checksum));

    *o = (struct output){.fd = -1, .size = sizeof head};
    o->last = &o->first;
    int r = file_create(path, &head, sizeof head, &o->fd);
    if (r < 0)
        return r;
    pthread_mutex_init(&o->mutex, NULL);
    pthread_cond_init(&o->work, NULL);
    pthread_cond_init(&o->idle, NULL);
    r = output_start(o);
    if (r < 0)
        close(o->fd);
    return r;
}

void output_put(struct output *o, struct batch *b) {
    b->next = NULL;
    b->size = sizeof *b + b->chunks.capacity + b->samples.rows.capacity * sizeof *b->samples.rows.items +
              b->samples.weights.capacity * sizeof *b->samples.weights.items;
    pthread_mutex_lock(&o->mutex);
    o->queued += b->size;
    *o->last = b;
    o->last = &b->next;
    pthread_cond_signal(&o->work);
    pthread_mutex_unlock(&o->mutex);
}

size_t output_queued(struct output *o) {
    pthread_mutex_lock(&o->mutex);
    size_t queued = o->queued;
    pthread_mutex_unlock(&o->mutex);
    return queued;
}

int output_error(struct output *o, int error) {
    pthread_mutex_lock(&o->mutex);
    if (!o->error)
        o->error = error;
    error = o->error;
    pthread_mutex_unlock(&o->mutex);
    return error;
}

int output_drain(struct output *o) {
    pthread_mutex_lock(&o->mutex);
    while (o->queued)
        pthread_cond_wait(&o->idle, &o->mutex);
    int error = o->error;
    pthread_mutex_unlock(&o->mutex);
    return error;
}

int output_close(struct output *o, uint64_t *ret_size) {
    pthread_mutex_lock(&o->mutex);
    o->is_stopping = true;
    pthread_cond_signal(&o->work);
    pthread_mutex_unlock(&o->mutex);
    pthread_join(o->thread, NULL);

    int error = o->error;
    if (close(o->fd) < 0 && !error && errno != EINTR)
        error = -errno; /* a network file system says here that the quota is used up */
    pthread_cond_destroy(&o->work);
    pthread_cond_destroy(&o->idle);
    pthread_mutex_destroy(&o->mutex);
    if (ret_size)
        *ret_size = o->size;
    return error;
}
