/* SPDX-License-Identifier: MIT */
/*
 * Going on where the sample's bytes end: what is proof?
 *
 * Let t1 be the sample's instant and t2 > t1 that of reading the live stack. Between them the target ran on. A return address in a slot
 * stays what it is for as long as the call that pushed it has not returned, so live bytes are right wherever the frames around them have
 * lived from t1 to t2. What can go wrong is that the thread returned out of the outermost sampled frame and called something else; then
 * slots beyond the sample may hold a later call's addresses. Three things are asked for, all of them:
 *
 *   1. Witnesses. The bytes of the outermost sampled frames (WITNESSES of them, or half) are read again at t2 and must be what they were at
 *      t1, all of them: return addresses, saved registers, locals. Had the thread gone beyond these frames and come down again by another
 * way, they would differ: saved registers and locals are what the callers were working on, a tree's node as a rule. (A callee that writes
 * to a local of these very frames through a pointer makes them differ too: that stack is cut, not guessed.)
 *   2. Each address read at t2 lies in executable memory, directly behind a call instruction.
 *   3. A direct call must lead to the function that the frame below it is in. A target that is another function must be able to get there
 *      by a jump (a tail call, or the cold part of the same function): it holds a direct jump into it, or an indirect one. So a later call
 *      from the same frame to another function is found out.
 *
 * Of calls through registers and of possible tail calls nobody can say where they lead. With WITNESSES_STRONG witnesses they are let pass;
 * with fewer (a frame larger than the sample), or when a signal handler runs on the sampled stack and the live one is another, of which
 * there is no witness at all, only if history saw this very call made, as it does that of main.
 *
 * What is left is a thread that returned far beyond the sample and, in the same frame, made another call to the same function from another
 * line, in the same microseconds: the chain of functions is then right and one line is not. For slots that the thread's history (its last
 * whole stack, t0 < t1) knows there is not even that: see history.c.
 *
 * Frames found so are FRAME_CONTINUED. If anything fails the stack ends, STACK_TRUNCATED.
 */
#include "unwind/history.h"
#include "unwind/walk.h"

enum { WITNESSES = 16, WITNESS_BYTES = 16 * 1024, JUMP_SEARCH_MAX = 16 * 1024, SEARCH_PIECE = CODE_MAX };

static bool is_witness(const struct walk *w, const struct trace *trace) {
    return trace->slot != 0 && memory_in_sample(&w->memory, trace->slot, 8);
}

size_t continuation_find_witnesses(const struct walk *w, uint64_t *ret_start, uint64_t *ret_end) {
    const struct trace *trace = w->u->trace;
    size_t last = MIN(w->count, (size_t)WALK_FRAMES_MAX), there = 0;
    for (size_t i = last; i-- > 1 && there < 2 * WITNESSES;)
        there += is_witness(w, &trace[i]);
    size_t wanted = (there + 1) / 2;
    for (size_t i = last; i-- > 1 && wanted > 0;) {
        uint64_t slot = trace[i].slot;
        if (!is_witness(w, &trace[i]))
            continue;
        if (*ret_end == 0)
            *ret_end = slot + 8;
        else if (slot >= *ret_end || *ret_end - slot > WITNESS_BYTES)
            break;
        *ret_start = slot;
        wanted--;
    }
    return (there + 1) / 2 - wanted;
}

static bool witnesses_agree(struct walk *w, bool *ret_is_strict) {
    uint64_t start = 0, end = 0, live;
    size_t count = continuation_find_witnesses(w, &start, &end);
    if (count == 0)
        return false;
    *ret_is_strict = count < WITNESSES_STRONG || w->is_other_stack;
    for (uint64_t at = start; at < end; at += sizeof live) {
        if (memory_read_beyond(&w->memory, at, &live, sizeof live) < 0 ||
            memcmp(&live, w->memory.stack + (at - w->memory.base), sizeof live))
            return false;
    }
    return true;
}

bool continuation_witnesses_agree(struct walk *w) {
    bool is_strict;
    return witnesses_agree(w, &is_strict);
}

/* ---- calls and where they lead --------------------------------------------------------------------------------------------------- */

/* Run-time extent of the function (or gap) around `pc`. False: in no module that is ready. */
static bool find_function(const struct walk *w, uint64_t pc, struct code *code, uint64_t *ret_start, uint64_t *ret_end) {
    *code = (struct code){.space = w->space};
    walk_find_place(w, pc, false, &code->place);
    if (code->place.state != UNWIND_PLACE_READY)
        return false;
    module_find_extent(code->place.module, pc - code->place.bias, ret_start, ret_end);
    *ret_start = MAX(code->place.start, *ret_start + code->place.bias);
    *ret_end = *ret_end == UINT64_MAX ? code->place.end : MIN(code->place.end, *ret_end + code->place.bias);
    return true;
}

