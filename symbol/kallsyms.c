/* SPDX-License-Identifier: MIT */
/*
 * /proc/kallsyms, a line at a time as the kernel writes it: 120,000 lines take it 35 ms, and a table of them all takes us as long again and
 * 15 MiB. So where the addresses are known, only what bounds them is kept:
 *
 *     wanted             w0              w1      w2                    gap i: the symbols that start in (w[i-1], w[i]]
 *     starts   s  s s s  |  s s s    s s |       |  s  s  s            first, last: the lowest and the highest of them
 *     gap      0         |  1            |  2    |  3 = count
 *
 * The symbol at w[i] is the last of gap i or, if that is empty, the one at w[i-1]; it ends where the next that is not empty has its first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "symbol/table.h"

enum {
    LAST_SIZE = 4096, /* of the symbol behind which no other begins */
    NAMES_MAX = 1024, /* of a line: KSYM_NAME_LEN is 512, MODULE_NAME_LEN 56 */
    BUFFER_SIZE = 1 << 16,
};

struct symbol_line {
    uint64_t start;
    const char *text; /* "name" or "name\t[module]" */
    size_t length;
};

struct gap {
    bool is_used;
    uint64_t first, last;
    uint32_t name, module; /* of the last */
};

struct kallsyms {
    struct symbol_table *table;
    const uint64_t *wanted;
    size_t count;
    struct gap *gaps; /* count + 1 */
    size_t gap;       /* of the last line: the next is mostly in the same */
    bool has_address;
    bool is_done; /* nothing more can matter */
    struct {
        struct gap *gap;      /* whose last symbol is... */
        char text[NAMES_MAX]; /* ...this, as it stood in its line, and not interned yet: most are followed by a better one */
        size_t length;
    } pending;
};

/* "address type name\t[module]"; false: not a text symbol. */
static bool parse(const char *at, const char *end, struct symbol_line *ret) {
    if (!symbol_take_hex(&at, end, &ret->start) || !symbol_take_space(&at, end) || at == end)
        return false;
    char type = (char)(*at++ | 32);
    if ((type != 't' && type != 'w') || !symbol_take_space(&at, end))
        return false;
    ret->text = at;
    ret->length = (size_t)(end - at);
    return ret->length <= NAMES_MAX;
}

/* How much of a line's text is the name; what follows, if anything, is the module's. */
static size_t split(const char *text, size_t length, const char **ret_module) {
    const char *tab = memchr(text, '\t', length);
    *ret_module = tab && tab + 1 < text + length && tab[1] == '[' ? tab + 1 : NULL;
    return tab ? (size_t)(tab - text) : length;
}

/* The kernel has functions in Rust. */
static int intern_name(struct symbol_table *table, const char *name, size_t length, uint32_t *ret) {
    if (length < 2 || name[0] != '_' || (name[1] != 'R' && name[1] != 'Z'))
        return strings_intern(&table->strings, name, length, ret);
    _cleanup_free_ char *mangled = strndup(name, length);
    _cleanup_free_ char *readable = mangled ? symbol_demangle(mangled) : NULL;
    return readable ? strings_intern(&table->strings, readable, strlen(readable), ret) : -ENOMEM;
}

/* NULL: the kernel proper. */
static int intern_module(struct symbol_table *table, const char *module, const char *end, uint32_t *ret) {
    return strings_intern(&table->strings, module ? module : "[kernel]", module ? (size_t)(end - module) : 8, ret);
}

static int intern_both(struct symbol_table *table, const char *text, size_t length, uint32_t *ret_name, uint32_t *ret_module) {
    const char *module;
    size_t name_length = split(text, length, &module);
    int r = intern_name(table, text, name_length, ret_name);
    return r < 0 ? r : intern_module(table, module, text + length, ret_module);
}

/* ---- some addresses -------------------------------------------------------------------------------------------------------------- */

static int settle_pending(struct kallsyms *k) {
    struct gap *gap = k->pending.gap;
    if (!gap)
        return 0;
    k->pending.gap = NULL;
    return intern_both(k->table, k->pending.text, k->pending.length, &gap->name, &gap->module);
}

static int set_last(struct kallsyms *k, struct gap *gap, const struct symbol_line *line) {
    int r = k->pending.gap == gap ? 0 : settle_pending(k);
    if (r < 0)
        return r;
    gap->last = line->start;
    k->pending.gap = gap;
    memcpy(k->pending.text, line->text, line->length);
    k->pending.length = line->length;
    return 0;
}

