/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/filter.h"
#include "report/header.h"
#include "report/scope-view.h"
#include "report/text.h"

/*
 *     #     Calls      Total       Self        Avg        Min        p50        p90        p99        Max  % CPU  Scope
 *           12000     1.234s     800.1ms   102.8us    90.10us    101.0us    120.0us    140.0us    2.100ms  41.2%  parse  (parse.c:12)
 *
 * Spans and values have a table of their own each: a span's time is also in the scopes around it, and values are no times.
 */
typedef unsigned long long ull;

enum { UNTRUSTED_NS = 100, OVERHEAD_PERCENT = 20 };

static double quantile(const struct scope_rows *rows, const struct scope_row *row, double q, bool is_value) {
    return scope_row_quantile(rows, row, q, is_value);
}

static void put_calls(const struct scope_row *row, struct buffer *out) {
    char calls[48];
    snprintf(calls, sizeof calls, row->count == row->primitive ? "%llu" : "%llu/%llu", (ull)row->count, (ull)row->primitive);
    buffer_printf(out, "%10s", calls);
}

/* Marks are explained below the table. */
struct marks {
    bool short_ones, dominated, unwound, unfinished;
};

static void put_marks(const struct scope_rows *rows, const struct scope_row *row, struct marks *marks, struct buffer *out) {
    double overhead = scope_row_overhead(rows, row) * 100;
    if (overhead > OVERHEAD_PERCENT) {
        buffer_printf(out, "  [instrumentation %.0f%%]", fmin(overhead, 100));
        marks->dominated = true;
    }
    if (row->count && row->min < UNTRUSTED_NS) {
        buffer_printf(out, "  [<100ns]");
        marks->short_ones = true;
    }
    if (row->unwound) {
        buffer_printf(out, "  [%llu unwound]", (ull)row->unwound);
        marks->unwound = true;
    }
    if (row->unfinished) {
        buffer_printf(out, "  [%llu unfinished]", (ull)row->unfinished);
        marks->unfinished = true;
    }
}

static void put_share(const struct scope_rows *rows, const struct scope_row *row, struct buffer *out) {
    if (row->cpu > 0 && rows->has_off_cpu)
        buffer_printf(out, "%6.1f%%", 100 * (row->total - row->off_cpu) / row->cpu);
    else
        buffer_printf(out, "%7s", "-");
}

static void put_row(const struct recording *r, const struct scope_rows *rows, const struct scope_row *row, struct marks *marks,
                    struct buffer *out) {
    static const double shares[] = {0.5, 0.9, 0.99};
    double count = (double)row->count;
    put_calls(row, out);
    scope_put_time(out, 10, row->total);
    scope_put_time(out, 10, row->self);
    scope_put_time(out, 10, count > 0 ? row->sum / count : 0);
    scope_put_time(out, 10, row->min);
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++)
        scope_put_time(out, 10, quantile(rows, row, shares[i], false));
    scope_put_time(out, 10, row->max);
    put_share(rows, row, out);
    buffer_printf(out, "  ");
    scope_put_name(r, row, out);
    put_marks(rows, row, marks, out);
    buffer_put_u8(out, '\n');
}

static void put_value_row(const struct recording *r, const struct scope_rows *rows, const struct scope_row *row, struct buffer *out) {
    double count = (double)row->count;
    buffer_printf(out, "%10llu %11.6g %10.6g %10.6g %10.6g %10.6g %10.6g %10.6g  ", (ull)row->count, row->sum,
                  count > 0 ? row->sum / count : 0, row->min, quantile(rows, row, 0.5, true), quantile(rows, row, 0.9, true),
                  quantile(rows, row, 0.99, true), row->max);
    scope_put_name(r, row, out);
    buffer_put_u8(out, '\n');
}

