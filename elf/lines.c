/* SPDX-License-Identifier: MIT */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "elf/debugfile.h"
#include "elf/qualify.h"
#include "elf/scopes.h"

struct unit {
    Dwarf_Die die;      /* of the unit, or of the split unit behind a skeleton */
    Dwarf_Die skeleton; /* has the line table */
    bool has_scopes;
    struct scopes scopes;
};

struct unit_range {
    uint64_t start, end;
    uint32_t unit;
};

struct elf_lines {
    Dwarf *dwarf;
    Dwarf *alternate; /* dwz's common file */
    struct elf_image *alternate_image;
    VEC(struct unit) units;
    VEC(struct unit_range) ranges; /* sorted by start */
    struct qualify qualify;
};

/* ---- open ------------------------------------------------------------------------------------------------------------------------ */

static bool has_dwarf(const struct elf_image *image) {
    return image && elf_image_section_index(image, ".debug_info") >= 0;
}

/* The file that dwz moved common parts to: a path, absolute or from the debug file's own folder, then its build-id. */
static void open_alternate(struct elf_lines *lines, const char *debug_path) {
    const char *name;
    const void *id_bytes;
    ssize_t id_length = dwelf_dwarf_gnu_debugaltlink(lines->dwarf, &name, &id_bytes);
    struct elf_build_id id = {0};
    if (id_length <= 0 || (size_t)id_length > sizeof id.bytes)
        return;
    id.length = (uint8_t)id_length;
    memcpy(id.bytes, id_bytes, id.length);

    char paths[2][PATH_MAX] = {"", ""};
    const char *slash = debug_path ? strrchr(debug_path, '/') : NULL;
    if (name[0] == '/')
        snprintf(paths[0], sizeof paths[0], "%s", name);
    else if (slash)
        snprintf(paths[0], sizeof paths[0], "%.*s/%s", (int)(slash - debug_path), debug_path, name);
    if (elf_debug_path_of_build_id("", &id, paths[1], sizeof paths[1]) < 0)
        paths[1][0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(paths) && !lines->alternate; i++) {
        struct elf_image *image;
        if (!paths[i][0] || elf_image_open_path(paths[i], &image) < 0)
            continue;
        Elf *libelf = elf_build_id_equal(&image->info.build_id, &id) ? elf_image_libelf(image) : NULL;
        lines->alternate = libelf ? dwarf_begin_elf(libelf, DWARF_C_READ, NULL) : NULL;
        if (lines->alternate)
            lines->alternate_image = image;
        else
            elf_image_close(image);
    }
    if (lines->alternate)
        dwarf_setalt(lines->dwarf, lines->alternate);
}

static int compare_unit_ranges(const void *left, const void *right) {
    const struct unit_range *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* The units and what each covers, by the units' own ranges: .debug_aranges is missing from what clang makes. */
static int list_units(struct elf_lines *lines) {
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, split;
    uint8_t type;
    while (dwarf_get_units(lines->dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        struct unit *unit = vec_push(&lines->units);
        if (!unit)
            return -ENOMEM;
        unit->skeleton = die;
        unit->die = type == DW_UT_skeleton && split.addr ? split : die;
        Dwarf_Addr base, start, end;
        for (ptrdiff_t next = 0; (next = dwarf_ranges(&die, next, &base, &start, &end)) > 0;) {
            if (!start || start >= end)
                continue;
            struct unit_range *range = vec_push(&lines->ranges);
            if (!range)
                return -ENOMEM;
            *range = (struct unit_range){start, end, (uint32_t)lines->units.count - 1};
        }
    }
    if (lines->ranges.count)
        qsort(lines->ranges.items, lines->ranges.count, sizeof *lines->ranges.items, compare_unit_ranges);
    return 0;
}

int elf_lines_open(struct elf_image *image, struct elf_image *debug, const char *debug_path, struct elf_lines **ret) {
    struct elf_image *source = has_dwarf(image) ? image : has_dwarf(debug) ? debug : NULL;
    Elf *libelf = source ? elf_image_libelf(source) : NULL;
    if (!libelf)
        return -ENOENT;
    struct elf_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return -ENOMEM;
    lines->dwarf = dwarf_begin_elf(libelf, DWARF_C_READ, NULL);
    int r = -ENOENT;
    if (lines->dwarf) {
        open_alternate(lines, debug_path);
        r = list_units(lines);
    }
    if (r < 0) {
        elf_lines_close(lines);
        return r;
    }
    *ret = lines;
    return 0;
}

void elf_lines_close(struct elf_lines *lines) {
    for (size_t i = 0; i < lines->units.count; i++)
        scopes_free(&lines->units.items[i].scopes);
    vec_free(&lines->units);
    vec_free(&lines->ranges);
    qualify_free(&lines->qualify);
    dwarf_end(lines->dwarf);
    dwarf_end(lines->alternate);
    if (lines->alternate_image)
        elf_image_close(lines->alternate_image);
    free(lines);
}

/* ---- find ------------------------------------------------------------------------------------------------------------------------ */

static struct unit *find_unit(struct elf_lines *lines, uint64_t svma) {
    enum { BACK_MAX = 64 }; /* ranges of units may overlap where sections were folded */
    size_t low = 0, high = lines->ranges.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lines->ranges.items[middle].start <= svma)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = 0; i < BACK_MAX && low; i++)
        if (svma < lines->ranges.items[--low].end)
            return &lines->units.items[lines->ranges.items[low].unit];
    return NULL;
}

