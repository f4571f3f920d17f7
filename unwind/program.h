/* SPDX-License-Identifier: MIT */
/*
 * Runs a CFA program (DWARF 5 section 6.4.2, with the GNU and LSB additions): instructions in, rows out.
 *
 * A program belongs to one FDE; the instructions of its CIE, which all its FDEs share, are run once and kept as the initial row.
 * Bytes are hostile: a program that cannot be understood fails as a whole with -EBADMSG. Bounded by the length of the instructions.
 */
#pragma once

#include "elf/elf.h"
#include "unwind/rule.h"

/* The state of the machine: the rule in force. Registers beyond UNWIND_PC (vector registers) never help to unwind and are passed over. */
struct program_row {
    struct location cfa;
    struct location registers[UNWIND_REGISTERS];
};

/* "From `pc` on, `row`". pcs ascend within an FDE. Not 0: stop with that value. */
typedef int (*program_visit)(void *context, uint64_t pc, const struct program_row *row);

enum { PROGRAM_REMEMBERED_ROWS = 16 };

struct program {
    struct elf_cfi_cie cie; /* of the initial row */
    struct program_row initial;
    int initial_error;
    struct program_row remembered[PROGRAM_REMEMBERED_ROWS];
};

/* `p` is zeroed before its first run and may be used for any number of FDEs, of any CIEs. */
int program_run(struct program *p, const struct elf_cfi_fde *fde, program_visit visit, void *context);

/* The bytes of an expression that a row given by program_run refers to. */
struct bytes program_expression(const struct elf_cfi_fde *fde, struct location location);
