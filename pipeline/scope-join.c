/* SPDX-License-Identifier: MIT */
/*
 * Which scopes were open when a sample was taken: open scopes lie as records (struct cprof_scope of include/cprof.h) on the stack itself,
 * so the bytes that were copied with the sample say it, for that very instant.
 *
 *     sp                    A: innermost record            B: its parent                        end of the bytes
 *     | frame 0 | frame 1 ....[magic ^ A, begin, parent = B].. | frame 4 ..[magic ^ B, ...].. | ...
 *
 * The first record is searched from sp upwards, the rest follow by their parents. A record whose function was left without an end (longjmp)
 * may still lie in a later frame. So each is believed only if the frame it lies in is of the function that opened it: the frame is told by
 * the places the unwinder read return addresses from, the function by its call frame information.
 */
#include <string.h>

#include "include/cprof.h"
#include "pipeline/private.h"

enum { OPEN_MAX = 1024, TRIES_MAX = 64 };

/* The fields of struct cprof_scope that mean something outside the process. */
struct record {
    uint64_t begin, parent, place;
    uint32_t site, node;
};

struct join {
    struct pipeline_walk *walk;
    const struct raw_sample *sample;
    const struct unwind_stack *stack;
    struct scope_memory *memory;
    struct scope_life *life;
    uint64_t now; /* ticks */
};

static uint64_t word_at(const struct raw_sample *sample, uint64_t at) {
    uint64_t word;
    memcpy(&word, sample->stack + at, sizeof word);
    return word;
}

/* The first address from `from` on where a record lies whole, or 0. */
static uint64_t find_magic(const struct raw_sample *sample, uint64_t from) {
    uint64_t base = sample->stack_base, at = ((from + 7) & ~UINT64_C(7)) - base;
    for (; at + sizeof(struct cprof_scope) <= sample->stack_length; at += 8)
        if (unlikely((word_at(sample, at) ^ CPROF_SCOPE_MAGIC) == base + at))
            return base + at;
    return 0;
}

static bool is_record(const struct raw_sample *sample, uint64_t address) {
    uint64_t at = address - sample->stack_base;
    return !(address & 7) && address >= sample->stack_base && at < sample->stack_length &&
           sample->stack_length - at >= sizeof(struct cprof_scope) && (word_at(sample, at) ^ CPROF_SCOPE_MAGIC) == address;
}

static struct record read_record(const struct raw_sample *sample, uint64_t address) {
    struct cprof_scope scope;
    memcpy(&scope, sample->stack + (address - sample->stack_base), sizeof scope);
    return (struct record){
        .begin = scope.begin, .parent = (uint64_t)(uintptr_t)scope.parent, .place = scope.place, .site = scope.site, .node = scope.node};
}

/* The frame that `address` lies in: the one whose return address was read from below it, and the next one's from above. */
static uint32_t frame_of(const struct join *j, uint64_t address) {
    uint32_t frame = 0;
    for (uint32_t i = 1; i < j->stack->count; i++) {
        uint64_t slot = unwinder_slot(j->walk->p->unwinder, i);
        if (slot >= address)
            break;
        if (slot)
            frame = i;
    }
    return frame;
}

static bool is_same_function(const struct join *j, uint64_t place, const struct unwind_frame *frame) {
    uint64_t pc = frame->pc - (frame->flags & FRAME_FLAG_RETURN ? 1 : 0), start, end;
    struct unwind_place of_place;
    pipeline_space_find(j->walk, place - 1, &of_place); /* behind the call that opened it */
    if (of_place.state != UNWIND_PLACE_READY || frame->kind != FRAME_NATIVE || frame->module_id != of_place.module_id)
        return false;
    unwind_module_extent(of_place.module, place - 1 - of_place.bias, &start, &end);
    return pc - of_place.bias >= start && pc - of_place.bias < end;
}

static bool is_sound(const struct join *j, const struct record *record, uint32_t frame) {
    return record->begin <= j->now && scope_site_row(j->walk->p, j->memory, record->site) != RECORDING_NONE &&
           record->node < SCOPE_NODES_MAX && is_same_function(j, record->place, &j->stack->frames[frame]);
}

