/* SPDX-License-Identifier: MIT */
/*
 * libunwind for the rows that hold expressions no table form covers: one step by one row, over the same memory as the tables use.
 *
 * The row comes as a CFA program of its own (row-program.h). It is wrapped into a CIE, an FDE over all addresses and a search table of one
 * entry, all of which libunwind reads through the memory accessor at addresses no user space has. One unwinder's; not thread-safe.
 * libunwind allocates on the first step only.
 */
#pragma once

#include "unwind/step.h"

struct fallback;

int fallback_new(struct fallback **ret);
void fallback_free(struct fallback *f);

/* -EFAULT: memory that is not there. -ENODATA: a register whose value is not known, or nothing libunwind understands. */
int fallback_step(struct fallback *f, const uint8_t *program, uint32_t length, struct memory *memory, const struct unwind_registers *from,
                  struct step *ret);
