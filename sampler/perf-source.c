/* SPDX-License-Identifier: MIT */
#include "sampler/perf-source.h"

static struct perf_source *of(struct raw_source *base) {
    return (struct perf_source *)(void *)((char *)base - offsetof(struct perf_source, base));
}

static void source_refresh(struct raw_source *base) {
    perf_ring_refresh(&of(base)->ring);
}

/* What the recorder itself keeps count of; the pipeline hears it too. */
static void hear(struct perf_source *source) {
    const struct raw_event *event = &source->event;
    if (event->type == RAW_LOSS && event->loss.kind == RAW_LOSS_SAMPLES)
        source->lost += event->loss.count;
    if (!source->exact)
        return;
    if (event->type == RAW_TASK)
        exact_cpu_hear(source->exact, &event->task, event->time);
    else if (event->type == RAW_LOSS)
        source->exact->is_unsure = true;
}

/* The next record that says something, decoded; false at the head. */
static bool find_event(struct perf_source *source) {
    for (;;) {
        size_t length;
        bool is_broken;
        uint64_t start = source->ring.at;
        const uint8_t *record = perf_ring_next(&source->ring, &length, &is_broken);
        if (!record && !is_broken)
            return false;
        enum perf_verdict verdict = PERF_RECORD_IS_MALFORMED;
        if (record)
            verdict = perf_record_decode(&source->layout, record, length, &source->event);
        else
            source->event = (struct raw_event){.type = RAW_LOSS, .loss = {.kind = RAW_LOSS_MALFORMED, .count = 1}};
        if (verdict == PERF_RECORD_IS_NOTHING)
            continue;
        hear(source);
        if (source->event.type == RAW_TASK && source->event.task.change == RAW_TASK_CPU && source->event.task.cpu_time == 0)
            continue; /* on this CPU the thread never ran */
        if (verdict == PERF_RECORD_IS_MALFORMED)
            source->event.time = source->last_time;
        source->last_time = source->event.time;
        source->event_start = start;
        return true;
    }
}

static bool source_peek(struct raw_source *base, uint64_t *ret_time) {
    struct perf_source *source = of(base);
    if (!source->has_event)
        source->has_event = find_event(source);
    if (source->has_event)
        *ret_time = source->event.time;
    return source->has_event;
}

static void source_next(struct raw_source *base, struct raw_event *ret) {
    struct perf_source *source = of(base);
    *ret = source->event;
    source->has_event = false;
}

static void source_release(struct raw_source *base) {
    struct perf_source *source = of(base);
    perf_ring_release(&source->ring, source->has_event ? source->event_start : source->ring.at);
}

void perf_source_init(struct perf_source *source, const struct perf_layout *layout, struct exact_cpu *exact) {
    source->base = (struct raw_source){source_refresh, source_peek, source_next, source_release};
    source->layout = *layout;
    source->exact = exact;
}

bool perf_source_has_more(struct perf_source *source) {
    uint64_t time;
    return source_peek(&source->base, &time);
}
