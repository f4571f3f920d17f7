/* SPDX-License-Identifier: MIT */
/* Files made by hand: a head, chunks as a test wants them, sums that are right. */
#pragma once

#include "base/buffer.h"
#include "base/frame.h"
#include "recording/chunk.h"
#include "recording/format.h"

static inline void craft_head(struct buffer *file, uint32_t roots) {
    struct file_head head = {.version = FORMAT_VERSION, .length = sizeof head, .roots = roots};
    memcpy(head.magic, FORMAT_MAGIC, sizeof head.magic);
    head.checksum = chunk_sum(0, &head, offsetof(struct file_head, checksum));
    buffer_put(file, &head, sizeof head);
}

/* Gives the head its sum and appends both. */
static inline void craft_chunk(struct buffer *file, struct chunk_head head, const void *stored) {
    head.checksum = chunk_sum(chunk_sum(0, &head, CHUNK_HEAD_SUMMED), stored, head.length);
    buffer_put(file, &head, sizeof head);
    buffer_put(file, stored, head.length);
}

static inline void craft_plain(struct buffer *file, uint32_t type, const void *payload, size_t length) {
    craft_chunk(file, (struct chunk_head){.type = type, .version = 1, .length = (uint32_t)length, .raw_length = (uint32_t)length}, payload);
}
