/* SPDX-License-Identifier: MIT */
#include "symbol/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"

enum { TEXT_MAX = 1 << 30, BACK_MAX = 4096 };

void symbol_table_free(struct symbol_table *table) {
    vec_free(&table->entries);
    strings_free(&table->strings);
    free(table);
}

/* The whole of a text file that has no size of its own (proc) or may be growing (a JIT's map). */
static int read_text(int fd, char **ret, size_t *ret_length) {
    VEC(char) text = {0};
    for (;;) {
        if (text.count >= TEXT_MAX || !vec_reserve(&text, text.count + 65536)) {
            vec_free(&text);
            return -ENOMEM;
        }
        ssize_t n = read(fd, text.items + text.count, text.capacity - text.count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;
            vec_free(&text);
            return r;
        }
        if (n == 0)
            break;
        text.count += (size_t)n;
    }
    *ret = text.items;
    *ret_length = text.count;
    return 0;
}

/* Each digit's value, plus 1. By table, for the digits of addresses are beyond any branch predictor. */
static const uint8_t digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11,
    ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool symbol_take_hex(const char **at, const char *end, uint64_t *ret) {
    uint64_t value = 0;
    const char *from = *at;
    if (end - from > 2 && from[0] == '0' && (from[1] == 'x' || from[1] == 'X'))
        from += 2;
    const char *first = from;
    for (unsigned digit; from < end && (digit = digits[(uint8_t)*from]) != 0; from++)
        value = value << 4 | (digit - 1);
    if (from == first || from - first > 16)
        return false;
    *at = from;
    *ret = value;
    return true;
}

bool symbol_take_space(const char **at, const char *end) {
    const char *from = *at;
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    return *at > from;
}

static int compare_entries(const void *left, const void *right) {
    const struct symbol_entry *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void symbol_table_sort(struct symbol_table *table) {
    struct symbol_entry *items = table->entries.items;
    if (table->entries.count)
        qsort(items, table->entries.count, sizeof *items, compare_entries);
    for (size_t i = 0; i < table->entries.count; i++)
        items[i].reach = i ? MAX(items[i - 1].reach, items[i].end) : items[i].end;
}

/* ---- perf-PID.map ---------------------------------------------------------------------------------------------------------------- */

static int add_entry(struct symbol_table *table, uint64_t start, uint64_t end, const char *name, size_t length) {
    struct symbol_entry *entry = vec_push(&table->entries);
    if (!entry)
        return -ENOMEM;
    *entry = (struct symbol_entry){.start = start, .end = end, .module = SYMBOL_NO_MODULE, .order = (uint32_t)table->entries.count};
    return strings_intern(&table->strings, name, length, &entry->name);
}

/* "start size name", where the name may hold spaces. 1, 0: not of this form, -ENOMEM. */
static int add_perf_map_line(struct symbol_table *table, const char *at, const char *end) {
    uint64_t start, size;
    if (!symbol_take_hex(&at, end, &start) || !symbol_take_space(&at, end) || !symbol_take_hex(&at, end, &size) ||
        !symbol_take_space(&at, end) || at == end || !size || size > UINT64_MAX - start)
        return 0;
    int r = add_entry(table, start, start + size, at, (size_t)(end - at));
    return r < 0 ? r : 1;
}

int symbol_table_open_perf_map(int fd, struct symbol_table **ret, size_t *ret_skipped) {
    _cleanup_free_ char *text = NULL;
    size_t length = 0, skipped = 0;
    int r = read_text(fd, &text, &length);
    if (r < 0)
        return r;
    struct symbol_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (const char *at = text, *end = text + length; at < end && r >= 0;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        r = add_perf_map_line(table, at, stop);
        skipped += r == 0 && stop > at;
        at = newline ? newline + 1 : end;
    }
    if (r < 0) {
        symbol_table_free(table);
        return r;
    }
    symbol_table_sort(table);
    *ret = table;
    *ret_skipped = skipped;
    return 0;
}

bool symbol_table_find(const struct symbol_table *table, uint64_t address, const char **ret_name, const char **ret_module,
                       uint64_t *ret_start) {
    size_t low = 0, high = table->entries.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->entries.items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    const struct symbol_entry *entry = NULL;
    for (size_t i = 0; i < BACK_MAX && low && table->entries.items[low - 1].reach > address; i++) {
        const struct symbol_entry *candidate = &table->entries.items[--low];
        if (address < candidate->end && (!entry || candidate->order > entry->order))
            entry = candidate;
    }
    if (!entry)
        return false;
    *ret_name = strings_get(&table->strings, entry->name);
    *ret_module = entry->module == SYMBOL_NO_MODULE ? NULL : strings_get(&table->strings, entry->module);
    *ret_start = entry->start;
    return true;
}