static bool push(struct scopes *s, uint32_t site, uint32_t frame, uint64_t begin) {
    struct scope_open *open = s->open.count < OPEN_MAX ? vec_push(&s->open) : NULL;
    if (open)
        *open = (struct scope_open){.site = site, .frame = frame, .begin = begin};
    return open != NULL;
}

/* The frame from which on nothing of the stack was copied. */
static uint32_t frame_beyond(const struct join *j) {
    uint64_t end = j->sample->stack_base + j->sample->stack_length;
    for (uint32_t i = 1; i < j->stack->count; i++)
        if (unwinder_slot(j->walk->p->unwinder, i) >= end)
            return i;
    return (uint32_t)j->stack->count;
}

/* The scopes around the path `node`, whose records are not among the bytes. */
static void push_beyond(const struct join *j, uint32_t node) {
    struct scopes *s = &j->walk->p->scopes;
    uint32_t frame = frame_beyond(j);
    s->counts.beyond++;
    if (node == SCOPE_NODE_OVERFLOW || !scope_learn_paths(j->memory, j->life, node + 1))
        return;
    for (node = j->life->paths.items[node].parent; node; node = j->life->paths.items[node].parent) {
        const struct scope_path *path = &j->life->paths.items[node];
        if (scope_site_row(j->walk->p, j->memory, path->site) == RECORDING_NONE || !push(s, path->site, frame, 0))
            return;
    }
}

static void follow(const struct join *j, uint64_t address, struct record record, uint32_t frame) {
    struct scopes *s = &j->walk->p->scopes;
    while (push(s, record.site, frame, record.begin) && record.parent) {
        if (record.parent == address || !is_record(j->sample, record.parent)) {
            push_beyond(j, record.node);
            return;
        }
        struct record parent = read_record(j->sample, record.parent);
        frame = frame_of(j, record.parent);
        if (parent.begin > record.begin || !is_sound(j, &parent, frame))
            return; /* what a process writes there is its own affair */
        address = record.parent;
        record = parent;
    }
}

/* Functions that were inlined into one another share a frame, in which their records lie in any order: the innermost is the one opened
 * last. */
static void take_latest(const struct join *j, uint32_t frame, uint64_t *address, struct record *record) {
    uint64_t at = *address;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        at = find_magic(j->sample, at + 8);
        if (!at || frame_of(j, at) != frame)
            return;
        struct record other = read_record(j->sample, at);
        bool is_inner = other.begin > record->begin || (other.begin == record->begin && other.parent == *address);
        if (is_inner && is_sound(j, &other, frame)) {
            *address = at;
            *record = other;
        }
    }
}

bool scope_find_open(struct pipeline_walk *walk, uint64_t time, const struct raw_sample *sample, const struct unwind_stack *stack,
                     struct scope_memory **ret_memory, struct scope_life **ret_life) {
    struct scopes *s = &walk->p->scopes;
    vec_clear(&s->open);
    struct join j = {.walk = walk, .sample = sample, .stack = stack, .memory = pipeline_scopes_memory(s, sample->pid, time)};
    if (!j.memory || !stack->count)
        return false;
    if (!(j.life = scope_life_of(j.memory, sample->tid))) {
        scope_find_lives(walk->p, j.memory, time);
        if (!(j.life = scope_life_of(j.memory, sample->tid)))
            return false;
    }
    j.now = scope_line_ticks(&s->line, time + 1000); /* the line errs by less */
    uint64_t from = sample->stack_base;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        uint64_t address = find_magic(sample, from);
        if (!address)
            break;
        struct record record = read_record(sample, address);
        uint32_t frame = frame_of(&j, address);
        from = address + 8;
        if (!record.begin) /* it is just being opened */
            continue;
        if (is_sound(&j, &record, frame)) {
            take_latest(&j, frame, &address, &record);
            follow(&j, address, record, frame);
            break;
        }
        s->counts.rejected++;
    }
    *ret_memory = j.memory;
    *ret_life = j.life;
    return true;
}
