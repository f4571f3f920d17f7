/* SPDX-License-Identifier: MIT */
/* What changed in a life since it was last written becomes rows that add up. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/private.h"

static struct scope_sums sums_of(const struct scope_record *record) {
    struct scope_sums sums = {.count = record->count,
                              .primitive = record->primitive,
                              .total = record->total,
                              .self = record->self,
                              .sum = record->sum,
                              .min = record->min,
                              .max = record->max,
                              .variance = record->variance,
                              .unwound = record->unwound};
    memcpy(sums.slowest, record->slowest, sizeof sums.slowest);
    return sums;
}

static int compare_slowest(const void *a, const void *b) {
    const struct recording_instance_brief *x = a, *y = b;
    return x->ticks < y->ticks ? 1 : x->ticks > y->ticks ? -1 : 0;
}

/* Those of `now` that were not written before, slowest first. */
static void new_slowest(const struct scope_sums *now, const struct scope_sums *before, struct recording_scope *row) {
    size_t count = 0;
    for (size_t i = 0; i < SCOPE_SLOWEST; i++) {
        const struct scope_instance *at = &now->slowest[i];
        bool is_known = !at->ticks;
        for (size_t k = 0; k < SCOPE_SLOWEST && !is_known; k++)
            is_known = before->slowest[k].begin == at->begin && before->slowest[k].ticks == at->ticks;
        if (!is_known)
            row->slowest[count++] = (struct recording_instance_brief){at->begin, at->ticks};
    }
    qsort(row->slowest, count, sizeof *row->slowest, compare_slowest);
}

/* The differences that are not 0; *written becomes *now. */
static uint32_t new_buckets(const uint64_t *now, uint64_t *written, struct recording_bucket *to) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++) {
        if (now[i] <= written[i]) /* less is nonsense */
            continue;
        to[count++] = (struct recording_bucket){.bucket = i, .count = now[i] - written[i]};
        written[i] = now[i];
    }
    return count;
}

static uint32_t take_elapsed(struct scope_measure *measure, struct recording_bucket *to) {
    uint32_t count = 0;
    for (uint32_t i = 0; measure->is_elapsed_new && i < LOGLINEAR_BUCKETS; i++)
        if (measure->elapsed[i])
            to[count++] = (struct recording_bucket){.bucket = i, .count = measure->elapsed[i]};
    if (count)
        memset(measure->elapsed, 0, LOGLINEAR_BUCKETS * sizeof *measure->elapsed);
    measure->is_elapsed_new = false;
    return count;
}

static void take_histogram(struct scope_memory *m, struct scope_measure *measure, struct recording_bucket *buckets, uint32_t *ret_count) {
    uint64_t now[LOGLINEAR_BUCKETS];
    if (!measure->buckets)
        measure->buckets = calloc(LOGLINEAR_BUCKETS, sizeof *measure->buckets);
    if (measure->buckets && scope_read_histogram(m, measure->position, now))
        *ret_count = new_buckets(now, measure->buckets, buckets);
}

void scope_hit_over(struct scope_measure *measure) {
    if (measure->hit_elapsed && measure->hit_samples) {
        for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
            measure->elapsed[i] += measure->hit_elapsed[i];
        memset(measure->hit_elapsed, 0, LOGLINEAR_BUCKETS * sizeof *measure->hit_elapsed);
        measure->is_elapsed_new = true;
    }
    measure->hit_begin = measure->hit_samples = 0;
}

/* Of a measure, as it is now. `record`: NULL if there is none yet. */
static void write_measure(struct pipeline *p, struct scope_memory *m, struct scope_life *life, struct scope_measure *measure,
                          const struct scope_record *record, bool is_last) {
    struct scope_sums now = record ? sums_of(record) : measure->written;
    measure->active = record ? record->active : 0;
    if (measure->hit_begin && !measure->active)
        scope_hit_over(measure);
    bool is_changed = now.count != measure->written.count || now.unwound != measure->written.unwound;
    bool is_unfinished = is_last && measure->active;
    if (!is_changed && !measure->is_elapsed_new && !measure->off_cpu && !measure->variance && !is_unfinished)
        return;
    uint32_t site = scope_site_row(p, m, measure->site);
    if (site == RECORDING_NONE)
        return;
    struct recording_bucket buckets[LOGLINEAR_BUCKETS], elapsed[LOGLINEAR_BUCKETS];
    const struct scope_sums *before = &measure->written;
    struct recording_scope row = {.thread = life->thread,
                                  .site = site,
                                  .count = now.count - before->count,
                                  .primitive = now.primitive - before->primitive,
                                  .total = now.total - before->total,
                                  .self = now.self - before->self,
                                  .sum = now.sum - before->sum,
                                  .min = now.min,
                                  .max = now.max,
                                  .variance = now.variance - before->variance + (uint64_t)measure->variance,
                                  .off_cpu = measure->off_cpu,
                                  .unwound = now.unwound - before->unwound,
                                  .unfinished = is_unfinished ? measure->active : 0,
                                  .unfinished_samples = is_unfinished ? measure->hit_samples : 0,
                                  .buckets = buckets,
                                  .elapsed = elapsed};
    new_slowest(&now, before, &row);
    if (is_changed)
        take_histogram(m, measure, buckets, &row.bucket_count);
    row.elapsed_count = take_elapsed(measure, elapsed);
    recording_add_scope(p->writer, &row);
    p->scopes.counts.unfinished += row.unfinished;
    measure->written = now;
    measure->off_cpu = 0;
    measure->variance = 0;
}

