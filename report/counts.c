/* SPDX-License-Identifier: MIT */
#include "report/counts.h"

#include <errno.h>

#include "base/macros.h"
#include "base/map.h"

/*
 * Samples are counted in bunches: where each of them goes is asked of the memory for all of a bunch before the first is counted, for with
 * many stacks nearly every sample misses the caches twice.
 */
enum { PENDING_MAX = 64 };

struct pending {
    uint32_t group, node;
    uint64_t weight;
};

/*
 * The entry that each node had last is tried first. Most nodes are of one group only, and need no more; those of several groups have their
 * entries in a map too, by key = group << 32 | node, for a map of many stacks costs a cache miss or two.
 */
struct collector {
    struct counts counts;
    struct map index;
    uint32_t *last; /* by node: entry + 1; 0: none yet */
    struct pending pending[PENDING_MAX];
    size_t pending_count;
};

static struct counts_entry *add_entry(struct collector *c, uint32_t group, uint32_t node) {
    struct counts_entry *entry = vec_push(&c->counts.entries);
    if (!entry)
        return NULL;
    entry->group = group;
    entry->node = node;
    c->last[node] = (uint32_t)c->counts.entries.count;
    return entry;
}

/* Entry + 1 of a node of several groups; 0: not there yet. */
static uint64_t *find_indexed(struct collector *c, uint32_t group, uint32_t node) {
    bool is_new;
    return map_put(&c->index, (uint64_t)group << 32 | node, &is_new);
}

static struct counts_entry *find_entry(struct collector *c, uint32_t group, uint32_t node) {
    if (unlikely(!c->last[node]))
        return add_entry(c, group, node);
    struct counts_entry *last = &c->counts.entries.items[c->last[node] - 1];
    if (likely(last->group == group))
        return last;
    uint64_t *at = find_indexed(c, last->group, node); /* the node's first entry is not there before its second */
    if (!at)
        return NULL;
    *at = c->last[node];
    at = find_indexed(c, group, node);
    if (!at)
        return NULL;
    if (!*at) {
        if (!add_entry(c, group, node))
            return NULL;
        *at = c->counts.entries.count;
    }
    c->last[node] = (uint32_t)*at;
    return &c->counts.entries.items[*at - 1];
}

static int count_pending(struct collector *c) {
    for (size_t i = 0; i < c->pending_count; i++) {
        uint32_t last = c->last[c->pending[i].node];
        if (likely(last))
            __builtin_prefetch(&c->counts.entries.items[last - 1], 1);
    }
    for (size_t i = 0; i < c->pending_count; i++) {
        const struct pending *p = &c->pending[i];
        struct counts_entry *entry = find_entry(c, p->group, p->node);
        if (unlikely(!entry))
            return -ENOMEM;
        entry->samples++;
        entry->weight += p->weight;
    }
    c->pending_count = 0;
    return 0;
}

static int collect_samples(struct collector *c, const struct recording *r, const struct filter *filter, const struct groups *groups) {
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    int error = 0;
    while (error == 0 && recording_next(r, &cursor, &sample)) {
        if (sample.event != filter->event)
            continue;
        uint32_t thread = r->tasks.items[sample.task].thread, group = groups->of_task[sample.task];
        c->counts.thread_samples[thread]++;
        c->counts.thread_weight[thread] += sample.weight[0];
        if (group == RECORDING_NONE || !filter_time(filter, thread, sample.time))
            continue;
        __builtin_prefetch(&c->last[sample.node]);
        c->pending[c->pending_count++] = (struct pending){group, sample.node, sample.weight[0]};
        if (c->pending_count == PENDING_MAX)
            error = count_pending(c);
    }
    recording_cursor_free(&cursor);
    return error < 0 ? error : count_pending(c);
}

static void sum_up(struct counts *c, const struct recording *r, const struct filter *filter) {
    for (size_t i = 0; i < r->threads.count; i++) {
        c->event_samples += c->thread_samples[i];
        c->event_weight += c->thread_weight[i];
    }
    size_t kept = 0;
    for (size_t i = 0; i < c->entries.count; i++) {
        struct counts_entry entry = c->entries.items[i];
        if (!filter_node(filter, r, entry.node))
            continue;
        c->samples += entry.samples;
        c->weight += entry.weight;
        c->entries.items[kept++] = entry;
    }
    c->entries.count = kept;
}

int counts_collect(const struct recording *r, const struct filter *filter, const struct groups *groups, struct counts *ret) {
    struct collector c = {.last = calloc(r->nodes.count + 1, sizeof *c.last)};
    c.counts.thread_samples = calloc(r->threads.count + 1, sizeof *c.counts.thread_samples);
    c.counts.thread_weight = calloc(r->threads.count + 1, sizeof *c.counts.thread_weight);
    int error = c.last && c.counts.thread_samples && c.counts.thread_weight ? collect_samples(&c, r, filter, groups) : -ENOMEM;
    map_free(&c.index);
    free(c.last);
    if (error < 0)
        counts_free(&c.counts);
    else {
        sum_up(&c.counts, r, filter);
        *ret = c.counts;
    }
    return error;
}

void counts_free(struct counts *c) {
    vec_free(&c->entries);
    free(c->thread_samples);
    free(c->thread_weight);
    *c = (struct counts){0};
}
