/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks, in the subset that every consumer reads alike:
 *
 *     line  = comm *( ";" frame ) SP count LF        at least one ";", a count of at least 1, sorted by bytes, less than 64 KiB a line
 *
 * Nothing else is written: no header, no comments.
 */
#pragma once

#include "base/buffer.h"
#include "report/tree.h"

enum { FOLDED_LINE_MAX = 65535 }; /* newline included; Pyroscope's scanner drops everything behind a longer line */

struct folded_counts {
    uint64_t stacks;
    uint64_t cut; /* stacks with frames left out of their middle, to keep the line short */
};

/*
 * Takes the lines that are ready out of the buffer and empties it, so that no more of the text is in memory than needs to be. 0 or -errno,
 * which ends the writing.
 */
struct folded_drain {
    int (*write)(void *context, struct buffer *ready);
    void *context;
};

/*
 * Appends all lines; with a drain, those that it has not taken. The tree's groups must be told apart by comm alone, its places by function
 * alone and in TEXT_FOLDED. 0, -ENOMEM or what the drain says.
 */
int folded_write(const struct tree *tree, const struct places *places, bool by_weight, struct buffer *out, const struct folded_drain *drain,
                 struct folded_counts *ret);

/* Puts the lines from `start` on in order and merges equal stacks. */
int folded_sort_lines(struct buffer *b, size_t start, uint64_t *ret_stacks);
