/* SPDX-License-Identifier: MIT */
#include "unwind/walk.h"

/* Larger than any stack: the address is on another. */
#define STACK_SPAN_MAX ((uint64_t)1 << 32)

#include "unwind/fallback.h"
#include "unwind/history.h"
#include "unwind/signal-entry.h"
#include "unwind/unwind.h"

/* No CFI, both; the second is known to be a signal trampoline. The third is returned to, and was not called either: the pc is its own. */
static const struct rule rule_none = {.hot = {.form = RULE_NONE}};
static const struct rule rule_trampoline = {.hot = {.form = RULE_NONE, .is_signal_frame = true}};
static const struct rule rule_end = {.hot = {.form = RULE_END, .is_signal_frame = true}};

/* ---- places ---------------------------------------------------------------------------------------------------------------------- */

/*
 * The rule of a pc in a module, and whether the pc can be one at all.
 *
 * A return address belongs to the call before it, whose rule is that of pc - 1. One that no call precedes is none:
 *   - a handler returns to the first byte of its trampoline, makecontext has its function return to __start_context: what these say
 * themselves counts, if it is a signal frame or an end;
 *   - while libgcc installs a landing pad it puts that in the place of its own return address: no rule leads on from there.
 * The innermost pc may lie behind a last `syscall` instruction (rt_sigreturn's), where nothing is covered any more.
 */
static enum walk_next find_rule(struct walk *w, uint64_t pc, const struct unwind_place *place, const struct rule **ret) {
    struct code code = {.space = w->space, .place = *place};
    uint64_t target;
    *ret = module_find_rule(place->module, pc - w->is_return - place->bias);
    if (!w->is_return) {
        if ((*ret)->hot.form == RULE_NONE && code_is_sigreturn_done(&code, pc))
            *ret = &rule_trampoline; /* by its code, which looks whether the frame is there yet */
        else if ((*ret)->hot.form == RULE_NONE && code_is_after_syscall(&code, pc))
            *ret = module_find_rule(place->module, pc - 1 - place->bias);
        return WALK_ON;
    }
    if (!place->module->image || (*ret)->hot.is_signal_frame || code_call_before(&code, pc, &target) != CODE_NO_CALL)
        return WALK_ON;
    const struct rule *exact = module_find_rule(place->module, pc - place->bias);
    if (code_is_sigreturn(&code, pc))
        *ret = exact->hot.is_signal_frame ? exact : &rule_trampoline;
    else if (exact->hot.is_signal_frame)
        *ret = exact;
    else if (exact->hot.form == RULE_END || code_is_start_context(&code, pc)) /* of which glibc's row says nothing */
        *ret = &rule_end;
    else
        return walk_end(w, STACK_NO_RULE);
    return WALK_ON;
}

static enum walk_next fill_entry(struct walk *w, uint64_t pc, struct cache_entry *entry) {
    struct unwind_place place;
    enum walk_next next = WALK_ON;
    walk_find_place(w, pc, w->is_return, &place);
    entry->rule = &rule_none;
    entry->module_id = place.module_id;
    entry->memo = 0;
    entry->kind = FRAME_NATIVE;
    entry->address = pc - place.bias;
    switch (place.state) {
    case UNWIND_PLACE_READY:
        next = find_rule(w, pc, &place, &entry->rule);
        break;
    case UNWIND_PLACE_UNLOADABLE:
        break;
    case UNWIND_PLACE_ANONYMOUS:
        entry->kind = FRAME_JIT;
        entry->address = pc;
        break;
    case UNWIND_PLACE_LOADING:
        w->loading_module = place.module_id;
        return WALK_LOADING;
    default:
        return walk_end(w, STACK_NO_MAPPING);
    }
    entry->hot = entry->rule->hot;
    return next;
}

enum walk_next walk_look_up(struct walk *w, uint64_t pc, struct cache_entry **ret_entry) {
    struct unwinder *u = w->u;
    uint64_t key = cache_key(pc, w->class, w->is_return), generation = w->space->generation;
    struct cache_entry *entry = likely(pc >> 56 == 0) ? cache_find(u->cache, key, generation, u->stamp) : NULL;
    if (likely(entry != NULL)) {
        w->hits++;
        *ret_entry = entry;
        return WALK_ON;
    }
    if (pc >> 56)
        return walk_end(w, STACK_NO_MAPPING);

