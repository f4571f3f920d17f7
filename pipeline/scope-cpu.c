/* SPDX-License-Identifier: MIT */
/*
 * When a thread was not on a CPU, from the kernel's context switches; and the instances that the process tells one by one: what of them was
 * off a CPU, and which of them held samples.
 *
 * The gaps of a life are sorted, and each knows the sum of those before it, so that the time off a CPU within any interval is two binary
 * searches. They are kept as long as an instance may be open that began before them: in the end all of them, 24 bytes each. Past GAPS_MAX
 * neighbours are put together, which moves time off a CPU by less than the distance between them.
 */
#include <string.h>

#include "pipeline/private.h"

enum { GAPS_MAX = 1 << 18 };

static void join_gaps(struct scope_life *life) {
    size_t count = 0;
    for (size_t i = 0; i + 1 < life->gaps.count; i += 2) {
        const struct scope_gap *a = &life->gaps.items[i], *b = &life->gaps.items[i + 1];
        uint64_t length = a->to - a->from + (b->to - b->from);
        life->gaps.items[count++] = (struct scope_gap){.from = b->to - length, .to = b->to, .before = a->before};
    }
    life->gaps.count = count;
}

void scope_switch(struct pipeline *p, uint64_t time, const struct raw_switch *switched) {
    const struct scope_memory *m = pipeline_scopes_memory(&p->scopes, switched->pid, time);
    struct scope_life *life = m ? scope_life_of(m, switched->tid) : NULL;
    if (!life)
        return;
    if (switched->is_out) {
        life->out_since = time;
        return;
    }
    if (!life->out_since || time <= life->out_since)
        return;
    if (life->gaps.count >= GAPS_MAX)
        join_gaps(life);
    const struct scope_gap *last = life->gaps.count ? &life->gaps.items[life->gaps.count - 1] : NULL;
    uint64_t before = last ? last->before + (last->to - last->from) : 0;
    struct scope_gap *gap = vec_push(&life->gaps);
    if (gap)
        *gap = (struct scope_gap){.from = life->out_since, .to = time, .before = before};
    life->out_since = 0;
}

/* ns off a CPU before `time`. */
static uint64_t off_before(const struct scope_life *life, uint64_t time) {
    size_t low = 0, high = life->gaps.count;
    while (low < high) { /* gaps [0..low) begin before `time` */
        size_t middle = low + (high - low) / 2;
        if (life->gaps.items[middle].from < time)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return 0;
    const struct scope_gap *gap = &life->gaps.items[low - 1];
    return gap->before + (MIN(time, gap->to) - gap->from);
}

uint64_t scope_off_cpu(const struct scope_life *life, uint64_t from, uint64_t to) {
    return to > from ? off_before(life, to) - off_before(life, from) : 0;
}

/* f(1-f) in 2^-30; the process's own arithmetic (scope/scope.h). */
static uint64_t variance_of(uint64_t ticks, uint64_t inverse_period) {
    uint64_t fraction = (ticks * inverse_period) >> 34; /* 30 bits */
    return fraction * ((UINT64_C(1) << 30) - fraction) >> 30;
}

/* Was a sample taken in [from, to)? Those remembered are the last ones, and events come soon after their end. */
static bool has_sample(const struct scope_life *life, uint64_t from, uint64_t to) {
    uint32_t known = MIN(life->sample_count, (uint32_t)SCOPE_SAMPLES_REMEMBERED);
    for (uint32_t i = 1; i <= known; i++) {
        uint64_t time = life->samples[(life->sample_count - i) % SCOPE_SAMPLES_REMEMBERED];
        if (time < to)
            return time >= from;
    }
    return known == SCOPE_SAMPLES_REMEMBERED; /* so many since: it is said rather once too often */
}

static void take_instance(struct pipeline *p, struct scope_memory *m, struct scope_life *life, const struct scope_event *event,
                          uint64_t from, uint64_t to) {
    uint32_t site = scope_site_row(p, m, event->site);
    struct scope_measure *measure = site == RECORDING_NONE ? NULL : scope_measure_of(life, event->site);
    if (!measure)
        return;
    uint64_t off = scope_off_cpu(life, from, to);
    if (off) {
        uint64_t ticks = event->end - event->begin, off_ticks = (uint64_t)((double)off / p->scopes.line.ns_per_tick);
        measure->off_cpu += off;
        measure->variance += (int64_t)variance_of(ticks - MIN(ticks, off_ticks), p->scopes.inverse_period) -
                             (int64_t)variance_of(ticks, p->scopes.inverse_period);
    }
    if (measure->hit_begin == event->begin)
        scope_hit_over(measure);
    if (has_sample(life, from, to))
        recording_add_instance(
            p->writer, &(struct recording_instance){.thread = life->thread, .site = site, .begin = from, .end = to, .off_cpu = off});
}

void scope_take_events(struct pipeline *p, struct scope_memory *m, struct scope_life *life, struct scope_block *block, uint64_t until) {
    enum { PIECE = 256 };
    struct scope_event events[PIECE];
    uint64_t start = block->tail;
    if (block->head - block->tail > SCOPE_EVENTS)
        block->tail = block->head; /* nonsense */
    for (uint32_t count; (count = scope_read_events(m, life->position, block->tail, block->head, events, PIECE)) > 0;) {
        uint32_t taken = 0;
        for (; taken < count; taken++) {
            const struct scope_event *event = &events[taken];
            uint64_t from = scope_line_ns(&p->scopes.line, event->begin), to = scope_line_ns(&p->scopes.line, event->end);
            if (to >= until && event->number == block->tail + taken + 1)
                break;
            if (event->number != block->tail + taken + 1) /* a signal handler jumped out of its writing */
                p->scopes.counts.events_lost++;
            else if (event->end >= event->begin && to >= from)
                take_instance(p, m, life, event, from, to);
        }
        block->tail += taken;
        if (taken < count)
            break;
    }
    if (block->tail != start)
        scope_set_tail(m, life->position, block->tail);
}
