/* SPDX-License-Identifier: MIT */
/* Builds perf records as the kernel writes them, for tests. */
#pragma once

#include <linux/perf_event.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"

static inline void record_begin(struct buffer *b, uint32_t type, uint16_t misc) {
    buffer_put_u32(b, type);
    buffer_put_u16(b, misc);
    buffer_put_u16(b, 0);
}

/* Patches the length of the record that started at `start`. */
static inline void record_end(struct buffer *b, size_t start) {
    uint16_t length = (uint16_t)(b->length - start);
    memcpy(b->data + start + 6, &length, sizeof length);
}

static inline void record_id(struct buffer *b, uint32_t pid, uint32_t tid, uint64_t time, uint32_t cpu) {
    buffer_put_u32(b, pid);
    buffer_put_u32(b, tid);
    buffer_put_u64(b, time);
    buffer_put_u32(b, cpu);
    buffer_put_u32(b, 0);
}

/* Padded to 8 with NULs, at least one. */
static inline void record_string(struct buffer *b, const char *string) {
    static const char zeros[8];
    size_t length = strlen(string);
    buffer_put(b, string, length);
    buffer_put(b, zeros, 8 - length % 8);
}

static inline void record_task(struct buffer *b, uint32_t type, uint32_t pid, uint32_t tid, uint32_t ppid, uint32_t ptid, uint64_t time) {
    size_t start = b->length;
    record_begin(b, type, 0);
    buffer_put_u32(b, pid);
    buffer_put_u32(b, ppid);
    buffer_put_u32(b, tid);
    buffer_put_u32(b, ptid);
    buffer_put_u64(b, time);
    record_id(b, pid, tid, time, 0);
    record_end(b, start);
}

static inline void record_read(struct buffer *b, uint32_t pid, uint32_t tid, uint64_t value, uint64_t time) {
    size_t start = b->length;
    record_begin(b, PERF_RECORD_READ, 0);
    buffer_put_u32(b, pid);
    buffer_put_u32(b, tid);
    buffer_put_u64(b, value);
    record_id(b, pid, tid, time, 0);
    record_end(b, start);
}

static inline void record_lost(struct buffer *b, uint64_t count, uint64_t time) {
    size_t start = b->length;
    record_begin(b, PERF_RECORD_LOST, 0);
    buffer_put_u64(b, 99);
    buffer_put_u64(b, count);
    record_id(b, 1, 1, time, 0);
    record_end(b, start);
}
