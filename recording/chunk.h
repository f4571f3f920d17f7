/* SPDX-License-Identifier: MIT */
/* One chunk, packed and unpacked: head, checksum, compression. Private to the room. */
#pragma once

#include <stdint.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "recording/format.h"

/* Appends the chunk to `out`, compressed where that saves something. A failed allocation shows in out->failed. */
void chunk_pack(struct buffer *out, ZSTD_CCtx *context, uint32_t type, const void *payload, size_t length);

/* The checksum of the format: CRC-32 as zlib and PNG have it. `sum` is that of the bytes before, 0 at first. */
uint32_t chunk_sum(uint32_t sum, const void *data, size_t length);

enum chunk_fault {
    CHUNK_GOOD = 0,
    CHUNK_CUT,          /* the bytes end before the chunk does: cut off, or still being written */
    CHUNK_BAD_HEAD,     /* lengths or flags no writer makes */
    CHUNK_BAD_CHECKSUM, /* the bytes are not those that were written */
};

/* Whether `head` may stand before `available` more bytes. */
enum chunk_fault chunk_check_head(const struct chunk_head *head, uint64_t available);
enum chunk_fault chunk_check_sum(const struct chunk_head *head, const uint8_t *stored);

/* The payload of a chunk whose head was checked: `stored` itself, or decompressed into `space` (which is overwritten). -EBADMSG: it does
 * not decompress to raw_length bytes. -ENOMEM. */
int chunk_unpack(const struct chunk_head *head, const uint8_t *stored, ZSTD_DCtx *context, struct buffer *space, struct bytes *ret);

/* Four letters, what is unprintable as '?'. */
struct chunk_name {
    char text[5];
};
struct chunk_name chunk_name(uint32_t type);
