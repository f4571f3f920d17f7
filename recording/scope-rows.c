/* SPDX-License-Identifier: MIT */
/* The adds of what scopes measured. scope-tables.c reads what is written here. */
#include "recording/format.h"
#include "recording/writer.h"

uint32_t recording_add_site(struct recording_writer *w, const struct recording_site *site) {
    if (!writer_check(w, site->kind < SITE_KIND_COUNT && w->sites < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_SITES];
    buffer_put_u8(table, site->kind);
    buffer_put_uleb(table, writer_string(w, site->name));
    buffer_put_uleb(table, writer_string(w, site->function));
    buffer_put_uleb(table, writer_string(w, site->file));
    buffer_put_uleb(table, site->line);
    w->sites++;
    writer_grew(w, table);
    return w->sites - 1;
}

uint32_t recording_add_scope_node(struct recording_writer *w, const struct recording_scope_node *node) {
    if (!writer_check(w, (node->parent == RECORDING_NONE || node->parent < w->scope_nodes) && node->site < w->sites &&
                             w->scope_nodes < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_SCOPE_NODES];
    buffer_put_uleb(table, (uint32_t)(node->parent + 1));
    buffer_put_uleb(table, node->site);
    w->scope_nodes++;
    writer_grew(w, table);
    return w->scope_nodes - 1;
}

/* Differences between the buckets' numbers: small, for neighbours are. */
static void put_buckets(struct buffer *table, const struct recording_bucket *buckets, uint32_t count) {
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_uleb(table, buckets[i].bucket - next);
        buffer_put_uleb(table, buckets[i].count);
        next = buckets[i].bucket + 1;
    }
}

static bool buckets_are_sound(const struct recording_bucket *buckets, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (buckets[i].bucket >= LOGLINEAR_BUCKETS || (i && buckets[i].bucket <= buckets[i - 1].bucket))
            return false;
    return true;
}

void recording_add_scope(struct recording_writer *w, const struct recording_scope *scope) {
    if (!writer_check(w, scope->thread < w->threads && scope->site < w->sites && buckets_are_sound(scope->buckets, scope->bucket_count) &&
                             buckets_are_sound(scope->elapsed, scope->elapsed_count)))
        return;
    uint32_t slowest = 0;
    while (slowest < RECORDING_SLOWEST && scope->slowest[slowest].ticks)
        slowest++;
    struct buffer *table = &w->tables[TABLE_SCOPES];
    const uint64_t numbers[] = {scope->thread,
                                scope->site,
                                scope->count,
                                scope->primitive,
                                scope->total,
                                scope->self,
                                scope->sum,
                                scope->min,
                                scope->max,
                                scope->variance,
                                scope->off_cpu,
                                scope->unwound,
                                scope->unfinished,
                                scope->unfinished_samples,
                                slowest,
                                scope->bucket_count,
                                scope->elapsed_count};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buffer_put_uleb(table, numbers[i]);
    for (uint32_t i = 0; i < slowest; i++) {
        buffer_put_uleb(table, scope->slowest[i].begin);
        buffer_put_uleb(table, scope->slowest[i].ticks);
    }
    put_buckets(table, scope->buckets, scope->bucket_count);
    put_buckets(table, scope->elapsed, scope->elapsed_count);
    writer_grew(w, table);
}

void recording_add_scope_path(struct recording_writer *w, const struct recording_scope_path *path) {
    if (!writer_check(w, path->thread < w->threads && path->node < w->scope_nodes))
        return;
    struct buffer *table = &w->tables[TABLE_SCOPE_PATHS];
    const uint64_t numbers[] = {path->thread, path->node, path->count, path->recursed, path->total, path->self};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buffer_put_uleb(table, numbers[i]);
    writer_grew(w, table);
}

void recording_add_instance(struct recording_writer *w, const struct recording_instance *instance) {
    if (!writer_check(w, instance->thread < w->threads && instance->site < w->sites && instance->end >= instance->begin))
        return;
    struct buffer *table = &w->tables[TABLE_INSTANCES];
    const uint64_t numbers[] = {instance->thread, instance->site, instance->begin, instance->end - instance->begin, instance->off_cpu};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buffer_put_uleb(table, numbers[i]);
    writer_grew(w, table);
}
