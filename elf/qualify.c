/* SPDX-License-Identifier: MIT */
#include "elf/qualify.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/macros.h"

/* Beyond these the DWARF was made by an enemy. */
enum { TREE_DEPTH_MAX = 512, NAME_DEPTH_MAX = 32, NAME_LENGTH_MAX = 16 * 1024, ORIGIN_HOPS_MAX = 4 };

enum { QUALIFY_NONE = UINT32_MAX };

/* ---- what encloses what ---------------------------------------------------------------------------------------------------------- */

static uint32_t add_scope(struct qualify_unit *unit, Dwarf_Die *die, uint32_t parent, bool is_function) {
    struct qualify_scope *scope = vec_push(&unit->scopes);
    if (!scope)
        return QUALIFY_NONE;
    *scope = (struct qualify_scope){.die = *die, .parent = parent, .is_function = is_function};
    return (uint32_t)unit->scopes.count - 1;
}

/* A function directly in another one is either nested, as C may have it, or a mere declaration: its own name is all there is. */
static void add_function(struct qualify_unit *unit, Dwarf_Die *die, uint32_t scope) {
    if (scope == QUALIFY_NONE || unit->scopes.items[scope].is_function)
        return;
    struct qualify_function *function = vec_push(&unit->functions);
    if (function)
        *function = (struct qualify_function){.offset = dwarf_dieoffset(die), .scope = scope};
}

/* Preorder, so that functions come out sorted. Memory that is out costs qualifiers, not names. */
static void walk_children(struct qualify_unit *unit, Dwarf_Die *parent_die, uint32_t parent, unsigned depth) {
    Dwarf_Die die;
    if (depth > TREE_DEPTH_MAX || dwarf_child(parent_die, &die) != 0)
        return;
    do {
        uint32_t here = parent;
        switch (dwarf_tag(&die)) {
        case DW_TAG_namespace:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
            here = add_scope(unit, &die, parent, false);
            break;
        case DW_TAG_subprogram:
            add_function(unit, &die, parent);
            here = add_scope(unit, &die, parent, true);
            break;
        case DW_TAG_lexical_block:
            break;
        default:
            continue;
        }
        walk_children(unit, &die, here, depth + 1);
    } while (dwarf_siblingof(&die, &die) == 0);
}

/* NULL when memory is out. */
static const struct qualify_unit *get_unit(struct qualify *q, Dwarf_Die *die) {
    bool is_new;
    uint64_t *index = map_put(&q->index, (uint64_t)(uintptr_t)die->cu, &is_new);
    if (!index)
        return NULL;
    if (is_new) {
        struct qualify_unit *unit = vec_push(&q->units);
        Dwarf_Die root;
        if (!unit) {
            map_remove(&q->index, (uint64_t)(uintptr_t)die->cu);
            return NULL;
        }
        *index = q->units.count;
        if (dwarf_diecu(die, &root, NULL, NULL))
            walk_children(unit, &root, QUALIFY_NONE, 0);
    }
    return &q->units.items[*index - 1];
}

static uint32_t find_scope(const struct qualify_unit *unit, Dwarf_Off offset) {
    size_t low = 0, high = unit->functions.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (unit->functions.items[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < unit->functions.count && unit->functions.items[low].offset == offset ? unit->functions.items[low].scope : QUALIFY_NONE;
}

/* ---- names ----------------------------------------------------------------------------------------------------------------------- */

/* From an instance to what it is an instance of, and from a definition to its declaration: that one lies where it belongs. */
static void go_to_declaration(Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    for (int hops = 0; hops < ORIGIN_HOPS_MAX; hops++) {
        if ((!dwarf_attr(die, DW_AT_abstract_origin, &attribute) && !dwarf_attr(die, DW_AT_specification, &attribute)) ||
            !dwarf_formref_die(&attribute, &next))
            return;
        *die = next;
    }
}

/* Demanglers say "(anonymous namespace)" and "{lambda(int)#1}". A lambda's class is "<lambda(int)>" in DWARF, or has no name; then its call
 * operator tells it. */
static void put_scope_name(struct buffer *b, Dwarf_Die *die, const char *member) {
    const char *name = dwarf_diename(die);
    size_t length = name ? strlen(name) : 0;
    if (length > 2 && name[0] == '<' && name[length - 1] == '>')
        buffer_printf(b, "{%.*s}", (int)MIN(length - 2, (size_t)NAME_LENGTH_MAX), name + 1);
    else if (length)
        buffer_put(b, name, length);
    else if (dwarf_tag(die) == DW_TAG_namespace)
        buffer_printf(b, "(anonymous namespace)");
    else
        buffer_printf(b, member && !strcmp(member, "operator()") ? "{lambda}" : "{unnamed}");
}

static bool put_function(struct qualify *q, Dwarf_Die die, unsigned depth);

/* "outer::inner::" for a scope of `unit`, which may have moved when this returns. `member`: the function in it that is asked about, if it
 * is directly in it. */
static bool put_scope(struct qualify *q, const struct qualify_unit *unit, uint32_t index, const char *member, unsigned depth) {
    if (index == QUALIFY_NONE)
        return true;
    struct qualify_scope scope = unit->scopes.items[index];
    if (depth > NAME_DEPTH_MAX || q->scratch.length > NAME_LENGTH_MAX)
        return false;
    if (scope.is_function) {
        if (!put_function(q, scope.die, depth + 1))
            return false;
    } else {
        if (!put_scope(q, unit, scope.parent, NULL, depth + 1))
            return false;
        put_scope_name(&q->scratch, &scope.die, member);
    }
    buffer_put(&q->scratch, "::", 2);
    return true;
}

static bool put_function(struct qualify *q, Dwarf_Die die, unsigned depth) {
    go_to_declaration(&die);
    const char *name = dwarf_diename(&die);
    const struct qualify_unit *unit = name ? get_unit(q, &die) : NULL;
    if (!unit || !put_scope(q, unit, find_scope(unit, dwarf_dieoffset(&die)), name, depth))
        return false;
    buffer_put(&q->scratch, name, strlen(name));
    return true;
}

const char *qualify_name(struct qualify *q, Dwarf_Die *function) {
    uint32_t id;
    buffer_clear(&q->scratch);
    if (!put_function(q, *function, 0)) {
        const char *name = dwarf_diename(function); /* better bare than not at all */
        buffer_clear(&q->scratch);
        if (name)
            buffer_put(&q->scratch, name, strlen(name));
    }
    if (q->scratch.failed || !q->scratch.length || strings_intern(&q->names, (char *)q->scratch.data, q->scratch.length, &id) < 0)
        return NULL;
    return strings_get(&q->names, id);
}

void qualify_free(struct qualify *q) {
    for (size_t i = 0; i < q->units.count; i++) {
        vec_free(&q->units.items[i].scopes);
        vec_free(&q->units.items[i].functions);
    }
    vec_free(&q->units);
    map_free(&q->index);
    strings_free(&q->names);
    buffer_free(&q->scratch);
}