static void put_marks_meaning(const struct marks *marks, struct buffer *out) {
    if (marks->dominated)
        buffer_printf(out, "# [instrumentation N%%]: begin and end themselves are that much of the time\n");
    if (marks->short_ones)
        buffer_printf(out,
                      "# [<100ns]: the CPU runs code around so short an instance at the same time: its min and low percentiles say little, "
                      "total and average hold\n");
    if (marks->unwound)
        buffer_printf(out, "# [N unwound]: left by longjmp and the like, and timed up to the next begin or end in their thread\n");
    if (marks->unfinished)
        buffer_printf(out, "# [N unfinished]: had not ended when their thread or the recording did; in no figure\n");
}

static void put_section(const struct recording *r, const struct report_options *o, const struct scope_rows *rows, unsigned kinds,
                        const char *title, struct marks *marks, struct buffer *out) {
    bool is_first = true, is_value = kinds == 1u << SITE_VALUE;
    for (size_t i = 0; i < rows->items.count; i++) {
        const struct scope_row *row = &rows->items.items[i];
        if (!(kinds & 1u << r->sites.items[row->site].kind))
            continue;
        if (is_first && !o->no_header && is_value)
            buffer_printf(out, "#%9s %11s %10s %10s %10s %10s %10s %10s  %s\n", "Count", "Sum", "Avg", "Min", "p50", "p90", "p99", "Max",
                          title);
        else if (is_first && !o->no_header)
            buffer_printf(out, "#%9s%10s%10s%10s%10s%10s%10s%10s%10s%7s  %s\n", "Calls", "Total", "Self", "Avg", "Min", "p50", "p90", "p99",
                          "Max", "CPU", title);
        is_first = false;
        if (is_value)
            put_value_row(r, rows, row, out);
        else
            put_row(r, rows, row, marks, out);
    }
}

static void put_header(const struct recording *r, const struct scope_rows *rows, struct buffer *out) {
    header_put_origin(r, out);
    scope_put_clock(r, rows, out);
    buffer_printf(out,
                  "# percentiles are within 6.25 %%; Total counts an instance inside another of its own scope once; "
                  "CPU: of the on-CPU time of its threads\n"
                  "# begin and end take %.0f ns\n",
                  rows->overhead_ns);
    if (rows->items.count && !rows->has_off_cpu) {
        buffer_printf(out, "# CPU cannot be told: ");
        text_put(out, TEXT_TERMINAL, rows->unknown, strlen(rows->unknown));
        buffer_put_u8(out, '\n');
    }
    header_put_state(r, out);
    buffer_printf(out, "#\n");
}

static int write_rows(const struct recording *r, const struct report_options *o, const bool *threads, struct scope_rows *rows,
                      struct buffer *out) {
    struct marks marks = {0};
    int error = scope_rows_arrange(r, o, rows);
    if (error < 0)
        return error;
    if (!o->no_header)
        put_header(r, rows, out);
    put_section(r, o, rows, 1u << SITE_SCOPE | 1u << SITE_FUNCTION, "Scope", &marks, out);
    put_section(r, o, rows, 1u << SITE_SPAN, "Span", &marks, out);
    put_section(r, o, rows, 1u << SITE_VALUE, "Value", &marks, out);
    if (!o->no_header)
        put_marks_meaning(&marks, out);
    if (o->slowest_list)
        scope_slowest_write(r, rows, scope_start(r), out);
    if (error == 0 && o->callers)
        error = scope_paths_write(r, threads, rows, false, out);
    if (error == 0 && o->callees)
        error = scope_paths_write(r, threads, rows, true, out);
    return error == 0 && out->failed ? -ENOMEM : error;
}

int scope_table_write(const struct recording *r, const struct report_options *o, struct buffer *out, size_t *ret_rows) {
    struct scope_rows rows = {0};
    struct scope_samples samples = {0};
    bool *threads = NULL;
    int error = filter_threads(r, o, &threads);
    if (error == 0 && r->events.count)
        error = scope_samples_collect(r, 0, &samples);
    if (error == 0)
        error = scope_rows_build(r, threads, o->by_thread, samples.weights, &rows);
    if (error == 0) {
        *ret_rows = rows.items.count;
        error = write_rows(r, o, threads, &rows, out);
    }
    scope_rows_free(&rows);
    scope_samples_free(&samples);
    free(threads);
    return error;
}