enum lead { LEADS_NEVER, LEADS_PERHAPS, LEADS_SURELY };

/* Every byte is tried as the start of a jump: one too many found costs a doubt, one missed a true stack. */
static enum lead jumps_to(const struct code *code, uint64_t from, uint64_t end, uint64_t start, uint64_t stop) {
    uint8_t bytes[CODE_MAX];
    enum lead lead = LEADS_NEVER;
    end = MIN(end, from + JUMP_SEARCH_MAX);
    for (uint64_t at = from; at < end; at += CODE_MAX / 2) {
        size_t length = (size_t)MIN(end - at, (uint64_t)CODE_MAX);
        if (!code_read(code, at, bytes, length))
            return LEADS_PERHAPS;
        for (size_t i = 0; i + 2 <= length; i++) {
            bool is_conditional = i + 6 <= length && bytes[i] == 0x0f && (bytes[i + 1] & 0xf0) == 0x80;
            bool is_jump = i + 5 <= length && bytes[i] == 0xe9;
            if (bytes[i] == 0xff && (bytes[i + 1] >> 3 & 7) == 4)
                lead = LEADS_PERHAPS; /* an indirect jump can lead anywhere */
            if (!is_conditional && !is_jump)
                continue;
            size_t operand = i + (is_conditional ? 2 : 1);
            int32_t relative;
            memcpy(&relative, bytes + operand, sizeof relative);
            uint64_t to = at + operand + 4 + (uint64_t)(int64_t)relative;
            if (to >= start && to < stop)
                return LEADS_SURELY;
        }
    }
    return end == from + JUMP_SEARCH_MAX ? LEADS_PERHAPS : lead;
}

/* Can a call to `target` be the one that made the frame at `pc`? */
static enum lead leads_to(struct walk *w, uint64_t target, uint64_t pc) {
    struct code callee, called = {.space = w->space};
    uint64_t start, end, called_start, called_end;
    walk_find_place(w, target, false, &called.place);
    target = code_follow_stub(&called, target);
    if (!find_function(w, pc, &callee, &start, &end) || !find_function(w, target, &called, &called_start, &called_end))
        return LEADS_PERHAPS; /* JIT code and the like */
    if (target >= start && target < end)
        return LEADS_SURELY;
    return jumps_to(&called, target, called_end, start, end);
}

/* The call before `pc`, and the frame at `callee` (of a return address: the call's own instruction). */
static enum lead leads(struct walk *w, uint64_t pc, uint64_t callee) {
    uint64_t target, value;
    enum unwind_source source;
    if (pc >> 56)
        return LEADS_NEVER;
    struct code code = {.space = w->space};
    walk_find_place(w, pc, true, &code.place);
    switch (code_call_before(&code, pc, &target)) {
    case CODE_DIRECT_CALL:
        return leads_to(w, target, callee);
    case CODE_SLOT_CALL:
        if (!w->space->read || w->space->read(w->space->context, target, &value, sizeof value, &source) < 0)
            return LEADS_PERHAPS;
        return MAX(leads_to(w, value, callee), LEADS_PERHAPS); /* the word may have changed since */
    case CODE_INDIRECT_CALL:
        return LEADS_PERHAPS;
    default:
        return LEADS_NEVER;
    }
}

bool continuation_can_lead(struct walk *w, uint64_t pc, uint64_t callee, bool callee_is_return) {
    return leads(w, pc, callee - callee_is_return) != LEADS_NEVER;
}

bool walk_same_function(const struct walk *w, uint64_t pc, bool pc_is_return) {
    struct code code;
    uint64_t start, end;
    pc -= pc_is_return;
    return find_function(w, w->registers.value[UNWIND_PC] - w->is_return, &code, &start, &end) && pc >= start && pc < end;
}

enum walk_next continuation_check(struct walk *w, const struct step *next) {
    uint64_t callee = w->registers.value[UNWIND_PC] - w->is_return;
    enum lead lead = next->is_signal_frame ? LEADS_PERHAPS : leads(w, next->registers.value[UNWIND_PC], callee);
    bool is_sure = lead == LEADS_SURELY || history_knows(w, next);
    if (lead == LEADS_NEVER)
        return walk_end(w, STACK_TRUNCATED);
    enum walk_next adopted = is_sure ? history_adopt(w, next) : WALK_ON;
    if (adopted != WALK_ON)
        return adopted;
    if (!w->is_continued && !witnesses_agree(w, &w->is_strict))
        return walk_end(w, STACK_TRUNCATED);
    return w->is_strict && !is_sure ? walk_end(w, STACK_TRUNCATED) : WALK_ON;
}
