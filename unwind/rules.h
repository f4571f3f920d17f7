/* SPDX-License-Identifier: MIT */
/*
 * The distinct rules of a module: rows of CFA programs in, small numbers out.
 *
 * A rule is the same as another when its hot part, CFA, register list and expression bytes are. Rule 0 is RULE_NONE, rule 1 RULE_END.
 * At most RULES_MAX of them, far beyond what compilers make of any program; the rows of more get RULE_NONE and are counted.
 */
#pragma once

#include <stddef.h>

#include "base/vec.h"
#include "unwind/program.h"

enum { RULES_NONE = 0, RULES_END = 1, RULES_MAX = 1 << 16 };

struct rules {
    VEC(struct rule) list;
    VEC(struct rule_register) registers;
    VEC(uint8_t) expressions;
    uint32_t *table; /* hash -> number + 1; capacity a power of two, less than half full */
    size_t table_capacity;
};

int rules_init(struct rules *r);
void rules_free(struct rules *r);

/* The number of the rule that `row` of `fde` makes. -ENOSPC: too many rules. */
int rules_intern(struct rules *r, const struct elf_cfi_fde *fde, const struct program_row *row, uint16_t *ret);
