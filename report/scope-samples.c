/* SPDX-License-Identifier: MIT */
#include "report/scope-samples.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"

/* ---- windows --------------------------------------------------------------------------------------------------------------------- */

static int compare_windows(const void *left, const void *right) {
    const struct scope_window *a = left, *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

void scope_windows_join(scope_windows *windows) {
    size_t count = 0;
    if (windows->count)
        qsort(windows->items, windows->count, sizeof *windows->items, compare_windows);
    for (size_t i = 0; i < windows->count; i++) {
        struct scope_window *last = count ? &windows->items[count - 1] : NULL, *next = &windows->items[i];
        if (last && last->thread == next->thread && next->begin <= last->end)
            last->end = MAX(last->end, next->end);
        else
            windows->items[count++] = *next;
    }
    windows->count = count;
}

bool scope_windows_hold(const scope_windows *windows, uint32_t thread, uint64_t time) {
    size_t low = 0, high = windows->count;
    while (low < high) { /* windows [0..low) begin at or before the moment */
        size_t middle = low + (high - low) / 2;
        const struct scope_window *w = &windows->items[middle];
        if (w->thread < thread || (w->thread == thread && w->begin <= time))
            low = middle + 1;
        else
            high = middle;
    }
    return low && windows->items[low - 1].thread == thread && time < windows->items[low - 1].end;
}

/* ---- counting -------------------------------------------------------------------------------------------------------------------- */

struct span_site {
    uint32_t site;
    scope_windows windows;
};

struct collector {
    const struct recording *recording;
    struct scope_samples *samples;
    struct map nodes; /* thread << 32 | node -> samples */
    VEC(struct span_site) spans;
    VEC(uint32_t) seen; /* sites on the stack at hand */
};

static int add(struct map *map, uint32_t thread, uint32_t what, uint64_t count) {
    bool is_new;
    uint64_t *at = map_put(map, (uint64_t)thread << 32 | what, &is_new);
    if (at)
        *at += count;
    return at ? 0 : -ENOMEM;
}

static int collect_spans(struct collector *c) {
    const struct recording *r = c->recording;
    for (uint32_t site = 0; site < r->sites.count; site++) {
        if (r->sites.items[site].kind != SITE_SPAN)
            continue;
        struct span_site *span = vec_push(&c->spans);
        if (!span)
            return -ENOMEM;
        span->site = site;
        for (size_t i = 0; i < r->instances.count; i++) {
            const struct recording_instance *instance = &r->instances.items[i];
            struct scope_window *window = instance->site == site ? vec_push(&span->windows) : NULL;
            if (window)
                *window = (struct scope_window){instance->thread, instance->begin, instance->end};
            else if (instance->site == site)
                return -ENOMEM;
        }
        scope_windows_join(&span->windows);
    }
    return 0;
}

/* Where each period has one sample at a moment drawn within it, two with nothing but one left out between them are three periods apart. */
static uint64_t late_part(const struct recording_sample *sample, uint64_t period) {
    return sample->weight[0] > 3 * period ? sample->weight[0] - 3 * period : 0;
}

static int read_samples(struct collector *c, uint32_t event) {
    const struct recording *r = c->recording;
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    int error = 0;
    while (error == 0 && recording_next(r, &cursor, &sample)) {
        if (sample.event != event)
            continue;
        uint32_t thread = r->tasks.items[sample.task].thread;
        c->samples->threads[thread]++;
        c->samples->weights[thread] += sample.weight[0];
        c->samples->late += late_part(&sample, r->events.items[event].period);
        error = add(&c->nodes, thread, sample.node, 1);
        for (size_t i = 0; error == 0 && i < c->spans.count; i++)
            if (scope_windows_hold(&c->spans.items[i].windows, thread, sample.time))
                error = add(&c->samples->counts, thread, c->spans.items[i].site, 1);
    }
    recording_cursor_free(&cursor);
    return error;
}

static bool was_seen(struct collector *c, uint32_t site) {
    for (size_t i = 0; i < c->seen.count; i++)
        if (c->seen.items[i] == site)
            return true;
    uint32_t *new = vec_push(&c->seen);
    if (new)
        *new = site;
    return false;
}

/* Counts `count` samples for each site on the way from `node` to its root. */
static int add_stack(struct collector *c, uint32_t thread, uint32_t node, uint64_t count) {
    const struct recording *r = c->recording;
    vec_clear(&c->seen);
    for (; node >= STACK_END_COUNT; node = r->nodes.items[node].parent) {
        const struct recording_frame *frame = &r->frames.items[r->nodes.items[node].frame];
        if (frame->kind == FRAME_SCOPE && !was_seen(c, (uint32_t)frame->address) &&
            add(&c->samples->counts, thread, (uint32_t)frame->address, count) < 0)
            return -ENOMEM;
    }
    if (!c->seen.count && node != STACK_COMPLETE)
        c->samples->rootless[thread] += count;
    return 0;
}

static int collect(struct collector *c, uint32_t event) {
    int error = collect_spans(c);
    if (error == 0)
        error = read_samples(c, event);
    for (size_t i = map_next(&c->nodes, 0); error == 0 && i < c->nodes.capacity; i = map_next(&c->nodes, i + 1))
        error = add_stack(c, (uint32_t)(c->nodes.slots[i].key >> 32), (uint32_t)c->nodes.slots[i].key, c->nodes.slots[i].value);
    return error;
}

int scope_samples_collect(const struct recording *r, uint32_t event, struct scope_samples *ret) {
    struct scope_samples s = {0};
    struct collector c = {.recording = r, .samples = &s};
    s.threads = calloc(r->threads.count + 1, sizeof *s.threads);
    s.weights = calloc(r->threads.count + 1, sizeof *s.weights);
    s.rootless = calloc(r->threads.count + 1, sizeof *s.rootless);
    int error = s.threads && s.weights && s.rootless ? collect(&c, event) : -ENOMEM;
    for (size_t i = 0; i < c.spans.count; i++)
        vec_free(&c.spans.items[i].windows);
    vec_free(&c.spans);
    vec_free(&c.seen);
    map_free(&c.nodes);
    if (error < 0)
        scope_samples_free(&s);
    else
        *ret = s;
    return error;
}

void scope_samples_free(struct scope_samples *s) {
    map_free(&s->counts);
    free(s->threads);
    free(s->weights);
    free(s->rootless);
    *s = (struct scope_samples){0};
}

uint64_t scope_samples_of(const struct scope_samples *s, const bool *threads, uint32_t thread, uint32_t site) {
    uint64_t sum = 0;
    if (thread != RECORDING_NONE) {
        const uint64_t *at = map_find(&s->counts, (uint64_t)thread << 32 | site);
        return at ? *at : 0;
    }
    for (size_t i = map_next(&s->counts, 0); i < s->counts.capacity; i = map_next(&s->counts, i + 1))
        if ((uint32_t)s->counts.slots[i].key == site && threads[s->counts.slots[i].key >> 32])
            sum += s->counts.slots[i].value;
    return sum;
}
