/* SPDX-License-Identifier: MIT */
#include "elf/scopes.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"

enum { TREE_DEPTH_MAX = 512 }; /* deeper trees are made by an enemy */

struct range {
    uint64_t start, end;
    uint32_t scope, depth;
};

struct walk {
    struct scopes *scopes;
    VEC(struct range) ranges;
    int error;
};

static uint32_t unsigned_attribute(Dwarf_Die *die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_attr(die, name, &attribute) && dwarf_formudata(&attribute, &value) == 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static uint32_t add_scope(struct walk *walk, Dwarf_Die *die, uint32_t parent, bool is_inlined) {
    struct scope *scope = vec_push(&walk->scopes->scopes);
    if (!scope) {
        walk->error = -ENOMEM;
        return SCOPES_NONE;
    }
    uint32_t index = (uint32_t)walk->scopes->scopes.count - 1;
    *scope = (struct scope){.offset = dwarf_dieoffset(die), .parent = is_inlined ? parent : SCOPES_NONE};
    scope->depth = scope->parent == SCOPES_NONE ? 0 : walk->scopes->scopes.items[parent].depth + 1;
    if (is_inlined) {
        scope->call_file = unsigned_attribute(die, DW_AT_call_file);
        scope->call_line = unsigned_attribute(die, DW_AT_call_line);
        scope->call_column = unsigned_attribute(die, DW_AT_call_column);
    }
    Dwarf_Addr base, start, end;
    for (ptrdiff_t next = 0; (next = dwarf_ranges(die, next, &base, &start, &end)) > 0;) {
        struct range *range = start && start < end ? vec_push(&walk->ranges) : NULL;
        if (range)
            *range = (struct range){start, end, index, walk->scopes->scopes.items[index].depth};
        else if (start && start < end)
            walk->error = -ENOMEM;
    }
    return index;
}

static void walk_children(struct walk *walk, Dwarf_Die *parent_die, uint32_t parent, unsigned depth) {
    Dwarf_Die die;
    if (depth > TREE_DEPTH_MAX || dwarf_child(parent_die, &die) != 0)
        return;
    do {
        uint32_t here = parent;
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram: /* not the declarations; and a nested one is no caller */
        case DW_TAG_entry_point:
            here = dwarf_hasattr(&die, DW_AT_declaration) ? SCOPES_NONE : add_scope(walk, &die, SCOPES_NONE, false);
            break;
        case DW_TAG_inlined_subroutine:
            here = add_scope(walk, &die, parent, parent != SCOPES_NONE);
            break;
        case DW_TAG_lexical_block:
        case DW_TAG_with_stmt:
        case DW_TAG_catch_block:
        case DW_TAG_try_block:
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type: /* member functions defined in the class */
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_imported_unit:
            here = SCOPES_NONE;
            break;
        default:
            continue;
        }
        walk_children(walk, &die, here, depth + 1);
    } while (!walk->error && dwarf_siblingof(&die, &die) == 0);
}

static int compare_ranges(const void *left, const void *right) {
    const struct range *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1; /* the outer one first */
    return a->end > b->end ? -1 : a->end < b->end;
}

static int mark(struct scopes *scopes, uint64_t start, uint32_t scope) {
    if (scopes->map.count && scopes->map.items[scopes->map.count - 1].start == start) {
        scopes->map.items[scopes->map.count - 1].scope = scope;
        return 0;
    }
    struct scope_start *added = vec_push(&scopes->map);
    if (!added)
        return -ENOMEM;
    *added = (struct scope_start){start, scope};
    return 0;
}

/* Sweeps the sorted ranges with a stack of the open ones. */
static int flatten(struct walk *walk) {
    VEC(struct range) open = {0};
    int r = 0;
    for (size_t i = 0; i <= walk->ranges.count && r >= 0; i++) {
        const struct range *range = i < walk->ranges.count ? &walk->ranges.items[i] : NULL;
        while (open.count && r >= 0 && (!range || open.items[open.count - 1].end <= range->start)) {
            uint64_t end = open.items[--open.count].end;
            while (open.count && open.items[open.count - 1].end <= end)
                open.count--; /* ended with, or inside, the inner one: broken nesting heals here */
            r = mark(walk->scopes, end, open.count ? open.items[open.count - 1].scope : SCOPES_NONE);
        }
        if (!range || r < 0)
            break;
        struct range *pushed = vec_push(&open);
        if (!pushed)
            r = -ENOMEM;
        else {
            *pushed = *range;
            r = mark(walk->scopes, range->start, range->scope);
        }
    }
    vec_free(&open);
    return r;
}

int scopes_build(Dwarf_Die *unit, struct scopes *ret) {
    struct scopes scopes = {0};
    struct walk walk = {.scopes = &scopes};
    walk_children(&walk, unit, SCOPES_NONE, 0);
    if (!walk.error && walk.ranges.count) {
        qsort(walk.ranges.items, walk.ranges.count, sizeof *walk.ranges.items, compare_ranges);
        walk.error = flatten(&walk);
    }
    vec_free(&walk.ranges);
    if (walk.error) {
        scopes_free(&scopes);
        return walk.error;
    }
    *ret = scopes;
    return 0;
}

void scopes_free(struct scopes *scopes) {
    vec_free(&scopes->scopes);
    vec_free(&scopes->map);
}

uint32_t scopes_find(const struct scopes *scopes, uint64_t address) {
    size_t low = 0, high = scopes->map.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scopes->map.items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? scopes->map.items[low - 1].scope : SCOPES_NONE;
}
