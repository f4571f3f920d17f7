/* SPDX-License-Identifier: MIT */
/* Opens whatever bytes as a recording. Its checksums are set right first, or no fuzzed byte would pass them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recording/chunk.h"
#include "recording/file.h"
#include "recording/recording.h"

static inline void fuzzed_recording_sums_set(uint8_t *data, size_t size) {
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

/* As recording_open. */
static inline int fuzzed_recording_open(const uint8_t *data, size_t size, struct recording **ret, const char **ret_newer) {
    uint8_t *copy = malloc(size + 1);
    int fd = memfd_create("recording", MFD_CLOEXEC);
    if (!copy || fd < 0)
        abort();
    if (size)
        memcpy(copy, data, size);
    fuzzed_recording_sums_set(copy, size);
    if (file_write(fd, copy, size) != 0)
        abort();
    free(copy);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int error = recording_open(path, ret, ret_newer);
    close(fd);
    return error;
}
