/* SPDX-License-Identifier: MIT */
/*
 * The compiled CFI of one binary.
 *
 *   row    {pc, rule}: from this pc on, that rule, up to the next row. All rows of a module ascend strictly in pc; a stretch that no FDE
 *          covers begins with a row of RULES_NONE, so that the row below a pc is always the answer.
 *   page   64 KiB of svma in which at least one row begins. Pages are sorted; a row keeps the low 16 bits of its pc only.
 *
 *     pages     | number, first_row | number, first_row | ...              8 bytes a page, any svma below 2^48
 *     row_low   | u16 | u16 | u16 | ...                                    2 bytes a row
 *     row_rule  | u16 | u16 | u16 | ...                                    2 bytes a row, index into rules
 *     row_start | bit, bit, bit, ...                                       set: an FDE starts here (never merged with the row before)
 *
 * 4.1 bytes a row. Rows that repeat their predecessor's rule inside an FDE are merged. Immutable once built; any thread may read.
 */
#pragma once

#include "base/vec.h"
#include "unwind/rules.h"

struct module_page {
    uint32_t number;
    uint32_t first_row;
};

struct unwind_module {
    struct unwind_module_info info;
    struct elf_image *image; /* may be NULL in tests */
    uint64_t entry;          /* svma of the process's first instruction, 0: none */
    VEC(struct module_page) pages;
    VEC(uint16_t) row_low;
    VEC(uint16_t) row_rule;
    VEC(uint64_t) row_start;
    struct rules rules;
};

enum { MODULE_NO_ROW = UINT32_MAX };

/* The row in force at `svma`, or MODULE_NO_ROW below the first. */
uint32_t module_find_row(const struct unwind_module *m, uint64_t svma);

static inline const struct rule *module_row_rule(const struct unwind_module *m, uint32_t row) {
    return &m->rules.list.items[row == MODULE_NO_ROW ? RULES_NONE : m->row_rule.items[row]];
}

static inline const struct rule *module_find_rule(const struct unwind_module *m, uint64_t svma) {
    return module_row_rule(m, module_find_row(m, svma));
}

/*
 * The stretch of code around `svma` that one FDE covers, or that none covers (the gap between two FDEs): [*ret_start, *ret_end).
 * Returns whether an FDE covers it.
 */
bool module_find_extent(const struct unwind_module *m, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end);

/* ---- building -------------------------------------------------------------------------------------------------------------------- */

struct module_builder;

int module_builder_new(struct module_builder **ret);
void module_builder_free(struct module_builder *b);

/* Broken FDEs are counted and left out. Of FDEs that overlap the one added first wins. Fits elf_cfi_visit. */
int module_builder_add(void *builder, const struct elf_cfi_fde *fde);

/* May be called once. `image` may be NULL. */
int module_builder_finish(struct module_builder *b, struct elf_image *image, struct unwind_module **ret);
