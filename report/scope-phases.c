/* SPDX-License-Identifier: MIT */
#include "report/scope-phases.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "recording/recording.h"

struct moment {
    uint32_t thread;
    uint64_t time;
};

typedef VEC(struct moment) moments;

static int compare_moments(const void *left, const void *right) {
    const struct moment *a = left, *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return a->time < b->time ? -1 : a->time > b->time;
}

static int compare_hits(const void *left, const void *right) {
    const struct scope_hit *a = left, *b = right;
    if (a->site != b->site)
        return a->site < b->site ? -1 : 1;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static int collect_moments(const struct recording *r, uint32_t event, moments *ret) {
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    int error = 0;
    while (error == 0 && recording_next(r, &cursor, &sample)) {
        struct moment *moment = sample.event == event ? vec_push(ret) : NULL;
        if (moment)
            *moment = (struct moment){r->tasks.items[sample.task].thread, sample.time};
        else if (sample.event == event)
            error = -ENOMEM;
    }
    recording_cursor_free(&cursor);
    if (ret->count)
        qsort(ret->items, ret->count, sizeof *ret->items, compare_moments);
    return error;
}

/* How many of the moments come before this one. */
static size_t before(const moments *all, const struct moment *moment) {
    size_t low = 0, high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_moments(&all->items[middle], moment) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int collect_hits(const struct recording *r, const moments *all, struct scope_phases *ret) {
    for (size_t i = 0; i < r->instances.count; i++) {
        const struct recording_instance *instance = &r->instances.items[i];
        if (instance->off_cpu || instance->end <= instance->begin)
            continue;
        size_t first = before(all, &(struct moment){instance->thread, instance->begin});
        size_t end = before(all, &(struct moment){instance->thread, instance->end});
        struct scope_hit *hit = first < end ? vec_push(&ret->hits) : NULL;
        if (hit)
            *hit = (struct scope_hit){.site = instance->site,
                                      .thread = instance->thread,
                                      .begin = instance->begin,
                                      .elapsed = (double)(all->items[first].time - instance->begin),
                                      .length = (double)(instance->end - instance->begin),
                                      .samples = end - first};
        else if (first < end)
            return -ENOMEM;
    }
    if (ret->hits.count)
        qsort(ret->hits.items, ret->hits.count, sizeof *ret->hits.items, compare_hits);
    return 0;
}

int scope_phases_collect(const struct recording *r, uint32_t event, struct scope_phases *ret) {
    moments all = {0};
    struct scope_phases phases = {0};
    int error = r->instances.count ? collect_moments(r, event, &all) : 0;
    if (error == 0)
        error = collect_hits(r, &all, &phases);
    vec_free(&all);
    if (error < 0)
        scope_phases_free(&phases);
    else
        *ret = phases;
    return error;
}

void scope_phases_free(struct scope_phases *p) {
    vec_free(&p->hits);
}

/* Were the sampler's clock and the instance's the same, a sample would have come within a period: the machine stood still. */
static bool stood_still(const struct scope_hit *hit, double period, const struct scope_phase_slack *slack) {
    return hit->elapsed > period + slack->late;
}

/* An interrupt's own time lies in the instance that it hit, and no sample can fall in it. */
static struct stats_hit phase_of(const struct scope_hit *hit, double period, const struct scope_phase_slack *slack) {
    double least = fmax(hit->length - slack->interrupt * (double)hit->samples, 1);
    return (struct stats_hit){fmin(fmax((hit->elapsed - slack->late) / fmin(hit->length, period), 0), 1),
                              fmin((hit->elapsed + slack->early) / fmin(least, period), 1)};
}

size_t scope_phases_of(const struct scope_phases *p, const bool *threads, uint32_t thread, uint32_t site, double period,
                       const struct scope_phase_slack *slack, struct stats_hit *ret) {
    size_t count = 0;
    for (size_t i = 0; i < p->hits.count; i++) {
        const struct scope_hit *hit = &p->hits.items[i];
        if (hit->site == site && threads[hit->thread] && (thread == RECORDING_NONE || thread == hit->thread) &&
            !stood_still(hit, period, slack))
            ret[count++] = phase_of(hit, period, slack);
    }
    return count;
}
