/* SPDX-License-Identifier: MIT */
#include "report/scope-rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"

enum { OVERHEAD_NS = 20 }; /* of begin and end, where the recorder did not measure it: bench/results-scope.md */

struct builder {
    const struct recording *recording;
    struct scope_rows *rows;
    struct map index; /* thread + 1 << 32 | site -> row */
    bool by_thread;
    const uint64_t *thread_weight;
};

static struct scope_row *get_row(struct builder *b, const struct recording_scope *scope) {
    bool is_new;
    uint32_t thread = b->by_thread ? scope->thread : RECORDING_NONE;
    uint64_t *at = map_put(&b->index, (uint64_t)thread << 32 | scope->site, &is_new);
    if (!at)
        return NULL;
    if (!is_new)
        return &b->rows->items.items[*at];
    struct scope_row *row = vec_push(&b->rows->items);
    if (!row)
        return NULL;
    *at = b->rows->items.count - 1;
    row->site = scope->site;
    row->thread = thread;
    row->buckets = calloc(LOGLINEAR_BUCKETS, sizeof *row->buckets);
    return row->buckets ? row : NULL;
}

static void add_slowest(struct builder *b, struct scope_row *row, const struct recording_scope *scope) {
    for (size_t i = 0; i < RECORDING_SLOWEST && scope->slowest[i].ticks; i++) {
        struct scope_slow slow = {scope_clock_ns(&b->rows->clock, scope->slowest[i].begin),
                                  (double)scope->slowest[i].ticks * b->rows->clock.ns_per_tick, scope->thread};
        size_t at = RECORDING_SLOWEST;
        while (at > 0 && row->slowest[at - 1].ns < slow.ns)
            at--;
        if (at == RECORDING_SLOWEST)
            return;
        memmove(&row->slowest[at + 1], &row->slowest[at], (RECORDING_SLOWEST - 1 - at) * sizeof *row->slowest);
        row->slowest[at] = slow;
    }
}

/* What the kernel counted, or else the samples, less exactly. */
static double thread_cpu(const struct builder *b, uint32_t thread) {
    const struct recording *r = b->recording;
    if (thread < r->thread_ends.count && r->thread_ends.items[thread].thread != RECORDING_NONE &&
        r->thread_ends.items[thread].has_exact_cpu)
        return (double)r->thread_ends.items[thread].exact_cpu;
    return b->thread_weight ? (double)b->thread_weight[thread] : NAN;
}

static int add_scope(struct builder *b, const struct recording_scope *scope) {
    struct scope_row *row = get_row(b, scope);
    bool is_value = b->recording->sites.items[scope->site].kind == SITE_VALUE;
    double rate = is_value ? 1 : b->rows->clock.ns_per_tick;
    if (!row)
        return -ENOMEM;
    if (scope->count) {
        row->min = row->count ? fmin(row->min, (double)scope->min * rate) : (double)scope->min * rate;
        row->max = fmax(row->max, (double)scope->max * rate);
    }
    row->threads++;
    row->count += scope->count;
    row->primitive += scope->primitive;
    row->unwound += scope->unwound;
    row->unfinished += scope->unfinished;
    row->unfinished_samples += scope->unfinished_samples;
    row->total += (double)scope->total * rate;
    row->self += (double)(int64_t)scope->self * rate; /* modulo 2^64: while scopes are open a parent may be behind its children */
    row->sum += (double)scope->sum * rate;
    row->off_cpu += (double)scope->off_cpu;
    row->variance += (double)scope->variance * 0x1p-30;
    row->cpu += thread_cpu(b, scope->thread);
    for (uint32_t i = 0; i < scope->bucket_count; i++)
        row->buckets[scope->buckets[i].bucket] += scope->buckets[i].count;
    add_slowest(b, row, scope);
    return 0;
}

/* Every context switch and every instance that was off a CPU has to be told, or nobody knows whose time is short of what. */
static bool is_off_cpu_known(const struct recording *r, char *reason, size_t size) {
    const char *fact = recording_fact(r, "scope off-cpu");
    uint64_t switches = recording_counter(r, "context switches lost"), events = recording_counter(r, "scope events lost");
    if (!fact || strcmp(fact, "yes") != 0)
        snprintf(reason, size, "%s", fact ? fact : "time off the CPU was not recorded");
    else if (switches)
        snprintf(reason, size, "%llu records of context switches were lost", (unsigned long long)switches);
    else if (events)
        snprintf(reason, size, "%llu instances were not told one by one", (unsigned long long)events);
    else
        return true;
    return false;
}

int scope_rows_build(const struct recording *r, const bool *threads, bool by_thread, const uint64_t *thread_weight,
                     struct scope_rows *ret) {
    struct scope_rows rows = {0};
    struct builder b = {.recording = r, .rows = &rows, .by_thread = by_thread, .thread_weight = thread_weight};
    const char *overhead = recording_fact(r, "scope overhead ns");
    int error = r->scopes.count ? scope_clock_fit(r, &rows.clock) : 0;
    rows.has_off_cpu = is_off_cpu_known(r, rows.unknown, sizeof rows.unknown);
    rows.overhead_ns = overhead ? strtod(overhead, NULL) : OVERHEAD_NS;
    if (!(rows.overhead_ns >= 0 && rows.overhead_ns < 1e6))
        rows.overhead_ns = OVERHEAD_NS;
    for (size_t i = 0; error == 0 && i < r->scopes.count; i++)
        if (threads[r->scopes.items[i].thread])
            error = add_scope(&b, &r->scopes.items[i]);
    for (size_t i = 0; i < rows.items.count; i++)
        if (isnan(rows.items.items[i].cpu))
            rows.items.items[i].cpu = 0;
    map_free(&b.index);
    if (error < 0)
        scope_rows_free(&rows);
    else
        *ret = rows;
    return error;
}

void scope_rows_free(struct scope_rows *rows) {
    for (size_t i = 0; i < rows->items.count; i++)
        free(rows->items.items[i].buckets);
    vec_free(&rows->items);
}

double scope_row_quantile(const struct scope_rows *rows, const struct scope_row *row, double q, bool is_value) {
    double rate = is_value ? 1 : rows->clock.ns_per_tick, all = 0, before = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
        all += (double)row->buckets[i];
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++) {
        double count = (double)row->buckets[i], low = (double)loglinear_low(i) * rate, high = (double)loglinear_low(i + 1) * rate;
        if (count > 0 && before + count >= q * all)
            return (fmin(fmax(low, row->min), row->max) + fmax(fmin(high, row->max), row->min)) / 2;
        before += count;
    }
    return row->max;
}

double scope_row_overhead(const struct scope_rows *rows, const struct scope_row *row) {
    return row->sum > 0 ? rows->overhead_ns * (double)row->count / row->sum : 0;
}
