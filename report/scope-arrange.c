/* SPDX-License-Identifier: MIT */
/* Which rows of scopes are shown and in which order, and the pieces of text that their views share. */
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/place.h"
#include "report/scope-view.h"
#include "report/text.h"

struct comparison {
    const struct recording *recording;
    const struct scope_rows *rows;
    enum scope_order order;
};

static double key_of(const struct comparison *c, const struct scope_row *row) {
    bool is_value = c->recording->sites.items[row->site].kind == SITE_VALUE;
    switch (c->order) {
    case SCOPE_BY_SELF:
        return row->self;
    case SCOPE_BY_CALLS:
        return (double)row->count;
    case SCOPE_BY_PRIMITIVE:
        return (double)row->primitive;
    case SCOPE_BY_AVG:
        return row->count ? row->sum / (double)row->count : 0;
    case SCOPE_BY_MIN:
        return row->min;
    case SCOPE_BY_P50:
        return scope_row_quantile(c->rows, row, 0.5, is_value);
    case SCOPE_BY_P90:
        return scope_row_quantile(c->rows, row, 0.9, is_value);
    case SCOPE_BY_P99:
        return scope_row_quantile(c->rows, row, 0.99, is_value);
    case SCOPE_BY_MAX:
        return row->max;
    default:
        return is_value ? row->sum : row->total;
    }
}

static int compare_places(const struct comparison *c, const struct scope_row *a, const struct scope_row *b) {
    const struct recording_site *x = &c->recording->sites.items[a->site], *y = &c->recording->sites.items[b->site];
    int order = c->order == SCOPE_BY_NAME ? strcmp(x->name, y->name) : 0;
    if (!order)
        order = strcmp(x->file, y->file);
    if (!order)
        order = (x->line > y->line) - (x->line < y->line);
    if (!order)
        order = strcmp(x->name, y->name);
    return order ? order : (a->thread > b->thread) - (a->thread < b->thread);
}

static int compare_rows(const void *left, const void *right, void *context) {
    const struct comparison *c = context;
    if (c->order != SCOPE_BY_NAME && c->order != SCOPE_BY_FILE) {
        double a = key_of(c, left), b = key_of(c, right);
        if (a < b || a > b)
            return a > b ? -1 : 1;
    }
    return compare_places(c, left, right);
}

static void drop(struct scope_rows *rows, size_t at) {
    free(rows->items.items[at].buckets);
}

static int keep_matching(const struct recording *r, const char *pattern, struct scope_rows *rows) {
    regex_t regex;
    size_t kept = 0;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return -ENOMEM; /* the options' parser has compiled it once */
    for (size_t i = 0; i < rows->items.count; i++)
        if (regexec(&regex, r->sites.items[rows->items.items[i].site].name, 0, NULL, 0) == 0)
            rows->items.items[kept++] = rows->items.items[i];
        else
            drop(rows, i);
    rows->items.count = kept;
    regfree(&regex);
    return 0;
}

int scope_rows_arrange(const struct recording *r, const struct report_options *o, struct scope_rows *rows) {
    struct comparison c = {r, rows, o->scope_order};
    int error = o->scope_match ? keep_matching(r, o->scope_match, rows) : 0;
    if (error < 0)
        return error;
    if (rows->items.count)
        qsort_r(rows->items.items, rows->items.count, sizeof *rows->items.items, compare_rows, &c);
    double most = o->top <= 0 ? INFINITY : o->top < 1 ? ceil(o->top * (double)rows->items.count) : floor(o->top);
    while ((double)rows->items.count > most)
        drop(rows, --rows->items.count);
    return 0;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------ */

void scope_put_time(struct buffer *out, int width, double ns) {
    static const struct {
        double from, unit;
        const char *name;
    } units[] = {{1e9, 1e9, "s"}, {1e6, 1e6, "ms"}, {1e3, 1e3, "us"}, {0, 1, "ns"}};
    size_t i = 0;
    double size = fabs(ns);
    while (size < units[i].from * 0.99995 && i + 1 < ARRAY_SIZE(units))
        i++;
    double value = ns / units[i].unit, magnitude = fabs(value);
    int digits = magnitude < 9.9995 ? 3 : magnitude < 99.995 ? 2 : magnitude < 999.95 ? 1 : 0;
    char text[64];
    snprintf(text, sizeof text, "%.*f%s", digits, value, units[i].name);
    buffer_printf(out, "%*s", width, text);
}

void scope_put_name(const struct recording *r, const struct scope_row *row, struct buffer *out) {
    const struct recording_site *site = &r->sites.items[row->site];
    const char *file = place_basename(site->file);
    text_put(out, TEXT_TERMINAL, site->name, strlen(site->name));
    buffer_printf(out, "  (");
    text_put(out, TEXT_TERMINAL, file, strlen(file));
    buffer_printf(out, ":%u)", site->line);
    if (row->thread != RECORDING_NONE)
        buffer_printf(out, "  thread %u", r->threads.items[row->thread].tid);
}

uint64_t scope_start(const struct recording *r) {
    uint64_t start = r->first_time;
    for (size_t i = 0; i < r->threads.count; i++)
        if (!start || (r->threads.items[i].start && r->threads.items[i].start < start))
            start = r->threads.items[i].start;
    return start;
}

void scope_put_clock(const struct recording *r, const struct scope_rows *rows, struct buffer *out) {
    const struct scope_clock *c = &rows->clock;
    if (!r->scopes.count)
        return;
    if (c->pairs)
        buffer_printf(out, "# clock: cycle counter at %.4f GHz; its %zu readings over %.1f s lie within %.0f ns of a line\n",
                      1 / c->ns_per_tick, c->pairs, c->span_ns * 1e-9, c->residual);
    else
        buffer_printf(out, "# clock: CLOCK_MONOTONIC_RAW\n");
}
