/* SPDX-License-Identifier: MIT */
/* Sets the checksums of a recording right, or no fuzzed byte would pass them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "recording/chunk.h"
#include "recording/file.h"

static inline void recording_sums_set(uint8_t *data, size_t size) {
    struct file_head file;
    if (size < sizeof file)
        return;
    memcpy(&file, data, sizeof file);
    file.checksum = chunk_sum(0, &file, offsetof(struct file_head, checksum));
    memcpy(data, &file, sizeof file);
    for (size_t at = sizeof file; size - at >= sizeof(struct chunk_head);) {
        struct chunk_head head;
        memcpy(&head, data + at, sizeof head);
        if (head.length > size - at - sizeof head)
            return;
        head.checksum = chunk_sum(chunk_sum(0, &head, CHUNK_HEAD_SUMMED), data + at + sizeof head, head.length);
        memcpy(data + at, &head, sizeof head);
        at += sizeof head + head.length;
    }
}
