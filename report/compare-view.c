/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/filter.h"
#include "report/header.h"
#include "report/scope-view.h"
#include "report/text.h"

/*
 *     #     Calls     Exact    Sampled  +- 95%  Samples    Diff      z  Verdict          Scope
 *           12000    1.234s     1.229s  21.0ms     1229   -0.4%   -0.5  agrees           parse  (parse.c:12)
 */
typedef unsigned long long ull;

enum { VERDICT_WIDTH = 24 };

static void put_verdict(const struct comparison *c, struct buffer *out) {
    double half = 1.96 * sqrt(c->variance);
    switch (c->kind) {
    case COMPARE_AGREES:
        buffer_printf(out, "agrees");
        break;
    case COMPARE_BIASED:
        buffer_printf(out, "biased (p %.1g)", fmax(c->p, 1e-99));
        break;
    case COMPARE_PHASE_LOCKED:
        buffer_printf(out, "phase-locked (p %.1g)", fmax(c->phase.p, 1e-99));
        break;
    case COMPARE_TOO_FEW:
        if (isfinite(c->needed))
            buffer_printf(out, "too few samples (%.0f of %.0f)", c->expected, c->needed);
        else
            buffer_printf(out, "too few samples");
        break;
    case COMPARE_OFF_CPU:
        buffer_printf(out, "off-CPU %.1f %% (%s)", c->off_cpu * 100,
                      half > 0.25 * c->expected ? "the rest: too few samples" : "the rest agrees");
        break;
    case COMPARE_INSTRUMENTATION:
        buffer_printf(out, "instrumentation-dominated");
        break;
    case COMPARE_CANNOT_TELL:
        buffer_printf(out, "cannot tell: %s", c->reason);
    }
}

static void put_row(const struct recording *r, const struct comparisons *all, const struct comparison *c, struct buffer *out) {
    double period = (double)all->period, sampled = (double)c->samples * period;
    buffer_printf(out, "%10llu", (ull)c->row->count);
    scope_put_time(out, 10, c->exact);
    scope_put_time(out, 10, sampled);
    scope_put_time(out, 10, 1.96 * sqrt(c->variance) * period);
    buffer_printf(out, "%9llu", (ull)c->samples);
    if (c->exact > 0)
        buffer_printf(out, "%8.1f%%", 100 * (sampled - c->exact) / c->exact);
    else
        buffer_printf(out, "%9s", "-");
    if (c->variance > 0)
        buffer_printf(out, "%7.1f  ", c->z);
    else
        buffer_printf(out, "%7s  ", "-");
    size_t start = out->length;
    put_verdict(c, out);
    int padding = (int)VERDICT_WIDTH - (int)(out->length - start);
    buffer_printf(out, "%*s  ", padding > 0 ? padding : 0, "");
    scope_put_name(r, c->row, out);
    buffer_put_u8(out, '\n');
}

static void put_header(const struct recording *r, const struct scope_rows *rows, const struct recording_event *event, struct buffer *out) {
    header_put_origin(r, out);
    scope_put_clock(r, rows, out);
    buffer_printf(out, "# event: ");
    text_put(out, TEXT_TERMINAL, event->name, strlen(event->name));
    buffer_printf(out, ", one sample every %llu ", (ull)event->period);
    text_put(out, TEXT_TERMINAL, event->unit, strlen(event->unit));
    buffer_printf(out, " of ");
    text_put(out, TEXT_TERMINAL, event->clock, strlen(event->clock));
    if (*event->blind) {
        buffer_printf(out, "; not seen: ");
        text_put(out, TEXT_TERMINAL, event->blind, strlen(event->blind));
    }
    buffer_printf(out, "\n");
    if (rows->items.count && !rows->has_off_cpu) {
        buffer_printf(out, "# On-CPU includes waiting: ");
        text_put(out, TEXT_TERMINAL, rows->unknown, strlen(rows->unknown));
        buffer_put_u8(out, '\n');
    }
    header_put_state(r, out);
    buffer_printf(out, "#\n#%9s%10s%10s%10s%9s%9s%7s  %-*s  %s\n", "Calls", "On-CPU", "Sampled", "+-95%", "Samples", "Diff", "z",
                  VERDICT_WIDTH, "Verdict", "Scope");
}

static void put_whole(const struct comparisons *all, struct buffer *out) {
    if (fabs(all->coverage - 1) >= 0.005)
        buffer_printf(out, "# z is of what %.1f %% of the CPU time leads to expect: so much of it became samples\n", all->coverage * 100);
    if (all->tested)
        buffer_printf(out,
                      "# all: chi2/k = %.2f over the k = %zu scopes with samples enough: about 1 if what is sampled strays as predicted\n",
                      all->chi2 / (double)all->tested, all->tested);
    else
        buffer_printf(out, "# all: no scope has samples enough for chi2/k\n");
    buffer_printf(out, "# false alarms (biased, phase-locked): in at most one such report of %d\n", COMPARE_FALSE_ALARM_ONE_IN);
}

static int write_comparison(const struct recording *r, const struct report_options *o, uint32_t event, const bool *threads,
                            struct scope_rows *rows, const struct scope_samples *samples, struct buffer *out) {
    struct comparisons all = {0};
    int error = scope_rows_arrange(r, o, rows);
    if (error == 0)
        error = compare_scopes(r, event, threads, rows, samples, &all);
    if (error < 0)
        return error;
    if (!o->no_header)
        put_header(r, rows, &r->events.items[event], out);
    if (all.untestable)
        buffer_printf(out, "# nothing can be compared: %s\n", all.untestable);
    for (size_t i = 0; i < all.items.count; i++)
        put_row(r, &all, &all.items.items[i], out);
    if (!o->no_header && !all.untestable)
        put_whole(&all, out);
    comparisons_free(&all);
    return out->failed ? -ENOMEM : 0;
}

int compare_write(const struct recording *r, const struct report_options *o, struct buffer *out, size_t *ret_rows) {
    struct filter filter = {0};
    struct scope_rows rows = {0};
    struct scope_samples samples = {0};
    bool *threads = NULL;
    int error = filter_build(r, o, &filter);
    if (error == 0)
        error = filter_threads(r, o, &threads);
    if (error == 0)
        error = scope_samples_collect(r, filter.event, &samples);
    if (error == 0)
        error = scope_rows_build(r, threads, o->by_thread, samples.weights, &rows);
    if (error == 0) {
        *ret_rows = rows.items.count;
        error = write_comparison(r, o, filter.event, threads, &rows, &samples, out);
    }
    scope_rows_free(&rows);
    scope_samples_free(&samples);
    filter_free(&filter);
    free(threads);
    return error;
}
