/* SPDX-License-Identifier: MIT */
/* What a symbol table calls an address. */
#pragma once

#include "symbol/symbol.h"

/* NULL: nothing is there. The table owns the name. */
static inline const char *name_at(const struct symbol_table *table, uint64_t address) {
    const char *name, *module;
    uint64_t start;
    return symbol_table_find(table, address, &name, &module, &start) ? name : NULL;
}
