/* SPDX-License-Identifier: MIT */
/*
 * Who is right where unwinders differ: the row of readelf's text that holds at the pc, applied to the bytes of the sample, step by step.
 * It can follow rules of the form CFA = register + offset, return address at CFA + offset; those are nearly all.
 */
#pragma once

#include "tests/oracle/replay.h"

enum arbiter_answer {
    ARBITER_RETURNS,    /* the registers are the caller's now, pc included */
    ARBITER_LANDING,    /* the same, out of a function that saves rax: it ends in eh_return, and its slots may be a landing's already */
    ARBITER_END,        /* the return address is undefined: the outermost frame */
    ARBITER_NO_ROW,     /* no CFI at this pc */
    ARBITER_EXPRESSION, /* a DWARF expression */
    ARBITER_UNREADABLE, /* a register or the bytes it needs are not known */
};

struct arbiter;

int arbiter_new(struct arbiter **ret);
void arbiter_free(struct arbiter *arbiter);

/* One step out of `frame`, whose registers are given and, with ARBITER_RETURNS, become the caller's. `row`: the row in words, and where it
 * leads. */
enum arbiter_answer arbiter_step(struct arbiter *arbiter, const struct replay_scene *scene, const struct unwind_frame *frame,
                                 struct unwind_registers *registers, char *row, size_t row_size);