    w->misses++;
    struct cache_entry found = {.key = key, .generation = generation, .stamp = u->stamp};
    enum walk_next next = fill_entry(w, pc, &found);
    if (next != WALK_ON)
        return next;
    entry = cache_claim(u->cache, key, generation, u->stamp);
    if (!entry)
        entry = &w->scratch;
    *entry = found;
    *ret_entry = entry;
    return WALK_ON;
}

/* ---- frames ---------------------------------------------------------------------------------------------------------------------- */

void walk_push(struct walk *w, uint64_t pc, struct cache_entry *entry) {
    struct unwinder *u = w->u;
    size_t at = w->count++;
    struct unwind_frame *frame = at < UNWIND_HEAD_FRAMES ? &u->frames[at] : &u->tail[(at - UNWIND_HEAD_FRAMES) % UNWIND_TAIL_FRAMES];
    frame->pc = pc;
    frame->address = entry->address;
    frame->module_id = entry->module_id;
    frame->kind = entry->kind;
    frame->class = (uint8_t)w->class;
    frame->flags = w->is_return && !entry->hot.is_signal_frame ? FRAME_FLAG_RETURN : 0; /* a trampoline was returned to, not called */
    frame->memo = entry == &w->scratch ? NULL : &entry->memo;
    w->frames_by_class[w->class]++;
    if (likely(at < WALK_FRAMES_MAX))
        u->trace[at] = (struct trace){.slot = w->slot, .pc = pc | (w->is_return ? TRACE_RETURN : 0)};
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------------- */

/* The psABI (3.4.1) has the outermost frame marked by a zero frame pointer; start code that also leaves a zero return address is an end. */
static enum walk_next end_at_zero(struct walk *w, const struct step *step) {
    bool is_marked = !step->is_signal_frame && registers_have(&step->registers, UNWIND_RBP) && step->registers.value[UNWIND_RBP] == 0;
    return walk_end(w, is_marked ? STACK_COMPLETE : STACK_NO_MAPPING);
}

/* Callers lie further out. A frame that a signal interrupted may lie on another stack, which can be lower, once. A return address in a
 * register leaves sp alone. */
static bool makes_progress(struct walk *w, const struct step *step) {
    uint64_t from = w->registers.value[UNWIND_RSP], to = step->registers.value[UNWIND_RSP];
    if (to > from || (to == from && w->is_innermost && step->registers.value[UNWIND_PC] != w->registers.value[UNWIND_PC]))
        return true;
    if (!step->is_signal_frame || w->has_jumped)
        return false;
    w->has_jumped = true;
    return true;
}

static enum walk_next take_step(struct walk *w, const struct step *step, enum frame_class class) {
    if (!registers_have(&step->registers, UNWIND_RSP))
        return walk_end(w, STACK_BAD_MEMORY);
    if (!makes_progress(w, step))
        return walk_end(w, STACK_NO_PROGRESS);
    if (unlikely(w->is_continued || w->memory.used_live)) {
        enum walk_next next = continuation_check(w, step);
        if (next != WALK_ON)
            return next;
        w->is_continued = true;
        class = FRAME_CONTINUED;
    }
    if (step->registers.value[UNWIND_PC] == 0)
        return w->is_continued ? walk_end(w, STACK_TRUNCATED) : end_at_zero(w, step);
    w->is_other_stack |= step->is_signal_frame && !memory_in_sample(&w->memory, step->registers.value[UNWIND_RSP], 8);
    w->registers = step->registers;
    w->kept = step->kept;
    w->slot = step->return_slot;
    w->class = class;
    w->is_return = !step->is_signal_frame;
    w->is_innermost = false;
    return WALK_ON;
}

/* What lies beyond the sample's outer end was cut off; anything else that cannot be read was never there. */
static enum walk_next end_by_error(struct walk *w, int error) {
    if (error == -ENODATA && !w->is_full)
        return WALK_AGAIN_FULL;
    if (error == -ELOOP)
        return walk_end(w, STACK_NO_PROGRESS);
    bool is_beyond = w->memory.missing >= w->memory.base && w->memory.missing - w->memory.base < STACK_SPAN_MAX;
    return walk_end(w, error == -EFAULT && (is_beyond || w->is_other_stack) ? STACK_TRUNCATED : STACK_BAD_MEMORY);
}

static int evaluate_step(struct walk *w, const struct cache_entry *entry, const struct rules *rules, struct step *ret) {
    const struct rule *rule = entry->rule;
    if (rule->hot.form == RULE_LIBUNWIND)
        return fallback_step(w->u->fallback, &rules->expressions.items[rule->expression], rule->expression_length, &w->memory,
                             &w->registers, ret);
    return step_by_rule(rule, &rules->registers.items[rule->hot.first_register], &w->memory, &w->registers, w->kept, w->is_innermost, ret);
}

static enum walk_next step_general(struct walk *w, const struct cache_entry *entry) {
    struct unwind_place place;
    struct step step;
    walk_find_place(w, w->registers.value[UNWIND_PC], w->is_return, &place);
    if (place.state != UNWIND_PLACE_READY)
        return walk_end(w, STACK_NO_MAPPING);
    int r = evaluate_step(w, entry, &place.module->rules, &step);
    if (r == -EAGAIN) {
        w->memory.is_held = false;
        enum walk_next next = history_adopt_standing(w);
        if (next != WALK_ON)
            return next;
        r = evaluate_step(w, entry, &place.module->rules, &step);
    }
    if (r < 0)
        return end_by_error(w, r);
    /* While an exception's landing is prepared, the unwinder's own frame holds the registers of the frame that catches. */
    if (entry->rule->is_eh_return &&
        !continuation_can_lead(w, step.registers.value[UNWIND_PC], w->registers.value[UNWIND_PC], w->is_return))
        return walk_end(w, STACK_NO_RULE);
    enum frame_class class = entry->hot.form == RULE_LIBUNWIND ? FRAME_LIBUNWIND : FRAME_TABLE;
    if (step.used_kept) {
        class = FRAME_INFERRED;
        if (!continuation_can_lead(w, step.registers.value[UNWIND_PC], w->registers.value[UNWIND_PC], w->is_return))
            return walk_end(w, STACK_BAD_MEMORY);
    }
    return take_step(w, &step, class);
}

static enum walk_next step_gap(struct walk *w) {
    struct step step;
    enum frame_class class;
    w->memory.is_held = false;
    int r = gap_step(w, &step, &class);
    if (r > 0)
        return walk_end(w, STACK_COMPLETE);
    if (r == -ENODATA)
        return walk_end(w, w->is_continued ? STACK_TRUNCATED : STACK_NO_RULE);
    if (r < 0)
        return end_by_error(w, r);
    return take_step(w, &step, class);
}

static enum walk_next step_any(struct walk *w, const struct cache_entry *entry) {
    if (w->count >= WALK_FRAMES_MAX)
        return walk_end(w, STACK_DEPTH_LIMIT);
    if (unlikely(w->is_innermost && entry->hot.is_signal_frame) && w->sample->is_in_kernel &&
        signal_entry_is_torn(&w->memory, &w->registers)) {
        w->was_mid_signal = true;
        return walk_end(w, STACK_PC_ONLY);
    }
    switch (entry->hot.form) {
    case RULE_END:
        return walk_end(w, STACK_COMPLETE);
    case RULE_NONE:
        return step_gap(w);
    default:
        return step_general(w, entry);
    }
}

static enum walk_next push_unmapped(struct walk *w) {
    struct cache_entry *entry = &w->scratch;
    *entry = (struct cache_entry){.address = w->registers.value[UNWIND_PC], .kind = FRAME_UNKNOWN};
    walk_push(w, w->registers.value[UNWIND_PC], entry);
    return walk_end(w, STACK_NO_MAPPING);
}

/* Without a stack pointer there is nothing to walk. */
static enum walk_next push_pc_only(struct walk *w) {
    struct cache_entry *entry;
    enum walk_next next = walk_look_up(w, w->registers.value[UNWIND_PC], &entry);
    if (next == WALK_ENDED)
        return push_unmapped(w);
    if (next == WALK_ON) {
        walk_push(w, w->registers.value[UNWIND_PC], entry);
        return walk_end(w, STACK_PC_ONLY);
    }
    return next;
}

static enum walk_next run(struct walk *w) {
    for (;;) {
        struct cache_entry *entry;
        enum walk_next next = walk_look_up(w, w->registers.value[UNWIND_PC], &entry);
        if (unlikely(next == WALK_ENDED && w->is_innermost))
            return push_unmapped(w);
        if (unlikely(next != WALK_ON))
            return next;
        walk_push(w, w->registers.value[UNWIND_PC], entry);
        if (!w->is_full && !w->is_continued)
            entry = hot_run(w, entry);
        next = entry ? step_any(w, entry) : WALK_ON;
        if (next != WALK_ON)
            return next;
    }
}

static void start(struct walk *w, bool is_full) {
    w->memory = (struct memory){.stack = w->sample->stack,
                                .base = w->sample->stack_base,
                                .length = w->sample->stack ? w->sample->stack_length : 0,
                                .space = w->space,
                                .piece = w->u->piece,
                                .is_held = w->history != NULL};
    w->registers = w->sample->registers;
    w->kept = 0;
    w->slot = 0;
    w->class = FRAME_SAMPLED;
    w->is_return = false;
    w->is_innermost = true;
    w->is_full = is_full;
    w->is_continued = w->is_strict = w->has_jumped = w->is_other_stack = false;
    w->count = w->adopted = 0;
    w->classes = 0;
    memset(w->frames_by_class, 0, sizeof w->frames_by_class);
    w->was_mid_signal = w->sample->is_in_kernel && signal_entry_mend(&w->memory, &w->registers);
    if (w->was_mid_signal)
        w->is_other_stack = !memory_in_sample(&w->memory, w->registers.value[UNWIND_RSP], 8);
}

/* ---- the door -------------------------------------------------------------------------------------------------------------------- */

/* Head and tail in one piece, with a FRAME_ELIDED between them if anything is missing there. */
static void gather(struct walk *w, struct unwind_stack *ret) {
    struct unwinder *u = w->u;
    u->walked = w->count;
    size_t in_tail = w->count > UNWIND_HEAD_FRAMES ? w->count - UNWIND_HEAD_FRAMES : 0;
    size_t count = MIN(w->count, (size_t)UNWIND_HEAD_FRAMES);
    if (in_tail > UNWIND_TAIL_FRAMES) {
        uint64_t elided = in_tail - UNWIND_TAIL_FRAMES;
        u->frames[count++] = (struct unwind_frame){.kind = FRAME_ELIDED, .address = elided};
        u->counts.elided_frames += elided;
        size_t oldest = in_tail % UNWIND_TAIL_FRAMES;
        memcpy(&u->frames[count], &u->tail[oldest], (UNWIND_TAIL_FRAMES - oldest) * sizeof *u->tail);
        memcpy(&u->frames[count + UNWIND_TAIL_FRAMES - oldest], u->tail, oldest * sizeof *u->tail);
        count += UNWIND_TAIL_FRAMES;
    } else if (in_tail) {
        memcpy(&u->frames[count], u->tail, in_tail * sizeof *u->tail);
        count += in_tail;
    }
    ret->frames = u->frames;
    ret->count = count;
    ret->end = w->end;
}

static void tell(struct walk *w, struct unwind_stack *ret) {
    struct unwind_counts *counts = &w->u->counts;
    gather(w, ret);
    ret->classes = 0;
    for (unsigned class = 0; class < FRAME_CLASS_COUNT; class ++) {
        counts->frames_by_class[class] += w->frames_by_class[class];
        ret->classes |= w->frames_by_class[class] ? 1u << class : 0;
    }
    counts->stacks++;
    counts->frames += w->count;
    counts->stacks_by_end[w->end]++;
    counts->cache_hits += w->hits;
    counts->cache_misses += w->misses;
    counts->mid_signal_stacks += w->was_mid_signal;
    counts->continued_stacks += w->is_continued && w->end == STACK_COMPLETE;
}

int unwinder_walk(struct unwinder *u, const struct unwind_sample *sample, const struct unwind_space *space, struct unwind_history **history,
                  struct unwind_stack *ret) {
    struct walk w;
    w.u = u;
    w.sample = sample;
    w.space = space;
    w.history = history ? *history : NULL;
    w.hits = w.misses = 0;
    w.loading_module = 0;
    *ret = (struct unwind_stack){.frames = u->frames, .end = STACK_DROPPED_INPUT};
    if (!registers_have(&sample->registers, UNWIND_PC))
        return 0;
    u->stamp++;

    start(&w, false);
    enum walk_next next = registers_have(&sample->registers, UNWIND_RSP) ? run(&w) : push_pc_only(&w);
    if (next == WALK_AGAIN_FULL) {
        start(&w, true);
        next = run(&w);
    }
    if (next == WALK_LOADING) {
        ret->loading_module = w.loading_module;
        return -EAGAIN;
    }
    tell(&w, ret);
    if (w.is_continued || w.end == STACK_TRUNCATED)
        u->beyond = u->stamp;
    if (history)
        history_update(&w, history);
    return 0;
}