static size_t gap_of(const struct kallsyms *k, uint64_t start) {
    size_t low = 0, high = k->count;
    if ((k->gap == 0 || k->wanted[k->gap - 1] < start) && (k->gap == high || start <= k->wanted[k->gap]))
        return k->gap;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->wanted[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int consider(struct kallsyms *k, const struct symbol_line *line) {
    size_t at = k->gap = gap_of(k, line->start);
    struct gap *gap = &k->gaps[at];
    /* The kernel's own symbols come first and in order of address, for it looks them up by bisection itself (kernel/kallsyms.c). Where
     * modules lie below it their symbols, which come later, are still missing from the first gap. */
    k->is_done = at == k->count && k->gaps[0].is_used && !memchr(line->text, '[', line->length);
    bool is_first = !gap->is_used;
    if (is_first || line->start < gap->first)
        gap->first = line->start;
    gap->is_used = true;
    /* Of several at one address the first: it is the linker's own order. */
    return is_first || line->start > gap->last ? set_last(k, gap, line) : 0;
}

static int add_gaps(struct kallsyms *k) {
    const struct gap *symbol = NULL;
    struct symbol_table *table = k->table;
    int r = settle_pending(k);
    for (size_t i = 0; i <= k->count && r >= 0; i++) {
        const struct gap *gap = &k->gaps[i];
        if (!gap->is_used)
            continue;
        if (symbol)
            table->entries.items[table->entries.count - 1].end = gap->first;
        symbol = gap;
        struct symbol_entry *entry = vec_push(&table->entries);
        if (!entry)
            return -ENOMEM;
        *entry = (struct symbol_entry){.start = gap->last, .end = gap->last + LAST_SIZE, .name = gap->name, .module = gap->module};
    }
    return r;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------------------- */

static int add_line(struct kallsyms *k, const struct symbol_line *line) {
    struct symbol_entry *entry = vec_push(&k->table->entries);
    if (!entry)
        return -ENOMEM;
    *entry = (struct symbol_entry){.start = line->start, .order = (uint32_t)k->table->entries.count};
    return intern_both(k->table, line->text, line->length, &entry->name, &entry->module);
}

/* A symbol reaches to the next one; of several at one address the first is kept. */
static void end_at_next(struct symbol_table *table) {
    size_t kept = 0;
    struct symbol_entry *items = table->entries.items;
    for (size_t i = 0; i < table->entries.count; i++)
        if (!kept || items[kept - 1].start != items[i].start)
            items[kept++] = items[i];
    table->entries.count = kept;
    for (size_t i = 0; i < kept; i++)
        items[i].reach = items[i].end = i + 1 < kept ? items[i + 1].start : items[i].start + LAST_SIZE;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */

static int take_line(struct kallsyms *k, const char *at, const char *end) {
    struct symbol_line line;
    if (!parse(at, end, &line))
        return 0;
    k->has_address |= line.start != 0;
    return k->count ? consider(k, &line) : add_line(k, &line);
}

/* Takes the whole lines at the start of `text`; returns how much that was. */
static int take_lines(struct kallsyms *k, const char *text, size_t length, size_t *ret_taken) {
    const char *at = text, *end = text + length, *newline;
    int r = 0;
    while (r >= 0 && !k->is_done && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        r = take_line(k, at, newline);
        at = newline + 1;
    }
    *ret_taken = (size_t)(at - text);
    return r;
}

static int read_lines(struct kallsyms *k, int fd, char *buffer) {
    size_t have = 0;
    while (!k->is_done) {
        ssize_t got = read(fd, buffer + have, BUFFER_SIZE - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return take_line(k, buffer, buffer + have);
        size_t taken;
        int r = take_lines(k, buffer, have + (size_t)got, &taken);
        if (r < 0)
            return r;
        have += (size_t)got - taken;
        if (have == BUFFER_SIZE) /* not a line of ours */
            have = 0;
        memmove(buffer, buffer + taken, have);
    }
    return 0;
}

static int read_table(struct kallsyms *k, int fd) {
    _cleanup_free_ char *buffer = malloc(BUFFER_SIZE);
    _cleanup_free_ struct gap *gaps = calloc(k->count + 1, sizeof *gaps);
    if (!buffer || !gaps)
        return -ENOMEM;
    k->gaps = gaps;
    int r = read_lines(k, fd, buffer);
    if (r >= 0 && k->count)
        r = add_gaps(k);
    return r < 0 || k->has_address ? r : -EACCES;
}

int symbol_table_open_kallsyms(const char *path, const uint64_t *wanted, size_t count, struct symbol_table **ret) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct symbol_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    struct kallsyms k = {.table = table, .wanted = wanted, .count = count};
    int r = read_table(&k, fd);
    if (r < 0) {
        symbol_table_free(table);
        return r;
    }
    symbol_table_sort(table);
    if (!count)
        end_at_next(table);
    *ret = table;
    return 0;
}
