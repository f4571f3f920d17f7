/* SPDX-License-Identifier: MIT */
/*
 * Which function is at an address, as symbol tables say it.
 *
 * One symbol an address, sorted by start. They may nest (an entry point within a function), so each knows the nearest one before it that
 * reaches further:
 *
 *     [--------- a ---------------------)
 *           [-- b --)     [--- c --)          outer(b) = a, outer(c) = a
 *
 * Invariants: start < end, starts ascend strictly; outer(i) < i and items[outer(i)].end > items[i].end.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "elf/plt.h"
#include "elf/symbol-set.h"

struct elf_symbols {
    VEC(struct elf_symbol) items;
    uint32_t *outer; /* index + 1, 0: none; NULL if nothing nests */
    struct strings names;
    struct elf_image *minidebug; /* owns names of its own */
};

DEFINE_CLEANUP(struct elf_symbols *, elf_symbols_free)

/* ---- which name ------------------------------------------------------------------------------------------------------------------ */

/* 0: none; the more, the further the author keeps it from his users. C++ and Rust names start with one because mangling wants it. */
static unsigned underscores(const char *name) {
    if (!strncmp(name, "__GI_", 5))
        return 8;
    return !strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2) ? 0 : (unsigned)strspn(name, "_");
}

/* By start; of several names for one address the one a programmer knows comes first. */
static int compare_candidates(const void *left, const void *right) {
    const struct elf_symbol_candidate *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->is_function != b->is_function)
        return a->is_function ? -1 : 1;
    int difference = (a->binding == STB_LOCAL) - (b->binding == STB_LOCAL);
    if (!difference)
        difference = (int)underscores(a->name) - (int)underscores(b->name);
    if (!difference)
        difference = (a->binding == STB_WEAK) - (b->binding == STB_WEAK);
    if (difference)
        return difference;
    size_t a_length = strlen(a->name), b_length = strlen(b->name);
    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Keeps one name an address, gives sizes to those without, and drops bare labels inside functions. */
static int keep_best(const struct elf_symbol_set *set, struct elf_symbols *symbols) {
    const struct elf_symbol_candidate *items = set->items.items;
    uint64_t covered = 0; /* the furthest end of a function so far */
    for (size_t i = 0, next; i < set->items.count; i = next) {
        uint64_t size = items[i].size;
        for (next = i + 1; next < set->items.count && items[next].start == items[i].start; next++)
            size = size ? size : items[next].size;
        if (!size && items[i].start < covered)
            continue;
        uint64_t end = items[i].limit;
        if (size)
            end = MIN(end, items[i].start + MIN(size, UINT64_MAX - items[i].start));
        else if (next < set->items.count)
            end = MIN(end, items[next].start);
        if (end <= items[i].start)
            continue;
        struct elf_symbol *kept = vec_push(&symbols->items);
        if (!kept)
            return -ENOMEM;
        *kept = (struct elf_symbol){.start = items[i].start, .end = end, .name = items[i].name, .is_sized = size != 0};
        covered = size ? MAX(covered, end) : covered;
    }
    return 0;
}

/* ---- PLT entries ----------------------------------------------------------------------------------------------------------------- */

static int compare_symbols(const void *left, const void *right) {
    const struct elf_symbol *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* After the symbols are in order, for the slots of indirect functions are named by them. A symbol there beats the made-up name. */
static int add_plt(struct elf_image *image, struct elf_symbols *symbols) {
    struct elf_plt plt = {0};
    int r = elf_plt_find(image, symbols, &plt);
    const size_t before = symbols->items.count;
    if (r >= 0 && plt.items.count && !vec_reserve(&symbols->items, before + plt.items.count))
        r = -ENOMEM;
    size_t added = 0;
    for (size_t i = 0; i < plt.items.count && r >= 0; i++) {
        const struct elf_plt_entry *entry = &plt.items.items[i];
        if (!elf_symbols_find(symbols, entry->start)) /* it sees the `before` first ones */
            symbols->items.items[before + added++] =
                (struct elf_symbol){.start = entry->start, .end = entry->end, .name = entry->name, .is_plt = true, .is_sized = true};
    }
    vec_free(&plt.items);
    symbols->items.count = before + added;
    if (added)
        qsort(symbols->items.items, symbols->items.count, sizeof *symbols->items.items, compare_symbols);
    return r;
}

/* ---- nesting --------------------------------------------------------------------------------------------------------------------- */

static int link_outer(struct elf_symbols *symbols) {
    const struct elf_symbol *items = symbols->items.items;
    const size_t count = symbols->items.count;
    bool nests = false;
    for (size_t i = 1; i < count && !nests; i++)
        nests = items[i].start < items[i - 1].end;
    free(symbols->outer);
    symbols->outer = NULL;
    if (!nests)
        return 0;
    symbols->outer = calloc(count, sizeof *symbols->outer);
    if (!symbols->outer || count >= UINT32_MAX)
        return -ENOMEM;
    for (size_t i = 1; i < count; i++) {
        size_t outer = i; /* + 1, so this is the symbol before */
        while (outer && items[outer - 1].end <= items[i].end)
            outer = symbols->outer[outer - 1];
        symbols->outer[i] = (uint32_t)outer;
    }
    return 0;
}

/* ---- the door -------------------------------------------------------------------------------------------------------------------- */

static int collect(struct elf_image *image, struct elf_image *debug, struct elf_symbols *symbols, struct elf_symbol_set *set) {
    int r = elf_symbol_set_add_table(set, image, ".symtab");
    if (r >= 0 && debug)
        r = elf_symbol_set_add_table(set, debug, ".symtab");
    if (r >= 0 && elf_minidebug_open(image, &symbols->minidebug) >= 0)
        r = elf_symbol_set_add_table(set, symbols->minidebug, ".symtab");
    return r < 0 ? r : elf_symbol_set_add_table(set, image, ".dynsym");
}

int elf_symbols_load(struct elf_image *image, struct elf_image *debug, struct elf_symbols **ret) {
    _cleanup_(elf_symbols_free_cleanup) struct elf_symbols *symbols = calloc(1, sizeof *symbols);
    if (!symbols)
        return -ENOMEM;
    struct elf_symbol_set set = {0};
    int r = collect(image, debug, symbols, &set);
    if (r >= 0 && set.items.count) {
        qsort(set.items.items, set.items.count, sizeof *set.items.items, compare_candidates);
        r = keep_best(&set, symbols);
    }
    symbols->names = set.names;
    vec_free(&set.items);
    if (r >= 0)
        r = link_outer(symbols);
    if (r >= 0)
        r = add_plt(image, symbols);
    if (r >= 0)
        r = link_outer(symbols);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(symbols);
    return 0;
}

void elf_symbols_free(struct elf_symbols *symbols) {
    vec_free(&symbols->items);
    free(symbols->outer);
    strings_free(&symbols->names);
    if (symbols->minidebug)
        elf_image_close(symbols->minidebug);
    free(symbols);
}

const struct elf_symbol *elf_symbols_find(const struct elf_symbols *symbols, uint64_t svma) {
    size_t low = 0, high = symbols->items.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->items.items[middle].start <= svma)
            low = middle + 1;
        else
            high = middle;
    }
    while (low && svma >= symbols->items.items[low - 1].end)
        low = symbols->outer ? symbols->outer[low - 1] : 0;
    return low ? &symbols->items.items[low - 1] : NULL;
}
