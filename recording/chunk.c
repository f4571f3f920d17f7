/* SPDX-License-Identifier: MIT */
#include "recording/chunk.h"

#include <errno.h>
#include <zlib.h>

/* Below this zstd's own frame costs as much as it saves. */
enum { COMPRESS_FROM = 64, COMPRESS_LEVEL = 3 };

uint32_t chunk_sum(uint32_t sum, const void *data, size_t length) {
    return (uint32_t)crc32_z(sum, data, length);
}

static uint32_t chunk_sum_all(const struct chunk_head *head, const uint8_t *stored) {
    return chunk_sum(chunk_sum(0, head, CHUNK_HEAD_SUMMED), stored, head->length);
}

void chunk_pack(struct buffer *out, ZSTD_CCtx *context, uint32_t type, const void *payload, size_t length) {
    struct chunk_head head = {
        .type = type,
        .version = format_chunk_version(type),
        .flags = format_is_optional(type) ? CHUNK_OPTIONAL : 0,
        .length = (uint32_t)length,
        .raw_length = (uint32_t)length,
    };
    size_t bound = MAX(ZSTD_compressBound(length), length);
    uint8_t *to = buffer_reserve(out, sizeof head + bound);
    if (!to)
        return;
    uint8_t *stored = to + sizeof head;

    size_t packed = length;
    if (length >= COMPRESS_FROM) {
        packed = ZSTD_compressCCtx(context, stored, bound, payload, length, COMPRESS_LEVEL);
        if (ZSTD_isError(packed))
            packed = length;
    }
    if (packed < length) {
        head.length = (uint32_t)packed;
        head.flags |= CHUNK_ZSTD;
    } else if (length)
        memcpy(stored, payload, length);

    head.checksum = chunk_sum_all(&head, stored);
    memcpy(to, &head, sizeof head);
    out->length += sizeof head + head.length;
}

enum chunk_fault chunk_check_head(const struct chunk_head *head, uint64_t available) {
    if (head->zero || head->flags & ~(CHUNK_OPTIONAL | CHUNK_ZSTD) || head->raw_length > CHUNK_RAW_MAX || head->length > head->raw_length ||
        (!(head->flags & CHUNK_ZSTD) && head->length != head->raw_length))
        return CHUNK_BAD_HEAD;
    return head->length > available ? CHUNK_CUT : CHUNK_GOOD;
}

enum chunk_fault chunk_check_sum(const struct chunk_head *head, const uint8_t *stored) {
    return chunk_sum_all(head, stored) == head->checksum ? CHUNK_GOOD : CHUNK_BAD_CHECKSUM;
}

int chunk_unpack(const struct chunk_head *head, const uint8_t *stored, ZSTD_DCtx *context, struct buffer *space, struct bytes *ret) {
    if (!(head->flags & CHUNK_ZSTD)) {
        *ret = bytes_of(stored, head->length);
        return 0;
    }
    buffer_clear(space);
    uint8_t *to = buffer_reserve(space, head->raw_length);
    if (!to)
        return -ENOMEM;
    size_t length = ZSTD_decompressDCtx(context, to, head->raw_length, stored, head->length);
    if (ZSTD_isError(length) || length != head->raw_length)
        return -EBADMSG;
    space->length = length;
    *ret = bytes_of(to, length);
    return 0;
}

struct chunk_name chunk_name(uint32_t type) {
    struct chunk_name name = {0};
    for (size_t i = 0; i < 4; i++) {
        char letter = (char)(type >> 8 * i);
        name.text[i] = letter;
        if (letter <= ' ' || letter > '~')
            name.text[i] = '?';
    }
    return name;
}
