/* SPDX-License-Identifier: MIT */
/*
 * The functions and inlined calls of one compilation unit as a flat map from address to the innermost of them; private to elf/.
 *
 * libdw's dwarf_getscopes walks the unit's whole tree at each question; here it is walked once.
 *
 *     tree of scopes     f [0,100)  -> g inlined [20,60) -> h inlined [30,40)
 *     flat map           0:f  20:g  30:h  40:g  60:f  100:none          innermost from `start` to the next start
 */
#pragma once

#include <elfutils/libdw.h>

#include "base/vec.h"

enum { SCOPES_NONE = UINT32_MAX };

struct scope {
    Dwarf_Off offset; /* of its DIE in the unit's Dwarf */
    uint32_t parent;  /* the scope it was inlined into; SCOPES_NONE for a physical function */
    uint32_t depth;
    uint32_t call_file; /* index into the unit's files; where it was called, if inlined */
    uint32_t call_line, call_column;
};

struct scope_start {
    uint64_t start;
    uint32_t scope; /* or SCOPES_NONE */
};

struct scopes {
    VEC(struct scope) scopes;
    VEC(struct scope_start) map; /* sorted by start */
};

/* `unit` is a compile unit's DIE. 0 or -ENOMEM; what libdw cannot read is left out. */
int scopes_build(Dwarf_Die *unit, struct scopes *ret);
void scopes_free(struct scopes *scopes);

/* The innermost scope at `address`, or SCOPES_NONE. */
uint32_t scopes_find(const struct scopes *scopes, uint64_t address);
