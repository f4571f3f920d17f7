/* SPDX-License-Identifier: MIT */
/* Walking the samples: a chunk is read, decompressed and decoded at once, then its rows are handed out. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "recording/chunk.h"
#include "recording/store.h"

struct recording_decoder {
    ZSTD_DCtx *zstd;
    struct buffer stored, space;
    struct sample_decoder samples;
};

void recording_cursor_free(struct recording_cursor *cursor) {
    struct recording_decoder *d = cursor->decoder;
    if (d) {
        ZSTD_freeDCtx(d->zstd);
        buffer_free(&d->stored);
        buffer_free(&d->space);
        sample_decoder_free(&d->samples);
        free(d);
    }
    *cursor = (struct recording_cursor){0};
}

static bool cursor_read(int fd, const struct store_chunk *chunk, struct buffer *to) {
    buffer_clear(to);
    if (!buffer_reserve(to, chunk->size))
        return false;
    while (to->length < chunk->size) {
        ssize_t n = pread(fd, to->data + to->length, chunk->size - to->length, (off_t)(chunk->offset + to->length));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to->length += (size_t)n;
    }
    return true;
}

/* The payload of a chunk that was not kept. It was good when the file was opened, and is checked again all the same: others may have
 * written to the file. */
static bool cursor_load(struct recording_decoder *d, int fd, const struct store_chunk *chunk, struct bytes *ret) {
    if (!d->zstd)
        d->zstd = ZSTD_createDCtx();
    if (!d->zstd || !cursor_read(fd, chunk, &d->stored))
        return false;
    struct chunk_head head;
    memcpy(&head, d->stored.data, sizeof head);
    return chunk_check_head(&head, chunk->size - sizeof head) == CHUNK_GOOD &&
           chunk_unpack(&head, d->stored.data + sizeof head, d->zstd, &d->space, ret) == 0;
}

static bool cursor_decode(struct recording_decoder *d, const struct recording_store *s, const struct store_chunk *chunk) {
    struct bytes payload = bytes_of(chunk->payload, chunk->payload_length);
    if (!chunk->payload && !cursor_load(d, s->fd, chunk, &payload))
        return false;
    const char *fault;
    struct sample_limits limits = store_limits(s, chunk);
    return sample_decode(&d->samples, payload, &limits, &fault) == 0;
}

static bool cursor_advance(const struct recording *r, struct recording_cursor *cursor) {
    if (cursor->chunk >= r->store->chunks.count)
        return false;
    if (!cursor->decoder && !(cursor->decoder = calloc(1, sizeof *cursor->decoder)))
        return false;
    if (!cursor_decode(cursor->decoder, r->store, &r->store->chunks.items[cursor->chunk]))
        return false;
    cursor->chunk++;
    cursor->index = 0;
    cursor->count = cursor->decoder->samples.samples.rows.count;
    return true;
}

bool recording_next(const struct recording *r, struct recording_cursor *cursor, struct recording_sample *ret) {
    if (unlikely(cursor->index >= cursor->count) && !cursor_advance(r, cursor))
        return false;
    const struct sample_rows *samples = &cursor->decoder->samples.samples;
    const struct sample_row *row = &samples->rows.items[cursor->index++];
    ret->time = row->time;
    ret->task = row->task;
    ret->node = row->node;
    ret->event = row->event;
    ret->cpu = row->cpu;
    if (likely(row->weights == SAMPLE_WEIGHT_IS_PERIOD))
        ret->weight[0] = r->events.items[row->event].period;
    else
        memcpy(ret->weight, &samples->weights.items[row->weights + 1], samples->weights.items[row->weights] * sizeof *ret->weight);
    return true;
}
