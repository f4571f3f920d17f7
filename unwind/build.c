/* SPDX-License-Identifier: MIT */
/* Building a module: FDEs in any order -> rows in order of pc. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "unwind/module.h"

/* One FDE's rows, before all are put in order. */
struct range {
    uint64_t start, end;
    uint32_t order; /* of being added */
    uint32_t first_row, row_count;
};

struct loose_row {
    uint32_t offset; /* from the range's start */
    uint16_t rule;
};

struct module_builder {
    struct program program;
    struct rules rules;
    VEC(struct range) ranges;
    VEC(struct loose_row) rows;
    const struct elf_cfi_fde *fde; /* being run */
    uint64_t skipped, no_rule_rows;
};

enum { SVMA_BITS = 48 };

int module_builder_new(struct module_builder **ret) {
    struct module_builder *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    int r = rules_init(&b->rules);
    if (r < 0) {
        free(b);
        return r;
    }
    *ret = b;
    return 0;
}

void module_builder_free(struct module_builder *b) {
    if (!b)
        return;
    rules_free(&b->rules);
    vec_free(&b->ranges);
    vec_free(&b->rows);
    free(b);
}

static int add_row(void *context, uint64_t pc, const struct program_row *row) {
    struct module_builder *b = context;
    uint16_t rule = RULES_NONE;
    int r = rules_intern(&b->rules, b->fde, row, &rule);
    if (r == -ENOSPC)
        b->no_rule_rows++;
    else if (r < 0)
        return r;
    if (!vec_reserve(&b->rows, b->rows.count + 1))
        return -ENOMEM;
    b->rows.items[b->rows.count++] = (struct loose_row){.offset = (uint32_t)(pc - b->fde->start), .rule = rule};
    return 0;
}

int module_builder_add(void *builder, const struct elf_cfi_fde *fde) {
    struct module_builder *b = builder;
    if (fde->end >> SVMA_BITS || fde->end - fde->start > UINT32_MAX || fde->start >= fde->end || b->rows.count > UINT32_MAX / 2) {
        b->skipped++;
        return 0;
    }
    size_t first = b->rows.count;
    b->fde = fde;
    int r = program_run(&b->program, fde, add_row, b);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        b->rows.count = first;
        b->skipped++;
        return 0;
    }
    struct range *range = vec_push(&b->ranges);
    if (!range)
        return -ENOMEM;
    *range = (struct range){.start = fde->start,
                            .end = fde->end,
                            .order = (uint32_t)b->ranges.count,
                            .first_row = (uint32_t)first,
                            .row_count = (uint32_t)(b->rows.count - first)};
    return 0;
}