/* The linkage name tells overloads apart too; a plain name is all that C has, and C++ for what other units cannot call. */
static const char *function_name(struct elf_lines *lines, Dwarf_Die *die) {
    static const unsigned names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name};
    Dwarf_Attribute attribute;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *name = dwarf_attr_integrate(die, names[i], &attribute) ? dwarf_formstring(&attribute) : NULL;
        if (name)
            return name;
    }
    return qualify_name(&lines->qualify, die);
}

static void set_line(struct elf_line *line, struct unit *unit, uint64_t svma) {
    Dwarf_Line *at = dwarf_getsrc_die(&unit->skeleton, svma);
    int number = 0, column = 0;
    if (!at)
        return;
    line->file = dwarf_linesrc(at, NULL, NULL);
    line->line = dwarf_lineno(at, &number) == 0 && number > 0 ? (uint32_t)number : 0;
    line->column = dwarf_linecol(at, &column) == 0 && column > 0 ? (uint32_t)column : 0;
}

/* Where `scope` was called: the line of the frame it was inlined into. */
static void set_call_site(struct elf_line *line, struct unit *unit, const struct scope *scope) {
    Dwarf_Files *files;
    size_t count;
    line->line = scope->call_line;
    line->column = scope->call_column;
    /* A split unit counts files in its own table (.debug_line.dwo). */
    if (dwarf_getsrcfiles(&unit->die, &files, &count) == 0 && scope->call_file < count)
        line->file = dwarf_filesrc(files, scope->call_file, NULL, NULL);
}

/* From the innermost scope outwards. Where the chain is too short for all, the outermost of the inlined ones are left out. */
static size_t fill_chain(struct elf_lines *lines, struct unit *unit, uint32_t innermost, struct elf_line here, struct elf_line *chain,
                         size_t capacity) {
    Dwarf *dwarf = dwarf_cu_getdwarf(unit->die.cu);
    size_t count = 0;
    for (uint32_t index = innermost; index != SCOPES_NONE; index = unit->scopes.scopes.items[index].parent) {
        const struct scope *scope = &unit->scopes.scopes.items[index];
        const bool is_inlined = scope->parent != SCOPES_NONE;
        if (!is_inlined || count + 1 < capacity) {
            Dwarf_Die die;
            here.function = dwarf_offdie(dwarf, scope->offset, &die) ? function_name(lines, &die) : NULL;
            here.is_inlined = is_inlined;
            chain[count++] = here;
        }
        here = (struct elf_line){0};
        if (is_inlined)
            set_call_site(&here, unit, scope);
    }
    return count;
}

int elf_lines_find(struct elf_lines *lines, uint64_t svma, struct elf_line *chain, size_t capacity) {
    struct unit *unit = find_unit(lines, svma);
    if (!unit || !capacity)
        return 0;
    if (!unit->has_scopes) {
        int r = scopes_build(&unit->die, &unit->scopes);
        if (r < 0)
            return r;
        unit->has_scopes = true;
    }
    const uint32_t innermost = scopes_find(&unit->scopes, svma);
    struct elf_line here = {0};
    set_line(&here, unit, svma);
    if (innermost != SCOPES_NONE)
        return (int)fill_chain(lines, unit, innermost, here, chain, capacity);
    chain[0] = here;
    return here.file ? 1 : 0;
}
