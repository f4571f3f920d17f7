/* SPDX-License-Identifier: MIT */
/* Callers and callees of scopes, and their slowest instances. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "report/scope-view.h"
#include "report/text.h"

typedef unsigned long long ull;

/* What was measured of one site entered directly from another; by either name. */
struct edge {
    uint32_t from, to; /* sites; from RECORDING_NONE: entered while none was open */
    uint64_t count, recursed;
    double total, self;
};

struct edges {
    VEC(struct edge) items;
    struct map index;
};

static int add_edge(struct edges *e, uint32_t from, uint32_t to, const struct recording_scope_path *path, double rate) {
    bool is_new;
    uint64_t *at = map_put(&e->index, (uint64_t)from << 32 | to, &is_new);
    struct edge *edge = !at ? NULL : is_new ? vec_push(&e->items) : &e->items.items[*at];
    if (!edge)
        return -ENOMEM;
    if (is_new) {
        *at = e->items.count - 1;
        edge->from = from;
        edge->to = to;
    }
    edge->count += path->count;
    edge->recursed += path->recursed;
    edge->total += (double)path->total * rate;
    edge->self += (double)(int64_t)path->self * rate;
    return 0;
}

static int compare_edges(const void *left, const void *right) {
    const struct edge *a = left, *b = right;
    if (a->total < b->total || a->total > b->total)
        return a->total > b->total ? -1 : 1;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

static int collect_edges(const struct recording *r, const bool *threads, uint32_t thread, double rate, struct edges *edges) {
    for (size_t i = 0; i < r->scope_paths.count; i++) {
        const struct recording_scope_path *path = &r->scope_paths.items[i];
        const struct recording_scope_node *node = &r->scope_nodes.items[path->node];
        if (!threads[path->thread] || (thread != RECORDING_NONE && thread != path->thread))
            continue;
        uint32_t from = node->parent == RECORDING_NONE ? RECORDING_NONE : r->scope_nodes.items[node->parent].site;
        if (add_edge(edges, from, node->site, path, rate) < 0)
            return -ENOMEM;
    }
    if (edges->items.count)
        qsort(edges->items.items, edges->items.count, sizeof *edges->items.items, compare_edges);
    return 0;
}

static void put_edge(const struct recording *r, const struct edge *edge, uint32_t other, struct buffer *out) {
    char calls[48];
    snprintf(calls, sizeof calls, edge->recursed ? "%llu/%llu" : "%llu", (ull)edge->count, (ull)(edge->count - edge->recursed));
    buffer_printf(out, "%10s", calls);
    scope_put_time(out, 10, edge->total);
    scope_put_time(out, 10, edge->self);
    buffer_printf(out, "      ");
    if (other == RECORDING_NONE)
        buffer_printf(out, "(no scope)");
    else
        scope_put_name(r, &(struct scope_row){.site = other, .thread = RECORDING_NONE}, out);
    buffer_put_u8(out, '\n');
}

int scope_paths_write(const struct recording *r, const bool *threads, const struct scope_rows *rows, bool callees, struct buffer *out) {
    for (size_t i = 0; i < rows->items.count; i++) {
        const struct scope_row *row = &rows->items.items[i];
        struct edges edges = {0};
        if (r->sites.items[row->site].kind >= SITE_SPAN)
            continue;
        int error = collect_edges(r, threads, row->thread, rows->clock.ns_per_tick, &edges);
        buffer_printf(out, "\n");
        scope_put_name(r, row, out);
        buffer_printf(out, callees ? " entered:\n" : " was entered from:\n");
        buffer_printf(out, "%10s%10s%10s      %s\n", "Calls", "Total", "Self", callees ? "Callee" : "Caller");
        for (size_t k = 0; error == 0 && k < edges.items.count; k++) {
            const struct edge *edge = &edges.items.items[k];
            if ((callees ? edge->from : edge->to) == row->site)
                put_edge(r, edge, callees ? edge->to : edge->from, out);
        }
        vec_free(&edges.items);
        map_free(&edges.index);
        if (error < 0)
            return error;
    }
    return 0;
}

void scope_slowest_write(const struct recording *r, const struct scope_rows *rows, uint64_t start, struct buffer *out) {
    for (size_t i = 0; i < rows->items.count; i++) {
        const struct scope_row *row = &rows->items.items[i];
        if (r->sites.items[row->site].kind == SITE_VALUE || !(row->slowest[0].ns > 0))
            continue;
        buffer_printf(out, "\n");
        scope_put_name(r, row, out);
        buffer_printf(out, ", slowest:\n%10s  %14s  %s\n", "Time", "Begun at", "Thread");
        for (size_t k = 0; k < RECORDING_SLOWEST && row->slowest[k].ns > 0; k++) {
            scope_put_time(out, 10, row->slowest[k].ns);
            buffer_printf(out, "  %12.6f s  %u\n", (double)(int64_t)(row->slowest[k].begin - start) * 1e-9,
                          r->threads.items[row->slowest[k].thread].tid);
        }
    }
}
