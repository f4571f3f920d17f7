/* SPDX-License-Identifier: MIT */
/*
 * From the frames of a stack to its node in the stack tree.
 *
 * What a repeated stack costs: the unwinder gives each frame the word we left with it in its cache (the frame's id), and the ids are
 * compared from the root with those of the thread's last stack, whose nodes are known. Only where they differ is anything looked up.
 *
 *     ids       innermost first    | kernel chain | user stack ............ root side |
 *     last      root first         | frames[0] ........................ frames[count) |   compared with ids from behind
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/private.h"

/* The memo of a frame: id + 1, and whether the frame counts as unknown. */
#define MEMO_UNKNOWN ((uint32_t)1 << 31)

static int frame_id(struct pipeline *p, const struct intern_frame *frame, uint32_t *ret) {
    bool is_new;
    uint32_t id;
    int r = intern_frame(&p->intern, frame, &id, &is_new);
    if (r < 0)
        return r;
    if (is_new)
        recording_add_frame(
            p->writer,
            &(struct recording_frame){
                .kind = frame->kind, .class = frame->class, .flags = frame->flags, .module = frame->module, .address = frame->address});
    *ret = id;
    return 0;
}

int pipeline_push_frame(struct pipeline *p, const struct intern_frame *frame) {
    uint32_t id, *slot = vec_push(&p->frame_ids);
    int r = slot ? frame_id(p, frame, &id) : -ENOMEM;
    if (!r)
        *slot = id;
    return r;
}

/* In no mapping we know, or in a module that could not be opened. */
static bool is_unknown(const struct pipeline *p, const struct unwind_frame *frame) {
    return frame->kind == FRAME_UNKNOWN || (frame->kind == FRAME_NATIVE && p->modules.items[frame->module_id]->flags & MODULE_NOT_OPENED);
}

/* The first time that the unwinder gives this frame. */
static int memo_make(struct pipeline *p, const struct unwind_frame *frame, uint32_t *ret) {
    bool has_module = frame->kind == FRAME_NATIVE || frame->kind == FRAME_KERNEL || frame->kind == FRAME_JIT;
    struct intern_frame row = {.address = frame->address,
                               .module = has_module ? frame->module_id : RECORDING_NONE,
                               .kind = frame->kind,
                               .class = frame->class,
                               .flags = frame->flags};
    uint32_t id;
    int r = frame_id(p, &row, &id);
    if (!r)
        *ret = (id + 1) | (is_unknown(p, frame) ? MEMO_UNKNOWN : 0);
    return r;
}

int pipeline_push_user_frames(struct pipeline_walk *walk, const struct unwind_stack *stack) {
    struct pipeline *p = walk->p;
    if (!vec_reserve(&p->frame_ids, p->frame_ids.count + stack->count + 1))
        return -ENOMEM;
    uint32_t *ids = p->frame_ids.items + p->frame_ids.count;
    for (size_t i = 0; i < stack->count; i++) {
        const struct unwind_frame *frame = &stack->frames[i];
        uint32_t memo = frame->memo ? *frame->memo : 0;
        if (unlikely(!memo)) {
            int r = memo_make(p, frame, &memo);
            if (r < 0)
                return r;
            if (frame->memo)
                *frame->memo = memo;
        }
        walk->unknown += memo >> 31;
        ids[i] = (memo & ~MEMO_UNKNOWN) - 1;
    }
    p->frame_ids.count += stack->count;
    return 0;
}

int pipeline_push_kernel_frames(struct pipeline *p, const struct raw_sample *sample) {
    for (uint32_t i = 0; i < sample->kernel_chain_length; i++) {
        const struct process_module *module = kernel_module(&p->kernel, p->table, sample->kernel_chain[i]);
        if (!module)
            return -ENOMEM;
        int r = pipeline_push_frame(p, &(struct intern_frame){.address = sample->kernel_chain[i],
                                                              .module = module->id,
                                                              .kind = FRAME_KERNEL,
                                                              .class = FRAME_SAMPLED,
                                                              .flags = i ? FRAME_FLAG_RETURN : 0});
        if (r < 0)
            return r;
    }
    return 0;
}

static bool stack_reserve(struct pipeline_stack *stack, size_t wanted) {
    if (wanted <= stack->capacity)
        return true;
    size_t capacity = MAX(wanted, (size_t)stack->capacity * 2);
    uint32_t *frames = realloc(stack->frames, capacity * sizeof *frames);
    if (frames)
        stack->frames = frames;
    uint32_t *nodes = realloc(stack->nodes, capacity * sizeof *nodes);
    if (nodes)
        stack->nodes = nodes;
    if (!frames || !nodes)
        return false;
    stack->capacity = (uint32_t)capacity;
    return true;
}

int pipeline_stack_node(struct pipeline *p, struct pipeline_stack *last, enum stack_end end, uint32_t *ret) {
    size_t count = p->frame_ids.count, same = 0;
    const uint32_t *innermost = p->frame_ids.items;
    if (!stack_reserve(last, count))
        return -ENOMEM;
    if (last->end == end && last->epoch == p->epoch) {
        size_t both = MIN(count, (size_t)last->count);
        while (same < both && last->frames[same] == innermost[count - 1 - same])
            same++;
    }
    last->count = 0; /* no truth in it should the memory run out below */
    uint32_t node = same ? last->nodes[same - 1] : end;
    for (; same < count; same++) {
        uint32_t parent = node, frame = innermost[count - 1 - same];
        bool is_new;
        int r = intern_node(&p->intern, parent, frame, &node, &is_new);
        if (r < 0)
            return r;
        if (is_new)
            recording_add_node(p->writer, &(struct recording_node){.parent = parent, .frame = frame});
        last->frames[same] = frame;
        last->nodes[same] = node;
    }
    last->count = (uint32_t)count;
    last->end = end;
    last->epoch = p->epoch;
    *ret = node;
    return 0;
}

/* The unwinder goes too, for its memos are of the old ids. */
int pipeline_epoch_begin(struct pipeline *p) {
    struct unwinder *fresh;
    int r = pipeline_touch(p);
    if (!r)
        r = unwinder_new(&fresh);
    if (r < 0)
        return r;
    pipeline_counts_add_unwinder(&p->unwound, unwinder_counts(p->unwinder));
    unwinder_free(p->unwinder);
    p->unwinder = fresh;
    recording_new_epoch(p->writer);
    p->epoch++;
    p->counts.epochs++;
    return intern_reset(&p->intern);
}
