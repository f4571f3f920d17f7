/* SPDX-License-Identifier: MIT */
#include "recording/scope-tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recording/table-rows.h"

/* ---- rows ------------------------------------------------------------------------------------------------------------------------ */

const char *scope_tables_sites(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_site site = {.kind = bytes_u8(b)};
        site.name = read_string(r->store, b);
        site.function = read_string(r->store, b);
        site.file = read_string(r->store, b);
        site.line = read_u32(b);
        if (b->failed || site.kind >= SITE_KIND_COUNT)
            return "a site is cut off, of unknown kind or names no string";
        *ROW(&r->sites) = site;
    }
    return NULL;
}

const char *scope_tables_nodes(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_scope_node node = {.parent = (uint32_t)read_below(b, r->scope_nodes.count + 1) - 1};
        node.site = (uint32_t)read_below(b, r->sites.count);
        if (b->failed)
            return "a path of scopes is cut off, names no site, or its parent does not come before it";
        *ROW(&r->scope_nodes) = node;
    }
    return NULL;
}

/* `count` buckets; NULL and the cursor failed, or out of memory. */
static const struct recording_bucket *read_buckets(struct recording_store *s, struct bytes *b, uint64_t count) {
    if (b->failed || count > LOGLINEAR_BUCKETS || count > bytes_left(b)) {
        bytes_fail(b);
        return NULL;
    }
    struct recording_bucket *buckets = store_allocate(s, count * sizeof *buckets);
    uint64_t next = 0;
    for (uint64_t i = 0; buckets && i < count; i++) {
        next += read_below(b, LOGLINEAR_BUCKETS);
        buckets[i] = (struct recording_bucket){.bucket = (uint32_t)next, .count = bytes_uleb(b)};
        if (next++ >= LOGLINEAR_BUCKETS)
            bytes_fail(b);
    }
    return buckets;
}

static void read_slowest(struct bytes *b, uint64_t count, struct recording_scope *scope) {
    for (uint64_t i = 0; i < count && !b->failed; i++) {
        scope->slowest[i].begin = bytes_uleb(b);
        scope->slowest[i].ticks = bytes_uleb(b);
    }
}

const char *scope_tables_scopes(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_scope scope = {.thread = (uint32_t)read_below(b, r->threads.count)};
        scope.site = (uint32_t)read_below(b, r->sites.count);
        scope.count = bytes_uleb(b);
        scope.primitive = bytes_uleb(b);
        scope.total = bytes_uleb(b);
        scope.self = bytes_uleb(b);
        scope.sum = bytes_uleb(b);
        scope.min = bytes_uleb(b);
        scope.max = bytes_uleb(b);
        scope.variance = bytes_uleb(b);
        scope.off_cpu = bytes_uleb(b);
        scope.unwound = bytes_uleb(b);
        scope.unfinished = bytes_uleb(b);
        scope.unfinished_samples = bytes_uleb(b);
        uint64_t slowest = read_below(b, RECORDING_SLOWEST + 1), buckets = bytes_uleb(b), elapsed = bytes_uleb(b);
        read_slowest(b, slowest, &scope);
        scope.buckets = read_buckets(r->store, b, buckets);
        scope.elapsed = b->failed ? NULL : read_buckets(r->store, b, elapsed);
        if (b->failed)
            return "a scope is cut off, names no thread or site, or has buckets that do not exist";
        if (!scope.buckets || !scope.elapsed)
            return rows_out_of_memory;
        scope.bucket_count = (uint32_t)buckets;
        scope.elapsed_count = (uint32_t)elapsed;
        *ROW(&r->scopes) = scope;
    }
    return NULL;
}

const char *scope_tables_paths(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_scope_path path = {.thread = (uint32_t)read_below(b, r->threads.count)};
        path.node = (uint32_t)read_below(b, r->scope_nodes.count);
        path.count = bytes_uleb(b);
        path.recursed = bytes_uleb(b);
        path.total = bytes_uleb(b);
        path.self = bytes_uleb(b);
        if (b->failed)
            return "a path's figures are cut off or name no thread or path";
        *ROW(&r->scope_paths) = path;
    }
    return NULL;
}

const char *scope_tables_instances(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_instance instance = {.thread = (uint32_t)read_below(b, r->threads.count)};
        instance.site = (uint32_t)read_below(b, r->sites.count);
        instance.begin = bytes_uleb(b);
        uint64_t length = bytes_uleb(b);
        instance.end = instance.begin + length;
        instance.off_cpu = bytes_uleb(b);
        if (b->failed || instance.end < instance.begin)
            return "an instance is cut off, names no thread or site, or ends before it begins";
        *ROW(&r->instances) = instance;
    }
    return NULL;
}

/* ---- adding up ------------------------------------------------------------------------------------------------------------------- */

static int compare_scopes(const void *a, const void *b) {
    const struct recording_scope *x = a, *y = b;
    if (x->thread != y->thread)
        return x->thread < y->thread ? -1 : 1;
    return x->site < y->site ? -1 : x->site > y->site;
}

