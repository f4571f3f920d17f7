/* SPDX-License-Identifier: MIT */
/*
 * "std::sort" for a function that DWARF calls "sort": the namespaces, classes and functions its declaration lies in; private to elf/.
 *
 * Compilers leave the linkage name out where a function cannot be called from other units (templates over a lambda, members of local
 * classes, anonymous namespaces), and libdw leads from no DIE to the one around it. So a unit is walked when such a function is first met
 * in it, and what encloses its functions is kept.
 */
#pragma once

#include <elfutils/libdw.h>

#include "base/buffer.h"
#include "base/map.h"
#include "base/strings.h"
#include "base/vec.h"

/* A namespace or class, or a function with a class in it. */
struct qualify_scope {
    Dwarf_Die die;
    uint32_t parent; /* index, or UINT32_MAX */
    bool is_function;
};

struct qualify_function {
    Dwarf_Off offset;
    uint32_t scope; /* what it is a direct member of */
};

struct qualify_unit {
    VEC(struct qualify_scope) scopes;
    VEC(struct qualify_function) functions; /* members of something, sorted by offset */
};

/* Zeroed: empty. One thread at a time. */
struct qualify {
    struct map index; /* address of a Dwarf_CU -> index into units, + 1 */
    VEC(struct qualify_unit) units;
    struct strings names;
    struct buffer scratch;
};

/* The plain name of a function's DIE behind the names of what it is declared in, in the form of demanglers; NULL: it has no name, or memory
 * is out. Lives as long as `q`; equal names are one pointer. */
const char *qualify_name(struct qualify *q, Dwarf_Die *function);

void qualify_free(struct qualify *q);
