/* SPDX-License-Identifier: MIT */
/*
 * A bounds-checked cursor over bytes that came from outside (ELF, DWARF, recordings, perf.data).
 *
 * Every read that would pass the end returns 0 and sets `failed`, which stays set; so a parser may read a whole header and ask once.
 * A length read from the bytes is safe to pass back in: it is compared, never added to a pointer first.
 *
 *     bytes   |........at->...........end|          0 <= end - at, always
 *
 * Little endian, as every machine cprof runs on. No allocation; may be used anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

struct bytes {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct bytes bytes_of(const void *data, size_t length) {
    return (struct bytes){.at = data, .end = data ? (const uint8_t *)data + length : NULL};
}

static inline size_t bytes_left(const struct bytes *b) {
    return (size_t)(b->end - b->at);
}

static inline bool bytes_empty(const struct bytes *b) {
    return b->failed || b->at == b->end;
}

static inline void bytes_fail(struct bytes *b) {
    b->failed = true;
    b->at = b->end;
}

/* The next `length` bytes, in place, or NULL. */
static inline const uint8_t *bytes_take(struct bytes *b, uint64_t length) {
    if (unlikely(length > bytes_left(b))) {
        bytes_fail(b);
        return NULL;
    }
    const uint8_t *taken = b->at;
    b->at += length;
    return taken;
}

static inline void bytes_skip(struct bytes *b, uint64_t length) {
    (void)bytes_take(b, length);
}

/* The next `length` bytes as a cursor of their own; it has failed if they are not there. */
static inline struct bytes bytes_sub(struct bytes *b, uint64_t length) {
    const uint8_t *taken = bytes_take(b, length);
    return taken ? bytes_of(taken, (size_t)length) : (struct bytes){.failed = true};
}

#define BYTES_DEFINE_READ(name, type)                       \
    static inline type bytes_##name(struct bytes *b) {      \
        type value = 0;                                     \
        const uint8_t *taken = bytes_take(b, sizeof(type)); \
        if (likely(taken))                                  \
            memcpy(&value, taken, sizeof(type));            \
        return value;                                       \
    }

BYTES_DEFINE_READ(u8, uint8_t)
BYTES_DEFINE_READ(u16, uint16_t)
BYTES_DEFINE_READ(u32, uint32_t)
BYTES_DEFINE_READ(u64, uint64_t)
BYTES_DEFINE_READ(s16, int16_t)
BYTES_DEFINE_READ(s32, int32_t)
BYTES_DEFINE_READ(s64, int64_t)
#undef BYTES_DEFINE_READ

/* LEB128 (DWARF 5, section 7.6). Bits past the 64th are dropped; more than ten bytes fail. */
static inline uint64_t bytes_uleb(struct bytes *b) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = bytes_u8(b);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    bytes_fail(b);
    return 0;
}

static inline int64_t bytes_sleb(struct bytes *b) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = bytes_u8(b);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if ((byte & 0x40) && shift + 7 < 64)
                value |= ~(uint64_t)0 << (shift + 7);
            return (int64_t)value;
        }
    }
    bytes_fail(b);
    return 0;
}

/* A NUL-terminated string in place, or NULL if no NUL comes before the end. */
static inline const char *bytes_string(struct bytes *b) {
    const uint8_t *nul = bytes_left(b) ? memchr(b->at, 0, bytes_left(b)) : NULL;
    if (!nul) {
        bytes_fail(b);
        return NULL;
    }
    const char *string = (const char *)b->at;
    b->at = nul + 1;
    return string;
}
