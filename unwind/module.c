/* SPDX-License-Identifier: MIT */
#include "unwind/module.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

enum { PAGE_BITS = 16 };

/* ---- lookup ---------------------------------------------------------------------------------------------------------------------- */

/* The last page whose number is not above `number`, or -1. */
static ptrdiff_t find_page(const struct unwind_module *m, uint64_t number) {
    size_t low = 0, high = m->pages.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->pages.items[middle].number <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return (ptrdiff_t)low - 1;
}

uint32_t module_find_row(const struct unwind_module *m, uint64_t svma) {
    ptrdiff_t page = find_page(m, svma >> PAGE_BITS);
    if (page < 0)
        return MODULE_NO_ROW;
    bool is_last = (size_t)page + 1 == m->pages.count;
    uint32_t first = m->pages.items[page].first_row;
    uint32_t end = is_last ? (uint32_t)m->row_low.count : m->pages.items[page + 1].first_row;
    if (m->pages.items[page].number < svma >> PAGE_BITS)
        return end - 1;
    /* The last row that begins at or below `svma`; it may be the last one of an earlier page. */
    const uint16_t *rows = m->row_low.items;
    uint16_t wanted = (uint16_t)svma;
    uint32_t low = first, count = end - first;
    while (count > 0) {
        uint32_t half = count / 2;
        bool is_below = rows[low + half] <= wanted;
        low += is_below ? half + 1 : 0;
        count = is_below ? count - half - 1 : half;
    }
    return low - 1; /* row 0 - 1 == MODULE_NO_ROW */
}

static uint64_t row_pc(const struct unwind_module *m, uint32_t row) {
    size_t low = 0, high = m->pages.count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (m->pages.items[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return (uint64_t)m->pages.items[low].number << PAGE_BITS | m->row_low.items[row];
}

static bool is_start(const struct unwind_module *m, uint32_t row) {
    return (m->row_start.items[row / 64] >> (row % 64)) & 1;
}

/* A row that starts an FDE or, after the end of one, a gap. */
static bool is_boundary(const struct unwind_module *m, uint32_t row) {
    return is_start(m, row) || m->row_rule.items[row] == RULES_NONE;
}

bool module_find_extent(const struct unwind_module *m, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end) {
    uint32_t row = module_find_row(m, svma), count = (uint32_t)m->row_low.count;
    if (row == MODULE_NO_ROW) {
        *ret_start = 0;
        *ret_end = count ? row_pc(m, 0) : UINT64_MAX;
        return false;
    }
    uint32_t first = row, next = row + 1;
    while (first > 0 && !is_boundary(m, first))
        first--;
    while (next < count && !is_boundary(m, next))
        next++;
    *ret_start = row_pc(m, first);
    *ret_end = next < count ? row_pc(m, next) : UINT64_MAX;
    return is_start(m, first);
}

void unwind_module_extent(const struct unwind_module *module, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end) {
    (void)module_find_extent(module, svma, ret_start, ret_end);
}

const struct unwind_module_info *unwind_module_info(const struct unwind_module *module) {
    return &module->info;
}

void unwind_module_free(struct unwind_module *module) {
    if (!module)
        return;
    vec_free(&module->pages);
    vec_free(&module->row_low);
    vec_free(&module->row_rule);
    vec_free(&module->row_start);
    rules_free(&module->rules);
    free(module);
}
