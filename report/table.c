/* SPDX-License-Identifier: MIT */
#include "report/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/rows.h"

/*
 *     #  Self    Total  Samples  Comm   PID  Module     Function
 *      41.20%  100.00%      412  zstd  4711  libz.so.1  inflate_fast
 *
 * Texts are columns of their keys' order; the last one is never padded. A text wider than COLUMN_MAX pushes the rest of its line to the
 * right rather than widening the column for all.
 */
enum { COLUMN_MAX = 28, TEXT_COLUMNS = 6, FIGURES_WIDTH = 28 };

struct cell {
    const char *data;
    size_t length;
};

struct table {
    const struct groups *groups;
    const struct places *places;
    const struct table_options *options;
    row_list rows;
    size_t widths[TEXT_COLUMNS];
    struct buffer scratch; /* cells that are not in a pool */
};

static const struct {
    unsigned key;
    const char *title;
} columns[TEXT_COLUMNS] = {{KEY_COMM, "Comm"},     {KEY_PID, "PID"},   {KEY_TID, "TID"},
                           {KEY_MODULE, "Module"}, {KEY_LINE, "Line"}, {KEY_FUNCTION, "Function"}};

static struct cell text_cell(const struct places *p, uint32_t text) {
    const struct strings_entry *entry = place_text(p, text);
    return (struct cell){entry->data, entry->length};
}

/* Valid until the next call. */
static struct cell get_cell(struct table *t, const struct row *row, unsigned key) {
    const struct place *place = &t->places->items.items[row->place];
    const struct group *group = &t->groups->items.items[row->group];
    buffer_clear(&t->scratch);
    switch (key) {
    case KEY_MODULE:
        return text_cell(t->places, place->module);
    case KEY_LINE:
        return text_cell(t->places, place->line);
    case KEY_FUNCTION:
        return text_cell(t->places, place->function);
    case KEY_COMM:
        text_put(&t->scratch, TEXT_TERMINAL, group->comm, strlen(group->comm));
        break;
    default:
        buffer_printf(&t->scratch, "%u", key == KEY_PID ? group->pid : group->tid);
    }
    return (struct cell){(const char *)t->scratch.data, t->scratch.length};
}

static double percentage(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static double row_total(const struct table *t, const struct row *row) {
    return t->options->whole_weight ? percentage(row->total_weight, t->options->whole_weight)
                                    : percentage(row->total_samples, t->options->whole_samples);
}

static double row_self(const struct table *t, const struct row *row) {
    return t->options->whole_weight ? percentage(row->self_weight, t->options->whole_weight)
                                    : percentage(row->self_samples, t->options->whole_samples);
}

static void drop_small_rows(struct table *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->rows.count; i++)
        if (row_total(t, &t->rows.items[i]) >= t->options->percent_limit)
            t->rows.items[kept++] = t->rows.items[i];
    t->rows.count = kept;
}

static void measure(struct table *t) {
    for (size_t c = 0; c < TEXT_COLUMNS; c++) {
        if (!(t->options->keys & columns[c].key))
            continue;
        t->widths[c] = t->options->no_header ? 0 : strlen(columns[c].title);
        for (size_t i = 0; i < t->rows.count; i++) {
            struct cell cell = get_cell(t, &t->rows.items[i], columns[c].key);
            size_t width = text_width(cell.data, cell.length);
            t->widths[c] = MAX(t->widths[c], MIN(width, (size_t)COLUMN_MAX));
        }
    }
}

static bool is_last(const struct table *t, size_t column) {
    for (size_t c = column + 1; c < TEXT_COLUMNS; c++)
        if (t->options->keys & columns[c].key)
            return false;
    return true;
}

/* Puts a cell into its column; on a terminal what does not fit is cut. Returns what is left of the line. */
static size_t put_cell(struct table *t, struct buffer *out, size_t column, struct cell cell, size_t left) {
    bool ends_line = is_last(t, column);
    size_t width = text_width(cell.data, cell.length);
    size_t room = ends_line ? left : MIN(left, t->widths[column]);
    if (t->options->width && width > room) {
        size_t kept = room > 3 ? room - 3 : 0;
        buffer_put(out, cell.data, text_fit(cell.data, cell.length, kept));
        buffer_put(out, "...", room - kept);
        width = room;
    } else
        buffer_put(out, cell.data, cell.length);
    if (ends_line)
        return 0;
    size_t padding = 2 + (width < t->widths[column] ? t->widths[column] - width : 0);
    buffer_printf(out, "%*s", (int)padding, "");
    return left > width + padding ? left - width - padding : 0;
}

static void put_row(struct table *t, const struct row *row, struct buffer *out) {
    buffer_printf(out, "%7.2f%% %7.2f%% %8llu  ", row_self(t, row), row_total(t, row), (unsigned long long)row->self_samples);
    size_t left = t->options->width > FIGURES_WIDTH ? t->options->width - FIGURES_WIDTH : 16;
    for (size_t c = 0; c < TEXT_COLUMNS; c++)
        if (t->options->keys & columns[c].key)
            left = put_cell(t, out, c, get_cell(t, row, columns[c].key), left);
    buffer_put_u8(out, '\n');
}

static void put_titles(struct table *t, struct buffer *out) {
    buffer_printf(out, "#  Self    Total   Samples  ");
    for (size_t c = 0; c < TEXT_COLUMNS; c++) {
        if (!(t->options->keys & columns[c].key))
            continue;
        bool ends_line = is_last(t, c);
        buffer_printf(out, "%-*s%s", ends_line ? 0 : (int)t->widths[c], columns[c].title, ends_line ? "\n" : "  ");
    }
}

int table_write(const struct tree *tree, const struct groups *groups, const struct places *places, const struct table_options *options,
                struct buffer *out) {
    struct table t = {.groups = groups, .places = places, .options = options};
    int r = rows_collect(tree, places, &t.rows);
    if (r < 0)
        return r;
    rows_sort(&t.rows, options->order, groups, places);
    drop_small_rows(&t);
    measure(&t);
    if (!options->no_header)
        put_titles(&t, out);
    for (size_t i = 0; i < t.rows.count; i++)
        put_row(&t, &t.rows.items[i], out);
    vec_free(&t.rows);
    bool failed = out->failed || t.scratch.failed;
    buffer_free(&t.scratch);
    return failed ? -ENOMEM : 0;
}
