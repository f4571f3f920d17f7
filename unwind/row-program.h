/* SPDX-License-Identifier: MIT */
/*
 * One row written down again as a CFA program of its own, so that libunwind can evaluate the rows that hold expressions no table form
 * covers. Needs neither the module's .eh_frame nor its .debug_frame at run time.
 */
#pragma once

#include "unwind/program.h"

enum { ROW_PROGRAM_MAX = 1024 };

/* Returns the length, or 0 when the row needs more than ROW_PROGRAM_MAX bytes (no compiler's does). */
size_t row_program_write(const struct elf_cfi_fde *fde, const struct program_row *row, uint8_t to[ROW_PROGRAM_MAX]);
