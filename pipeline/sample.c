/* SPDX-License-Identifier: MIT */
/* One sample: walked, interned, written; or copied to the backlog. */
#include <errno.h>
#include <string.h>

#include "pipeline/private.h"

/* ---- the user's side of a stack -------------------------------------------------------------------------------------------------- */

/* A pc that is not unwound from. */
static int push_place(struct pipeline_walk *walk, uint64_t pc, uint64_t lookup, enum frame_class class, uint8_t flags) {
    struct pipeline *p = walk->p;
    struct unwind_place place;
    pipeline_space_find(walk, lookup, &place);
    if (place.state == UNWIND_PLACE_LOADING) {
        walk->module = place.module_id;
        return -EAGAIN;
    }
    struct intern_frame frame = {.address = pc, .module = RECORDING_NONE, .kind = FRAME_UNKNOWN, .class = class, .flags = flags};
    if (place.state != UNWIND_PLACE_NONE) {
        bool is_jit = place.state == UNWIND_PLACE_ANONYMOUS;
        frame.kind = is_jit ? FRAME_JIT : FRAME_NATIVE;
        frame.module = place.module_id;
        frame.address = is_jit ? pc : pc - place.bias;
    }
    if (place.state == UNWIND_PLACE_NONE || p->modules.items[place.module_id]->flags & MODULE_NOT_OPENED)
        walk->unknown++;
    return pipeline_push_frame(p, &frame);
}