static int compare_ranges(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_ranges(struct module_builder *b) {
    for (size_t i = 1; i < b->ranges.count; i++) {
        if (compare_ranges(&b->ranges.items[i - 1], &b->ranges.items[i]) > 0) {
            qsort(b->ranges.items, b->ranges.count, sizeof *b->ranges.items, compare_ranges);
            return;
        }
    }
}

/* Where ranges overlap, the one added first wins; what it covers is cut off the other. Cut ranges become empty, never inverted. */
static void cut_overlaps(struct module_builder *b) {
    struct range *last = NULL;
    for (size_t i = 0; i < b->ranges.count; i++) {
        struct range *range = &b->ranges.items[i];
        if (last) {
            range->start = MAX(range->start, MIN(last->start, range->end));
            if (range->start < last->end && range->order < last->order)
                last->end = range->start;
            else if (range->start < last->end)
                range->start = MIN(last->end, range->end);
        }
        if (range->start < range->end)
            last = range;
    }
}

static int append_row(struct unwind_module *m, uint64_t pc, uint16_t rule, bool is_start) {
    size_t row = m->row_low.count;
    bool repeats = row > 0 && !is_start && m->row_rule.items[row - 1] == rule;
    if (repeats)
        return 0;
    uint32_t number = (uint32_t)(pc >> 16);
    if (m->pages.count == 0 || m->pages.items[m->pages.count - 1].number != number) {
        struct module_page *page = vec_push(&m->pages);
        if (!page)
            return -ENOMEM;
        *page = (struct module_page){.number = number, .first_row = (uint32_t)row};
    }
    if (row % 64 == 0 && !vec_push(&m->row_start))
        return -ENOMEM;
    m->row_start.items[row / 64] |= (uint64_t)is_start << (row % 64);
    m->row_low.items[m->row_low.count++] = (uint16_t)pc; /* reserved by lay_out */
    m->row_rule.items[m->row_rule.count++] = rule;
    return 0;
}

/* The loose rows of `range`, those before its (cut) start folded into one at the start. `origin` is what their offsets count from. */
static int append_range(struct module_builder *b, struct unwind_module *m, const struct range *range, uint64_t origin) {
    const struct loose_row *rows = &b->rows.items[range->first_row];
    uint32_t i = 0;
    while (i + 1 < range->row_count && origin + rows[i + 1].offset <= range->start)
        i++;
    int r = append_row(m, range->start, rows[i].rule, true);
    for (i++; r == 0 && i < range->row_count && origin + rows[i].offset < range->end; i++)
        r = append_row(m, origin + rows[i].offset, rows[i].rule, false);
    return r;
}

static int lay_out(struct module_builder *b, struct unwind_module *m) {
    sort_ranges(b);
    VEC(uint64_t) origins = {0};
    if (!vec_reserve(&origins, b->ranges.count + 1))
        return -ENOMEM;
    for (size_t i = 0; i < b->ranges.count; i++)
        origins.items[i] = b->ranges.items[i].start;
    cut_overlaps(b);

    size_t most = b->rows.count + b->ranges.count;
    int r = vec_reserve(&m->row_low, most) && vec_reserve(&m->row_rule, most) ? 0 : -ENOMEM;
    uint64_t covered = 0;
    for (size_t i = 0; r == 0 && i < b->ranges.count; i++) {
        const struct range *range = &b->ranges.items[i];
        if (range->start == range->end)
            continue;
        if (m->row_low.count && range->start > covered)
            r = append_row(m, covered, RULES_NONE, false);
        if (r == 0)
            r = append_range(b, m, range, origins.items[i]);
        covered = range->end;
    }
    if (r == 0 && m->row_low.count)
        r = append_row(m, covered, RULES_NONE, false);
    vec_free(&origins);
    return r;
}

#define shrink(vec)                                                                          \
    do {                                                                                     \
        void *shrunk_ = realloc((vec)->items, MAX((vec)->count, 1u) * sizeof *(vec)->items); \
        if (shrunk_) {                                                                       \
            (vec)->items = shrunk_;                                                          \
            (vec)->capacity = MAX((vec)->count, 1u);                                         \
        }                                                                                    \
    } while (0)

static void fill_info(const struct module_builder *b, struct unwind_module *m) {
    struct unwind_module_info *info = &m->info;
    info->fdes = b->ranges.count;
    info->rows = m->row_low.count;
    info->rules = m->rules.list.count;
    info->skipped_fdes += b->skipped;
    for (size_t i = 0; i < m->row_rule.count; i++)
        info->libunwind_rows += m->rules.list.items[m->row_rule.items[i]].hot.form == RULE_LIBUNWIND;
    info->bytes = sizeof *m + m->pages.capacity * sizeof *m->pages.items + m->row_low.capacity * sizeof *m->row_low.items +
                  m->row_rule.capacity * sizeof *m->row_rule.items + m->row_start.capacity * sizeof *m->row_start.items +
                  m->rules.list.capacity * sizeof *m->rules.list.items + m->rules.registers.capacity * sizeof *m->rules.registers.items +
                  m->rules.expressions.capacity;
}

/* The ELF header lies at the start of the first segment of nearly every file; where it does not, the entry stays unknown. */
static uint64_t find_entry(struct elf_image *image) {
    const struct elf_info *info = elf_image_info(image);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct elf_segment *segment = &info->segments[i];
        const uint8_t *bytes = segment->offset == 0 ? elf_image_bytes(image, segment->address, sizeof(Elf64_Ehdr)) : NULL;
        if (!bytes || memcmp(bytes, ELFMAG, SELFMAG))
            continue;
        Elf64_Ehdr header;
        memcpy(&header, bytes, sizeof header);
        return header.e_entry;
    }
    return 0;
}

int module_builder_finish(struct module_builder *b, struct elf_image *image, struct unwind_module **ret) {
    struct unwind_module *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->image = image;
    m->entry = image ? find_entry(image) : 0;
    m->rules = b->rules;
    b->rules = (struct rules){0};
    free(m->rules.table);
    m->rules.table = NULL;
    int r = lay_out(b, m);
    if (r < 0) {
        unwind_module_free(m);
        return r;
    }
    shrink(&m->pages);
    shrink(&m->row_low);
    shrink(&m->row_rule);
    shrink(&m->row_start);
    shrink(&m->rules.list);
    shrink(&m->rules.registers);
    shrink(&m->rules.expressions);
    fill_info(b, m);
    *ret = m;
    return 0;
}

int unwind_module_build(struct elf_image *image, struct elf_image *debug, struct unwind_module **ret) {
    struct module_builder *b;
    int r = module_builder_new(&b);
    if (r < 0)
        return r;
    struct elf_cfi_counts counts = {0};
    r = elf_cfi_each(image, debug, module_builder_add, b, &counts);
    if (r == 0 || r == -ENOENT)
        r = module_builder_finish(b, image, ret);
    if (r == 0)
        (*ret)->info.skipped_fdes += counts.skipped;
    module_builder_free(b);
    return r;
}