/* Records that are new since the last time stand in front of the chain. */
static void find_records(const struct scope_memory *m, struct scope_life *life, uint32_t position) {
    struct scope_record record;
    for (uint32_t most = SCOPE_SITES_MAX; position && most; most--, position = record.next) {
        if (!scope_read_record(m, position, &record) || record.site == 0 || record.site > SCOPE_SITES_MAX)
            return;
        struct scope_measure *measure = scope_measure_of(life, record.site);
        if (!measure || measure->position)
            return;
        measure->position = position;
    }
}

/* ---- paths ----------------------------------------------------------------------------------------------------------------------- */

static uint32_t path_row(struct pipeline *p, struct scope_memory *m, struct scope_life *life, uint32_t node) {
    struct scope_path *path = &life->paths.items[node];
    if (path->row != RECORDING_NONE || node == 0)
        return path->row;
    uint32_t parent = path->parent ? path_row(p, m, life, path->parent) : RECORDING_NONE; /* ids fall towards the root */
    uint32_t site = scope_site_row(p, m, path->site);
    if (site == RECORDING_NONE || (path->parent && parent == RECORDING_NONE))
        return RECORDING_NONE;
    bool is_new;
    uint64_t *known = map_put(&p->scopes.node_rows, (uint64_t)(uint32_t)(parent + 1) << 32 | site, &is_new);
    if (!known)
        return RECORDING_NONE;
    if (is_new)
        *known = recording_add_scope_node(p->writer, &(struct recording_scope_node){.parent = parent, .site = site});
    return path->row = (uint32_t)*known;
}

static void write_path(struct pipeline *p, struct scope_memory *m, struct scope_life *life, uint32_t node, const struct scope_node *now) {
    struct scope_path *path = &life->paths.items[node];
    uint32_t row = now->count != path->count ? path_row(p, m, life, node) : RECORDING_NONE;
    if (row == RECORDING_NONE)
        return;
    recording_add_scope_path(p->writer, &(struct recording_scope_path){.thread = life->thread,
                                                                       .node = row,
                                                                       .count = now->count - path->count,
                                                                       .recursed = now->recursed - path->recursed,
                                                                       .total = now->total - path->total,
                                                                       .self = now->self - path->self});
    path->count = now->count;
    path->recursed = now->recursed;
    path->total = now->total;
    path->self = now->self;
}

bool scope_learn_paths(const struct scope_memory *m, struct scope_life *life, uint32_t count) {
    enum { PIECE = 64 };
    struct scope_node nodes[PIECE];
    while (life->paths.count < count) {
        uint32_t first = (uint32_t)life->paths.count, piece = MIN(count - first, (uint32_t)PIECE);
        if (!scope_read_nodes(m, life->position, first, piece, nodes) || !vec_reserve(&life->paths, count))
            return false;
        for (uint32_t i = 0; i < piece; i++) {
            struct scope_path *path = vec_push(&life->paths);
            if (!path)
                return false;
            /* A parent is made before its child; anything else is nonsense, and has no parent. */
            *path = (struct scope_path){
                .parent = nodes[i].parent < first + i ? nodes[i].parent : 0, .site = nodes[i].site, .row = RECORDING_NONE};
        }
    }
    return true;
}

static void write_paths(struct pipeline *p, struct scope_memory *m, struct scope_life *life, uint32_t count) {
    enum { PIECE = 64 };
    struct scope_node nodes[PIECE];
    if (!scope_learn_paths(m, life, count))
        return;
    for (uint32_t first = 1; first < count; first += PIECE) {
        uint32_t piece = MIN(count - first, (uint32_t)PIECE);
        if (!scope_read_nodes(m, life->position, first, piece, nodes))
            return;
        for (uint32_t i = 0; i < piece; i++)
            write_path(p, m, life, first + i, &nodes[i]);
    }
}

/* ---- a life ---------------------------------------------------------------------------------------------------------------------- */

static void count_up(uint64_t *sum, uint64_t now, uint64_t *written) {
    if (now > *written)
        *sum += now - *written;
    *written = now;
}

static void count_losses(struct scope_counts *counts, struct scope_life *life, const struct scope_block *block) {
    count_up(&counts->unwound, block->unwound, &life->unwound);
    count_up(&counts->unbalanced, block->unbalanced, &life->unbalanced);
    count_up(&counts->spans_refused, block->spans_refused, &life->spans_refused);
    count_up(&counts->nodes_refused, block->nodes_refused, &life->nodes_refused);
    count_up(&counts->events_lost, block->lost, &life->events_lost);
    count_up(&counts->spans_lost, block->spans_lost, &life->spans_lost);
}

void scope_write_life(struct pipeline *p, struct scope_memory *m, struct scope_life *life, const struct scope_block *block, bool is_last) {
    struct scope_record record;
    count_losses(&p->scopes.counts, life, block);
    find_records(m, life, block->records);
    for (size_t i = 0; i < life->measures.count; i++) {
        struct scope_measure *measure = &life->measures.items[i];
        bool has_record = measure->position && scope_read_record(m, measure->position, &record) && record.site == measure->site;
        write_measure(p, m, life, measure, has_record ? &record : NULL, is_last);
    }
    write_paths(p, m, life, block->node_count);
}
