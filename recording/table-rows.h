/* SPDX-License-Identifier: MIT */
/* What the readers of table rows (tables.c, scope-tables.c) share. Private to the room. */
#pragma once

#include "base/bytes.h"
#include "base/vec.h"
#include "recording/recording.h"
#include "recording/store.h"

/* What a row reader says: NULL is "good". rows_out_of_memory, which is no fault of the bytes, is told by its address. */
extern const char rows_out_of_memory[], rows_cut_off[];

/* A new row of a table, or the end of this reader. */
#define ROW(vec)                          \
    ({                                    \
        __auto_type row_ = vec_push(vec); \
        if (!row_)                        \
            return rows_out_of_memory;    \
        row_;                             \
    })

/* The string of an id read; NULL (and the cursor failed) if there is none. */
static inline const char *read_string(const struct recording_store *s, struct bytes *b) {
    uint64_t id = bytes_uleb(b);
    if (id >= s->strings.count) {
        bytes_fail(b);
        return NULL;
    }
    return s->strings.items[id];
}

/* 0 is NULL, else the string's id + 1. */
static inline const char *read_optional_string(const struct recording_store *s, struct bytes *b) {
    uint64_t id = bytes_uleb(b);
    if (!id)
        return NULL;
    if (id > s->strings.count) {
        bytes_fail(b);
        return NULL;
    }
    return s->strings.items[id - 1];
}

/* A number below `limit`; 0 and the cursor failed otherwise. */
static inline uint64_t read_below(struct bytes *b, uint64_t limit) {
    uint64_t value = bytes_uleb(b);
    if (value < limit)
        return value;
    bytes_fail(b);
    return 0;
}

static inline uint32_t read_u32(struct bytes *b) {
    return (uint32_t)read_below(b, (uint64_t)UINT32_MAX + 1);
}
