/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "symbol/symbol.h"

struct symbol_module {
    struct elf_image *image;
    struct elf_image *debug; /* or NULL */
    struct elf_symbols *symbols;
    struct elf_lines *lines; /* NULL: no DWARF, or not wanted */
    size_t mangled;          /* of the names */
    struct map readable;     /* address of a name in the file, or start of a nameless function -> index into names, + 1 */
    VEC(char *) names;
};

int symbol_module_open(struct elf_image *image, const char *path, const struct symbol_options *options, struct symbol_module **ret) {
    struct symbol_module *m = calloc(1, sizeof *m);
    char *debug_path = NULL;
    if (!m)
        return -ENOMEM;
    m->image = image;
    int r = elf_debug_open(image, path, options->root ? options->root : "", &m->debug, &debug_path);
    if (r >= 0 || r == -ENOENT)
        r = elf_symbols_load(image, m->debug, &m->symbols);
    if (r >= 0 && options->inlines)
        (void)elf_lines_open(image, m->debug, debug_path, &m->lines); /* broken DWARF costs lines, not names */
    free(debug_path);
    if (r < 0) {
        symbol_module_close(m);
        return r;
    }
    *ret = m;
    return 0;
}

void symbol_module_close(struct symbol_module *m) {
    if (m->lines)
        elf_lines_close(m->lines);
    if (m->symbols)
        elf_symbols_free(m->symbols);
    if (m->debug)
        elf_image_close(m->debug);
    for (size_t i = 0; i < m->names.count; i++)
        free(m->names.items[i]);
    vec_free(&m->names);
    map_free(&m->readable);
    free(m);
}

/* ---- names, each made once ------------------------------------------------------------------------------------------------------- */

enum name_form { NAME_MANGLED, NAME_PLT, NAME_FUNCTION_START };

static char *make_name(const char *name, uint64_t start, enum name_form form) {
    char *made = NULL;
    if (form == NAME_FUNCTION_START)
        return asprintf(&made, "fun_%" PRIx64, start) < 0 ? NULL : made;
    char *readable = symbol_demangle(name);
    if (!readable || form != NAME_PLT)
        return readable;
    if (asprintf(&made, "%s@plt", readable) < 0)
        made = NULL;
    free(readable);
    return made;
}

/* The key: what kind of name it is, and which; names are told apart by where they lie, which a module never changes. */
static const char *readable_name(struct symbol_module *m, const char *name, uint64_t start, enum name_form form) {
    uint64_t key = form == NAME_FUNCTION_START ? start : (uint64_t)(uintptr_t)name;
    bool is_new;
    uint64_t *index = map_put(&m->readable, key * 3 + form, &is_new);
    if (!index)
        return NULL;
    if (is_new) {
        char *made = make_name(name, start, form);
        char **owner = made ? vec_push(&m->names) : NULL;
        if (!owner) {
            free(made);
            map_remove(&m->readable, key * 3 + form);
            return NULL;
        }
        *owner = made;
        m->mangled += symbol_is_mangled(made);
        *index = m->names.count;
    }
    return m->names.items[*index - 1];
}

/* By the symbol table, else by where the function starts. */
static const char *function_at(struct symbol_module *m, uint64_t svma) {
    const struct elf_symbol *symbol = elf_symbols_find(m->symbols, svma);
    uint64_t start, end;
    bool is_sure = symbol && (symbol->is_sized || symbol->is_plt);
    if (!is_sure && elf_cfi_function(m->image, svma, &start, &end) >= 0 && !(symbol && symbol->start >= start))
        return readable_name(m, NULL, start, NAME_FUNCTION_START); /* a label far above it is no name for it */
    if (!symbol)
        return NULL;
    return readable_name(m, symbol->name, 0, symbol->is_plt ? NAME_PLT : NAME_MANGLED);
}

int symbol_module_find(struct symbol_module *m, uint64_t svma, struct symbol_frame *chain, size_t capacity) {
    struct elf_line lines[SYMBOL_CHAIN_MAX];
    int count = m->lines && capacity ? elf_lines_find(m->lines, svma, lines, capacity < SYMBOL_CHAIN_MAX ? capacity : SYMBOL_CHAIN_MAX) : 0;
    const char *physical = function_at(m, svma);
    if (count <= 0) {
        if (!physical || !capacity)
            return 0;
        chain[0] = (struct symbol_frame){.function = physical};
        return 1;
    }
    for (int i = 0; i < count; i++) {
        const char *name = lines[i].function ? readable_name(m, lines[i].function, 0, NAME_MANGLED) : NULL;
        bool is_physical = i + 1 == count && !lines[i].is_inlined;
        chain[i] = (struct symbol_frame){.function = is_physical && physical ? physical : name,
                                         .file = lines[i].file,
                                         .line = lines[i].line,
                                         .column = lines[i].column,
                                         .is_inlined = lines[i].is_inlined};
    }
    return count;
}

size_t symbol_module_mangled(const struct symbol_module *m) {
    return m->mangled;
}
