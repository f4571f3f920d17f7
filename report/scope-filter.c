/* SPDX-License-Identifier: MIT */
#include "report/scope-filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "report/scope-rows.h"

struct builder {
    const struct recording *r;
    const struct report_options *o;
    bool *sites; /* by site id: of the name asked for */
    bool has_nested, has_span;
    struct scope_filter *filter;
};

static int find_sites(struct builder *b) {
    b->sites = calloc(b->r->sites.count + 1, sizeof *b->sites);
    if (!b->sites)
        return -ENOMEM;
    for (size_t i = 0; i < b->r->sites.count; i++) {
        const struct recording_site *site = &b->r->sites.items[i];
        if (site->kind == SITE_VALUE || strcmp(site->name, b->o->in_scope) != 0)
            continue;
        b->sites[i] = true;
        b->has_span |= site->kind == SITE_SPAN;
        b->has_nested |= site->kind != SITE_SPAN;
    }
    return b->has_span || b->has_nested ? 0 : -ESRCH;
}

/* A parent comes before its children, so one pass forward marks all. */
static int mark_nodes(struct builder *b) {
    const struct recording *r = b->r;
    bool *nodes = b->filter->nodes = calloc(r->nodes.count + 1, sizeof *nodes);
    if (!nodes)
        return -ENOMEM;
    for (size_t i = STACK_END_COUNT; i < r->nodes.count; i++) {
        const struct recording_frame *frame = &r->frames.items[r->nodes.items[i].frame];
        nodes[i] = nodes[r->nodes.items[i].parent] || (frame->kind == FRAME_SCOPE && b->sites[frame->address]);
    }
    return 0;
}

/* The time above which the slowest share of all instances lies. */
static int find_floor(struct builder *b) {
    struct scope_rows rows = {0};
    bool *threads = malloc(b->r->threads.count + 1);
    if (!threads)
        return -ENOMEM;
    memset(threads, 1, b->r->threads.count + 1);
    int error = scope_rows_build(b->r, threads, false, NULL, &rows);
    struct scope_row sum = {.buckets = calloc(LOGLINEAR_BUCKETS, sizeof *sum.buckets)};
    if (error == 0 && !sum.buckets)
        error = -ENOMEM;
    for (size_t i = 0; error == 0 && i < rows.items.count; i++) {
        const struct scope_row *row = &rows.items.items[i];
        if (!b->sites[row->site] || !row->count)
            continue;
        sum.min = sum.count ? MIN(sum.min, row->min) : row->min;
        sum.max = MAX(sum.max, row->max);
        sum.count += row->count;
        for (uint32_t k = 0; k < LOGLINEAR_BUCKETS; k++)
            sum.buckets[k] += row->buckets[k];
    }
    if (error == 0 && sum.count)
        b->filter->floor = scope_row_quantile(&rows, &sum, 1 - b->o->slowest_percent / 100, false);
    free(sum.buckets);
    free(threads);
    scope_rows_free(&rows);
    return error;
}

static int find_windows(struct builder *b) {
    const struct recording *r = b->r;
    struct scope_filter *f = b->filter;
    for (size_t i = 0; i < r->instances.count; i++) {
        const struct recording_instance *instance = &r->instances.items[i];
        if (!b->sites[instance->site] || (double)(instance->end - instance->begin) < f->floor)
            continue;
        struct scope_window *window = vec_push(&f->windows);
        if (!window)
            return -ENOMEM;
        *window = (struct scope_window){instance->thread, instance->begin, instance->end};
    }
    f->instances = f->windows.count;
    scope_windows_join(&f->windows);
    return 0;
}

int scope_filter_build(const struct recording *r, const struct report_options *o, struct scope_filter *ret) {
    struct scope_filter f = {0};
    struct builder b = {.r = r, .o = o, .filter = &f};
    if (!o->in_scope) {
        *ret = f;
        return 0;
    }
    int error = find_sites(&b);
    f.by_window = b.has_span || o->slowest_percent > 0;
    if (error == 0 && !b.has_span)
        error = mark_nodes(&b);
    if (error == 0 && o->slowest_percent > 0)
        error = find_floor(&b);
    if (error == 0 && f.by_window)
        error = find_windows(&b);
    const char *threshold = recording_fact(r, "scope event ns");
    f.unlisted_ns = threshold ? strtoull(threshold, NULL, 10) : 0;
    free(b.sites);
    if (error < 0)
        scope_filter_free(&f);
    else
        *ret = f;
    return error;
}

void scope_filter_free(struct scope_filter *f) {
    free(f->nodes);
    vec_free(&f->windows);
    *f = (struct scope_filter){0};
}
