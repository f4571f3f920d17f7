/* SPDX-License-Identifier: MIT */
#include "report/stacks.h"

#include <errno.h>
#include <stdlib.h>

/* What a node's stack is like, from the node to its root. A parent comes before its children, so one pass forward fills them. */
struct mark {
    uint32_t frames, unnamed;
    uint8_t end;
    bool is_guessed, is_elided;
};

static struct mark *mark_nodes(const struct recording *r, const struct places *places) {
    struct mark *marks = calloc(r->nodes.count + 1, sizeof *marks);
    for (uint32_t i = 0; marks && i < r->nodes.count; i++) {
        if (i < STACK_END_COUNT) {
            marks[i].end = (uint8_t)i;
            continue;
        }
        const struct recording_node *node = &r->nodes.items[i];
        const struct recording_frame *frame = &r->frames.items[node->frame];
        struct mark mark = marks[node->parent];
        if (frame->kind == FRAME_SCOPE) { /* no frame of code */
            marks[i] = mark;
            continue;
        }
        mark.frames++;
        mark.unnamed += places->frames[node->frame].is_unnamed;
        mark.is_elided |= frame->kind == FRAME_ELIDED;
        mark.is_guessed |= frame->kind != FRAME_ELIDED && !frame_class_is_proof(frame->class);
        marks[i] = mark;
    }
    return marks;
}

int stacks_classify(const struct recording *r, const struct counts *counts, const struct places *places, struct stacks *ret) {
    struct mark *marks = mark_nodes(r, places);
    if (!marks)
        return -ENOMEM;
    struct stacks s = {.samples = counts->samples};
    for (size_t i = 0; i < counts->entries.count; i++) {
        const struct counts_entry *entry = &counts->entries.items[i];
        struct mark mark = marks[entry->node];
        s.by_end[mark.end] += entry->samples;
        s.elided += mark.is_elided ? entry->samples : 0;
        s.proved += mark.end == STACK_COMPLETE && !mark.is_guessed ? entry->samples : 0;
        s.frames += mark.frames * entry->samples;
        s.unnamed_frames += mark.unnamed * entry->samples;
    }
    free(marks);
    *ret = s;
    return 0;
}
