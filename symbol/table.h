/* SPDX-License-Identifier: MIT */
/* What the readers of text tables (table.c: JIT maps; kallsyms.c) share. Private to symbol/. */
#pragma once

#include "base/strings.h"
#include "base/vec.h"
#include "symbol/symbol.h"

enum { SYMBOL_NO_MODULE = UINT32_MAX };

struct symbol_entry {
    uint64_t start, end, reach;
    uint32_t name, module; /* ids in `strings`; SYMBOL_NO_MODULE */
    uint32_t order;        /* of lines */
};

/*
 * Sorted by start. A JIT frees code and uses its place again without a word, so entries may overlap, and the later line is the true one.
 *
 * Invariant: reach of entry i = max(end of entries 0..i), so a search backwards knows when nothing further back can cover an address.
 */
struct symbol_table {
    VEC(struct symbol_entry) entries;
    struct strings strings;
};

/* Makes the invariant true. */
void symbol_table_sort(struct symbol_table *table);

/* Each takes what it is named after from the line at *at and moves on; false: it is not there. */
bool symbol_take_hex(const char **at, const char *end, uint64_t *ret);
bool symbol_take_space(const char **at, const char *end);
