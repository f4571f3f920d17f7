/* SPDX-License-Identifier: MIT */
/*
 * The target's memory as one walk sees it: the bytes of the sample, then what the space's owner can read of the rest.
 *
 * Bytes of the sample are true of the sample's instant. Others are those of a later one: `used_live` says that such bytes were given, and
 * it is the walk's business to prove that they still mean the same. They are read in pieces of up to 64 KiB, each at most once a walk.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "unwind/unwind.h"

enum { MEMORY_PIECE = 64 * 1024 };

struct memory {
    const uint8_t *stack;
    uint64_t base, length;
    const struct unwind_space *space;
    bool used_live;
    bool is_held;     /* bytes beyond the sample's outer end give -EAGAIN: there may be a better way than reading them */
    uint64_t missing; /* the last address that could not be read */
    uint8_t *piece;   /* MEMORY_PIECE bytes, the unwinder's */
    uint64_t piece_base, piece_length;
    enum unwind_source piece_source;
    uint64_t next_length; /* of the next piece: doubles, so that short needs stay cheap */
};

static inline bool memory_in_sample(const struct memory *m, uint64_t address, uint64_t length) {
    uint64_t offset = address - m->base;
    return offset < m->length && m->length - offset >= length;
}

/* Bytes beyond the sample; use memory_read. */
int memory_read_beyond(struct memory *m, uint64_t address, void *to, size_t length);

/* 0, -EFAULT or -EAGAIN (is_held). */
static inline int memory_read(struct memory *m, uint64_t address, uint64_t *ret) {
    if (unlikely(!memory_in_sample(m, address, sizeof *ret)))
        return memory_read_beyond(m, address, ret, sizeof *ret);
    memcpy(ret, m->stack + (address - m->base), sizeof *ret);
    return 0;
}
