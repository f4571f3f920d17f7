/* SPDX-License-Identifier: MIT */
#include "sampler/perf-data-input.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/bytes.h"

enum { BLOCK_SIZE = 1 << 20 }; /* sixteen of the largest records (their size is 16 bits) */

struct perf_data_block {
    size_t references;
    alignas(8) uint8_t bytes[];
};

static struct perf_data_block *block_new(size_t size) {
    struct perf_data_block *block = malloc(sizeof *block + size);
    if (block)
        block->references = 1;
    return block;
}

struct perf_data_block *perf_data_hold(struct perf_data_block *block) {
    block->references++;
    return block;
}

void perf_data_drop(struct perf_data_block *block) {
    if (block && !--block->references)
        free(block);
}

int perf_data_input_init(struct perf_data_input *input, int fd, uint64_t length) {
    *input = (struct perf_data_input){.fd = fd, .left = length};
    return 0;
}

void perf_data_input_free(struct perf_data_input *input) {
    perf_data_drop(input->raw.block);
    perf_data_drop(input->inner.block);
    perf_data_drop(input->compressed_block);
    ZSTD_freeDStream(input->zstd);
}

/* A fresh block with what is left of the old one at its front. */
static int stream_renew(struct perf_data_stream *s) {
    struct perf_data_block *block = block_new(BLOCK_SIZE);
    if (!block)
        return -ENOMEM;
    size_t left = s->filled - s->at;
    if (left)
        memcpy(block->bytes, s->block->bytes + s->at, left);
    perf_data_drop(s->block);
    *s = (struct perf_data_stream){.block = block, .filled = left};
    return 0;
}

/* The size of the record at the stream's front if it is there whole, else 0; -EBADMSG if no record can look like this. */
static int stream_record_size(const struct perf_data_stream *s) {
    struct perf_event_header header;
    if (s->filled - s->at < sizeof header)
        return 0;
    memcpy(&header, s->block->bytes + s->at, sizeof header);
    if (header.size < sizeof header)
        return -EBADMSG;
    return header.size <= s->filled - s->at ? header.size : 0;
}

/* Reads on into the raw stream. 1: there is more, 0: the end. */
static int raw_fill(struct perf_data_input *input) {
    struct perf_data_stream *s = &input->raw;
    if (!s->block || BLOCK_SIZE - s->filled < BLOCK_SIZE / 2) {
        int r = stream_renew(s);
        if (r < 0)
            return r;
    }
    size_t room = BLOCK_SIZE - s->filled;
    ssize_t n;
    do
        n = input->left ? read(input->fd, s->block->bytes + s->filled, (size_t)MIN((uint64_t)room, input->left)) : 0;
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    s->filled += (size_t)n;
    if (input->left != UINT64_MAX)
        input->left -= (uint64_t)n;
    return n > 0;
}

/* The record at the stream's front, moved to a block of its own if it lies at an odd place (behind compressed records of perf before 6.14).
 */
static int stream_take(struct perf_data_stream *s, size_t size, const struct perf_event_header **ret_record,
                       struct perf_data_block **ret_block) {
    if (s->at % 8 == 0) {
        *ret_record = (const void *)(s->block->bytes + s->at);
        *ret_block = s->block;
        s->at += size;
        return 1;
    }
    int r = stream_renew(s); /* now it is at the front */
    return r < 0 ? r : stream_take(s, size, ret_record, ret_block);
}

/* Feeds zstd until the inner stream holds a whole record, or the piece is eaten. */
static int inflate(struct perf_data_input *input, const char **ret_problem) {
    struct perf_data_stream *s = &input->inner;
    while (input->compressed_left) {
        int size = s->block ? stream_record_size(s) : 0;
        if (size)
            return size;
        if (!s->block || BLOCK_SIZE - s->filled < BLOCK_SIZE / 2) {
            int r = stream_renew(s);
            if (r < 0)
                return r;
        }
        ZSTD_outBuffer out = {.dst = s->block->bytes, .size = BLOCK_SIZE, .pos = s->filled};
        ZSTD_inBuffer in = {.src = input->compressed, .size = input->compressed_left};
        size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
        if (ZSTD_isError(result)) {
            *ret_problem = "a compressed record does not decompress";
            return -EBADMSG;
        }
        bool stuck = out.pos == s->filled && in.pos == 0;
        s->filled = out.pos;
        input->compressed += in.pos;
        input->compressed_left -= in.pos;
        if (stuck)
            break;
    }
    return s->block ? stream_record_size(s) : 0;
}

static int feed_compressed(struct perf_data_input *input, const struct perf_event_header *record, struct perf_data_block *block) {
    struct bytes b = bytes_of(record + 1, record->size - sizeof *record);
    uint64_t length = bytes_left(&b);
    if (record->type == PERF_DATA_COMPRESSED2)
        length = bytes_u64(&b);
    const uint8_t *data = bytes_take(&b, length);
    if (!data)
        return -EBADMSG;
    if (!input->zstd) {
        input->zstd = ZSTD_createDStream();
        if (!input->zstd)
            return -ENOMEM;
        ZSTD_initDStream(input->zstd);
    }
    perf_data_drop(input->compressed_block);
    input->compressed_block = perf_data_hold(block);
    input->compressed = data;
    input->compressed_left = (size_t)length;
    return 0;
}

int perf_data_input_next(struct perf_data_input *input, const struct perf_event_header **ret_record, struct perf_data_block **ret_block,
                         const char **ret_problem) {
    for (;;) {
        int size = inflate(input, ret_problem);
        if (size > 0)
            return stream_take(&input->inner, (size_t)size, ret_record, ret_block);
        if (size == 0)
            size = input->raw.block ? stream_record_size(&input->raw) : 0;
        if (size < 0) {
            if (!*ret_problem)
                *ret_problem = "a record is smaller than its own header";
            return size;
        }
        if (size == 0) {
            int r = raw_fill(input);
            if (r < 0)
                return r;
            if (r == 0)
                return input->raw.block && input->raw.filled > input->raw.at ? -ENODATA : 0;
            continue;
        }
        int r = stream_take(&input->raw, (size_t)size, ret_record, ret_block);
        if (r < 0)
            return r;
        if ((*ret_record)->type != PERF_DATA_COMPRESSED && (*ret_record)->type != PERF_DATA_COMPRESSED2)
            return 1;
        r = feed_compressed(input, *ret_record, *ret_block);
        if (r < 0) {
            *ret_problem = "a compressed record is malformed";
            return r;
        }
    }
}

int perf_data_input_skip(struct perf_data_input *input, uint64_t length) {
    while (length) {
        size_t here = input->raw.filled - input->raw.at;
        if (!here) {
            int r = raw_fill(input);
            if (r <= 0)
                return r < 0 ? r : -ENODATA;
            continue;
        }
        size_t skipped = (size_t)MIN((uint64_t)here, length);
        input->raw.at += skipped;
        length -= skipped;
    }
    return 0;
}
