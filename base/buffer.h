/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer: the writing twin of base/bytes.h.
 *
 * A failed allocation sets `failed` and makes every later put a no-op, so a writer may put a whole record and ask once.
 * The buffer owns `data`; buffer_free releases it. One thread at a time.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

struct buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    bool failed;
};

void buffer_free(struct buffer *b);

/* Forgets the content, keeps the memory, clears `failed`. */
void buffer_clear(struct buffer *b);

/* Makes room for `more` bytes and returns where they go, or NULL; the caller adds what it wrote to `length`. */
uint8_t *buffer_reserve(struct buffer *b, size_t more);

void buffer_put(struct buffer *b, const void *data, size_t length);
void buffer_put_uleb(struct buffer *b, uint64_t value);
void buffer_put_sleb(struct buffer *b, int64_t value);

/* uleb length, then the bytes. */
void buffer_put_string(struct buffer *b, const char *string, size_t length);

void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void buffer_put_u8(struct buffer *b, uint8_t value) {
    if (likely(b->length < b->capacity && !b->failed))
        b->data[b->length++] = value;
    else
        buffer_put(b, &value, 1);
}

static inline void buffer_put_u16(struct buffer *b, uint16_t value) {
    buffer_put(b, &value, sizeof value);
}

static inline void buffer_put_u32(struct buffer *b, uint32_t value) {
    buffer_put(b, &value, sizeof value);
}

static inline void buffer_put_u64(struct buffer *b, uint64_t value) {
    buffer_put(b, &value, sizeof value);
}
