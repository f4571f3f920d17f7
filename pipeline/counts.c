/* SPDX-License-Identifier: MIT */
/* The names of the counters: one table, for the file and for whoever shows them. */
#include <stdio.h>

#include "pipeline/private.h"

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(name, field) \
    { name, offsetof(struct pipeline_counts, field) }
    COUNTER("samples", samples),
    COUNTER("weight", weight),
    COUNTER("samples lost", lost_samples),
    COUNTER("side-band records lost", lost_sideband),
    COUNTER("throttled", throttled),
    COUNTER("malformed", malformed),
    COUNTER("module not loaded in time", not_loaded),
    COUNTER("frames elided", elided_frames),
    COUNTER("stacks continued", continued_stacks),
    COUNTER("stacks amid a signal's delivery", mid_signal_stacks),
    COUNTER("user frames", frames),
    COUNTER("user frames unknown", unknown_frames),
    COUNTER("stacks complete and proved", complete_proved),
    COUNTER("processes re-read", reread_processes),
    COUNTER("modules", modules),
    COUNTER("modules not opened", modules_not_opened),
    COUNTER("files that did not answer", given_up),
    COUNTER("names left mangled", mangled_names),
    COUNTER("processes", processes),
    COUNTER("threads", threads),
    COUNTER("intern epochs", epochs),
    COUNTER("exact CPU ns", exact_cpu),
#undef COUNTER
};

void pipeline_counts_add_unwinder(struct unwind_counts *sum, const struct unwind_counts *more) {
    sum->frames += more->frames;
    sum->continued_stacks += more->continued_stacks;
    sum->mid_signal_stacks += more->mid_signal_stacks;
    sum->elided_frames += more->elided_frames;
    for (size_t i = 0; i < FRAME_CLASS_COUNT; i++)
        sum->frames_by_class[i] += more->frames_by_class[i];
}

const struct pipeline_counts *pipeline_counts(const struct pipeline *p) {
    return &p->counts_seen;
}

/* The pipeline's own counts, and those of all its unwinders. */
void pipeline_counts_update(struct pipeline *p) {
    struct unwind_counts unwound = p->unwound;
    pipeline_counts_add_unwinder(&unwound, unwinder_counts(p->unwinder));
    p->counts_seen = p->counts;
    p->counts_seen.frames += unwound.frames;
    p->counts_seen.continued_stacks += unwound.continued_stacks;
    p->counts_seen.mid_signal_stacks += unwound.mid_signal_stacks;
    p->counts_seen.elided_frames += unwound.elided_frames;
    for (size_t i = 0; i < FRAME_CLASS_COUNT; i++)
        p->counts_seen.frames_by_class[i] += unwound.frames_by_class[i];
}

void pipeline_counts_write(struct pipeline *p) {
    char name[64];
    pipeline_counts_update(p);
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        recording_set_counter(p->writer, counters[i].name,
                              *(const uint64_t *)(const void *)((const char *)&p->counts_seen + counters[i].offset));
    for (unsigned i = 0; i < FRAME_CLASS_COUNT; i++) {
        snprintf(name, sizeof name, "frames: %s", frame_class_name(i));
        recording_set_counter(p->writer, name, p->counts_seen.frames_by_class[i]);
    }
    for (unsigned i = 0; i < STACK_END_COUNT; i++) {
        snprintf(name, sizeof name, "stacks: %s", stack_end_name(i));
        recording_set_counter(p->writer, name, p->counts_seen.stacks_by_end[i]);
    }
}
