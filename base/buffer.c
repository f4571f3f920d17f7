/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b) {
    b->length = 0;
    b->failed = false;
}

uint8_t *buffer_reserve(struct buffer *b, size_t more) {
    if (b->failed)
        return NULL;
    if (b->data && more <= b->capacity - b->length)
        return b->data + b->length;

    size_t capacity = MAX(b->capacity, (size_t)256);
    while (capacity - b->length < more) {
        if (capacity > SIZE_MAX / 2) {
            b->failed = true;
            return NULL;
        }
        capacity *= 2;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->capacity = capacity;
    return data + b->length;
}

void buffer_put(struct buffer *b, const void *data, size_t length) {
    uint8_t *to = length ? buffer_reserve(b, length) : NULL;
    if (!to)
        return;
    memcpy(to, data, length);
    b->length += length;
}

void buffer_put_uleb(struct buffer *b, uint64_t value) {
    uint8_t *to = buffer_reserve(b, 10);
    if (!to)
        return;
    size_t n = 0;
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        to[n++] = byte | (value ? 0x80 : 0);
    } while (value);
    b->length += n;
}

void buffer_put_sleb(struct buffer *b, int64_t value) {
    uint8_t *to = buffer_reserve(b, 10);
    if (!to)
        return;
    size_t n = 0;
    for (;;) {
        uint8_t byte = value & 0x7f;
        value >>= 7; /* arithmetic: the sign is kept */
        bool done = (value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40));
        to[n++] = byte | (done ? 0 : 0x80);
        if (done)
            break;
    }
    b->length += n;
}

void buffer_put_string(struct buffer *b, const char *string, size_t length) {
    buffer_put_uleb(b, length);
    buffer_put(b, string, length);
}

void buffer_printf(struct buffer *b, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0)
        b->failed = true;
    else {
        uint8_t *to = buffer_reserve(b, (size_t)length + 1); /* vsnprintf writes a NUL, which is not counted */
        if (to) {
            vsnprintf((char *)to, (size_t)length + 1, format, again);
            b->length += (size_t)length;
        }
    }
    va_end(again);
    va_end(arguments);
}