/* The source has walked the stack by frame pointers; how it ended is not known. */
static int push_user_chain(struct pipeline_walk *walk, const struct raw_sample *sample) {
    for (uint32_t i = 0; i < sample->user_chain_length; i++) {
        uint64_t pc = sample->user_chain[i];
        int r = push_place(walk, pc, i ? pc - 1 : pc, i ? FRAME_FRAME_POINTER : FRAME_SAMPLED, i ? FRAME_FLAG_RETURN : 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Among the frames that were just pushed, of which the first stands at `base`. */
static int push_scopes(struct pipeline_walk *walk, size_t base) {
    struct pipeline *p = walk->p;
    for (size_t i = p->scopes.open.count; i-- > 0;) { /* from the root's side, so that what is still to come stays where it is */
        const struct scope_open *open = &p->scopes.open.items[i];
        struct intern_frame frame = {
            .address = scope_site_row(p, walk->memory, open->site), .module = RECORDING_NONE, .kind = FRAME_SCOPE, .class = FRAME_DERIVED};
        int r = pipeline_push_frame(p, &frame);
        if (r < 0)
            return r;
        uint32_t *ids = p->frame_ids.items, last = ids[p->frame_ids.count - 1];
        size_t at = base + open->frame;
        memmove(&ids[at + 1], &ids[at], (p->frame_ids.count - 1 - at) * sizeof *ids);
        ids[at] = last;
    }
    return 0;
}

static int push_walked(struct pipeline_walk *walk, uint64_t time, const struct raw_sample *sample, struct pipeline_thread *thread,
                       struct unwind_stack *ret) {
    struct pipeline *p = walk->p;
    struct unwind_sample unwind = {.stack = sample->stack,
                                   .stack_base = sample->stack_base,
                                   .stack_length = sample->stack_length,
                                   .is_in_kernel = sample->kernel_chain_length > 0};
    static_assert(sizeof unwind.registers.value == sizeof sample->registers, "one numbering");
    memcpy(unwind.registers.value, sample->registers, sizeof sample->registers);
    unwind.registers.valid = sample->registers_valid;
    /* A forced walk sees less than there is; it must not leave that in the cache for those who come when the module is loaded. */
    struct unwind_space space = {.generation = walk->is_forced ? process_generation(p->table) : walk->maps->generation,
                                 .context = walk,
                                 .find = pipeline_space_find,
                                 .read = pipeline_space_read};
    int r = unwinder_walk(p->unwinder, &unwind, &space, &thread->history, ret);
    walk->module = ret->loading_module;
    size_t base = p->frame_ids.count;
    if (!r)
        r = pipeline_push_user_frames(walk, ret);
    if (!r && unlikely(p->scopes.memories.count) && scope_find_open(walk, time, sample, ret, &walk->memory, &walk->life))
        r = push_scopes(walk, base);
    return r;
}

/* What the unwinder counts of its frames, for those it did not see. */
static void count_unwalked(struct pipeline *p, uint64_t frames) {
    if (!frames)
        return;
    p->counts.frames += frames;
    p->counts.frames_by_class[FRAME_SAMPLED]++;
    p->counts.frames_by_class[FRAME_FRAME_POINTER] += frames - 1;
}

/*
 * Between the exec event and the first instruction of the new program the kernel still holds the registers of the old one: its memory is
 * gone, and nothing can be said of the user's side.
 */
static bool is_within_exec(struct pipeline_walk *walk, const struct raw_sample *sample) {
    if (likely(walk->space->is_entered))
        return false;
    bool is_stale = sample->kernel_chain_length && (!sample->stack_length || !process_maps_find(walk->maps, sample->registers[UNWIND_PC]));
    walk->space->is_entered = !is_stale;
    return is_stale;
}

/* Pushes the user's frames. -EAGAIN: something is loading (walk->module), and nothing was counted. */
static int push_user(struct pipeline_walk *walk, uint64_t time, const struct raw_sample *sample, struct pipeline_thread *thread,
                     enum stack_end *ret_end) {
    struct pipeline *p = walk->p;
    struct unwind_stack stack = {0};
    uint64_t pc = sample->registers[UNWIND_PC];
    bool has_pc = sample->registers_valid & (uint32_t)1 << UNWIND_PC;
    uint64_t unwalked = 0;
    int r = 0;
    if (sample->user_chain) {
        stack.end = STACK_TRUNCATED;
        unwalked = sample->user_chain_length;
        r = push_user_chain(walk, sample);
    } else if (sample->abi == RAW_ABI_NONE || !has_pc || is_within_exec(walk, sample)) {
        stack.end = sample->kernel_chain_length ? STACK_KERNEL_ONLY : STACK_DROPPED_INPUT;
    } else if (sample->abi == RAW_ABI_32) {
        stack.end = STACK_PC_ONLY;
        unwalked = 1;
        r = push_place(walk, pc, pc, FRAME_SAMPLED, 0);
    } else {
        r = push_walked(walk, time, sample, thread, &stack);
    }
    if (r < 0)
        return r;
    bool is_unloaded = walk->is_forced && walk->was_waiting && stack.end != STACK_COMPLETE;
    if (is_unloaded) {
        stack.end = STACK_NOT_LOADED;
        p->counts.not_loaded++;
    }
    count_unwalked(p, unwalked);
    p->counts.unknown_frames += walk->unknown;
    p->counts.stacks_by_end[stack.end]++;
    if (stack.end == STACK_COMPLETE && !(stack.classes >> (FRAME_DERIVED + 1)))
        p->counts.complete_proved++;
    *ret_end = stack.end;
    return 0;
}

/* ---- samples --------------------------------------------------------------------------------------------------------------------- */

uint32_t pipeline_task_row(struct pipeline *p, struct process_task *task) {
    struct pipeline_thread *thread = task->owner;
    if (thread->row == RECORDING_NONE)
        thread->row = recording_add_task(
            p->writer,
            &(struct recording_task){.thread = thread->id, .process = task->space->id, .comm = task->comm, .start = task->start});
    return thread->row;
}

static int write_sample(struct pipeline_walk *walk, uint64_t time, const struct raw_sample *sample, struct pipeline_thread *thread,
                        uint32_t row) {
    struct pipeline *p = walk->p;
    enum stack_end end;
    uint32_t node;
    vec_clear(&p->frame_ids);
    int r = pipeline_push_kernel_frames(p, sample);
    if (!r)
        r = push_user(walk, time, sample, thread, &end);
    if (!r)
        r = pipeline_stack_node(p, &thread->last, end, &node);
    if (r < 0)
        return r;
    recording_add_sample(
        p->writer,
        &(struct recording_sample){
            .time = time, .task = row, .node = node, .event = sample->event, .cpu = (uint16_t)sample->cpu, .weight = {sample->weight}});
    if (walk->life)
        scope_note_sample(p, walk->life, time);
    p->counts.samples++;
    p->counts.weight += sample->weight;
    return p->intern.nodes.count >= p->options.intern_nodes ? pipeline_epoch_begin(p) : 0;
}

static int write_entry(struct pipeline *p, struct backlog_entry *entry, bool force) {
    struct pipeline_walk walk = {
        .p = p, .space = entry->space, .maps = entry->maps, .is_forced = force, .was_waiting = entry->maps->is_pending};
    if (entry->row == RECORDING_NONE)
        entry->row = pipeline_task_row(p, entry->task);
    int r = write_sample(&walk, entry->time, &entry->sample, entry->task->owner, entry->row);
    if (r == -EAGAIN)
        entry->module = walk.module;
    return r;
}

static int force_oldest(struct pipeline *p) {
    struct backlog_entry *entry = backlog_take(&p->backlog, &p->backlog.first);
    int r = write_entry(p, entry, true);
    backlog_entry_free(p->table, entry);
    return r;
}

static int park(struct pipeline *p, uint64_t time, const struct raw_sample *sample, struct process_task *task, uint32_t row,
                uint32_t module) {
    struct backlog_entry *entry = backlog_entry_new(time, sample, task, task->space, task->space->maps);
    if (!entry)
        return -ENOMEM;
    entry->row = row;
    entry->module = module;
    backlog_append(&p->backlog, entry);
    int r = p->options.waits ? pipeline_settle(p) : 0;
    while (!r && p->backlog.bytes > p->options.backlog_bytes)
        r = force_oldest(p);
    return r;
}

int pipeline_sample(struct pipeline *p, uint64_t time, const struct raw_sample *sample) {
    struct process_task *task;
    int r = process_task_get(p->table, time, sample->pid, sample->tid, &task);
    if (r < 0 || p->error)
        return r < 0 ? r : p->error;
    if (task->space->maps->is_pending) /* and maybe its name too */
        return park(p, time, sample, task, *task->comm ? pipeline_task_row(p, task) : RECORDING_NONE, RECORDING_NONE);
    uint32_t row = pipeline_task_row(p, task);
    struct pipeline_walk walk = {.p = p, .space = task->space, .maps = task->space->maps};
    r = write_sample(&walk, time, sample, task->owner, row);
    return r == -EAGAIN ? park(p, time, sample, task, row, walk.module) : r;
}

static bool entry_is_waiting(const struct pipeline *p, const struct backlog_entry *entry) {
    return entry->maps->is_pending || (entry->module != RECORDING_NONE && pipeline_is_waiting(p->modules.items[entry->module]));
}

int pipeline_retry(struct pipeline *p, bool force) {
    struct backlog_entry **link = &p->backlog.first;
    while (*link) {
        if (!force && entry_is_waiting(p, *link)) {
            link = &(*link)->next;
            continue;
        }
        int r = write_entry(p, *link, force);
        if (r == -EAGAIN) { /* for another module */
            link = &(*link)->next;
            continue;
        }
        backlog_entry_free(p->table, backlog_take(&p->backlog, link));
        if (r < 0)
            return r;
    }
    return 0;
}