static int compare_paths(const void *a, const void *b) {
    const struct recording_scope_path *x = a, *y = b;
    if (x->thread != y->thread)
        return x->thread < y->thread ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static void add_buckets(uint64_t sums[LOGLINEAR_BUCKETS], const struct recording_bucket *buckets, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        sums[buckets[i].bucket] += buckets[i].count;
}

/* The sums that are not 0. NULL: out of memory. */
static const struct recording_bucket *keep_buckets(struct recording_store *s, const uint64_t sums[LOGLINEAR_BUCKETS], uint32_t *ret_count) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
        count += sums[i] != 0;
    struct recording_bucket *buckets = store_allocate(s, count * sizeof *buckets);
    if (!buckets)
        return NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
        if (sums[i])
            buckets[(*ret_count)++] = (struct recording_bucket){.bucket = i, .count = sums[i]};
    return buckets;
}

/* Into a list that is sorted, slowest first. The same instance may be told again. */
static void add_slowest(struct recording_scope *to, const struct recording_instance_brief *instance) {
    size_t at = RECORDING_SLOWEST;
    for (size_t i = 0; i < RECORDING_SLOWEST; i++)
        if (to->slowest[i].begin == instance->begin && to->slowest[i].ticks == instance->ticks)
            return;
    while (at > 0 && to->slowest[at - 1].ticks < instance->ticks)
        at--;
    if (at == RECORDING_SLOWEST)
        return;
    memmove(&to->slowest[at + 1], &to->slowest[at], (RECORDING_SLOWEST - 1 - at) * sizeof *to->slowest);
    to->slowest[at] = *instance;
}

static void add_scope(struct recording_scope *to, const struct recording_scope *from) {
    if (from->count) {
        to->min = to->count ? MIN(to->min, from->min) : from->min;
        to->max = MAX(to->max, from->max);
    }
    to->count += from->count;
    to->primitive += from->primitive;
    to->total += from->total;
    to->self += from->self;
    to->sum += from->sum;
    to->variance += from->variance;
    to->off_cpu += from->off_cpu;
    to->unwound += from->unwound;
    to->unfinished += from->unfinished;
    to->unfinished_samples += from->unfinished_samples;
    for (size_t i = 0; i < RECORDING_SLOWEST && from->slowest[i].ticks; i++)
        add_slowest(to, &from->slowest[i]);
}

/* Rows `first` to `end` are of one thread and site. */
static int merge_scopes(struct recording *r, size_t first, size_t end, struct recording_scope *ret) {
    uint64_t buckets[LOGLINEAR_BUCKETS] = {0}, elapsed[LOGLINEAR_BUCKETS] = {0};
    struct recording_scope sum = {.thread = r->scopes.items[first].thread, .site = r->scopes.items[first].site};
    for (size_t i = first; i < end; i++) {
        const struct recording_scope *row = &r->scopes.items[i];
        add_scope(&sum, row);
        add_buckets(buckets, row->buckets, row->bucket_count);
        add_buckets(elapsed, row->elapsed, row->elapsed_count);
    }
    sum.buckets = keep_buckets(r->store, buckets, &sum.bucket_count);
    sum.elapsed = keep_buckets(r->store, elapsed, &sum.elapsed_count);
    if (!sum.buckets || !sum.elapsed)
        return -ENOMEM;
    *ret = sum;
    return 0;
}

static int merge_all_scopes(struct recording *r) {
    size_t count = 0;
    if (r->scopes.count)
        qsort(r->scopes.items, r->scopes.count, sizeof *r->scopes.items, compare_scopes);
    for (size_t i = 0, end; i < r->scopes.count; i = end) {
        for (end = i + 1; end < r->scopes.count && !compare_scopes(&r->scopes.items[i], &r->scopes.items[end]);)
            end++;
        int error = merge_scopes(r, i, end, &r->scopes.items[count++]);
        if (error)
            return error;
    }
    r->scopes.count = count;
    return 0;
}

static void merge_all_paths(struct recording *r) {
    size_t count = 0;
    if (r->scope_paths.count)
        qsort(r->scope_paths.items, r->scope_paths.count, sizeof *r->scope_paths.items, compare_paths);
    for (size_t i = 0; i < r->scope_paths.count; i++) {
        const struct recording_scope_path *from = &r->scope_paths.items[i];
        struct recording_scope_path *to = &r->scope_paths.items[count ? count - 1 : 0];
        if (!count || compare_paths(to, from) != 0) {
            r->scope_paths.items[count++] = *from;
            continue;
        }
        to->count += from->count;
        to->recursed += from->recursed;
        to->total += from->total;
        to->self += from->self;
    }
    r->scope_paths.count = count;
}

int scope_tables_merge(struct recording *r) {
    merge_all_paths(r);
    return merge_all_scopes(r);
}
