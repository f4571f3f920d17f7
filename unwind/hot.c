/* SPDX-License-Identifier: MIT */
/*
 * What nearly every frame is: a rule on rsp or rbp, a return address in the sample, an entry in the cache. A loop over local variables,
 * since through pointers the compiler would have to believe that each frame written changes them.
 */
#include "unwind/walk.h"

struct hot {
    uint64_t sp, rbp;
    bool has_rbp;
};

/* One step; false: not that simple, nothing has changed. */
static inline bool step(struct hot *h, const struct rule_hot *rule, const struct memory *memory, uint64_t *ret_pc) {
    bool on_rbp = rule->form == RULE_RBP;
    if (unlikely(!on_rbp && rule->form != RULE_RSP) || unlikely(on_rbp && !h->has_rbp))
        return false;
    uint64_t cfa = (on_rbp ? h->rbp : h->sp) + (uint64_t)(int64_t)rule->cfa_offset;
    uint64_t rbp_slot = cfa + (uint64_t)(int64_t)rule->rbp_offset;
    if (unlikely(cfa <= h->sp || !memory_in_sample(memory, cfa - 8, 8)))
        return false;
    if (rule->rbp_offset) {
        if (unlikely(!memory_in_sample(memory, rbp_slot, 8)))
            return false;
        memcpy(&h->rbp, memory->stack + (rbp_slot - memory->base), sizeof h->rbp);
        h->has_rbp = true;
    }
    h->sp = cfa;
    memcpy(ret_pc, memory->stack + (cfa - 8 - memory->base), sizeof *ret_pc);
    return true;
}

static inline void push(struct unwinder *u, size_t at, uint64_t pc, uint64_t slot, struct cache_entry *entry) {
    struct unwind_frame *frame = at < UNWIND_HEAD_FRAMES ? &u->frames[at] : &u->tail[(at - UNWIND_HEAD_FRAMES) % UNWIND_TAIL_FRAMES];
    *frame = (struct unwind_frame){.pc = pc,
                                   .address = entry->address,
                                   .module_id = entry->module_id,
                                   .kind = entry->kind,
                                   .class = FRAME_TABLE,
                                   .flags = entry->hot.is_signal_frame ? 0 : FRAME_FLAG_RETURN,
                                   .memo = &entry->memo};
    u->trace[at] = (struct trace){.slot = slot, .pc = pc | TRACE_RETURN};
}

struct cache_entry *hot_run(struct walk *w, struct cache_entry *entry) {
    struct unwind_registers *registers = &w->registers;
    const struct memory memory = w->memory;
    struct unwinder *u = w->u;
    struct hot h = {
        .sp = registers->value[UNWIND_RSP], .rbp = registers->value[UNWIND_RBP], .has_rbp = registers_have(registers, UNWIND_RBP)};
    uint64_t pc = registers->value[UNWIND_PC], generation = w->space->generation;
    size_t first = w->count, count = first;

    while (entry && count < WALK_FRAMES_MAX) {
        struct hot before = h;
        uint64_t next;
        if (!step(&h, &entry->hot, &memory, &next) || unlikely(next == 0)) {
            h = before;
            break;
        }
        pc = next;
        entry = likely(pc >> 56 == 0) ? cache_find(u->cache, cache_key(pc, FRAME_TABLE, true), generation, u->stamp) : NULL;
        if (likely(entry != NULL))
            push(u, count++, pc, h.sp - 8, entry);
    }
    if (count == first && entry)
        return entry; /* not a step */

    w->hits += count - first;
    w->frames_by_class[FRAME_TABLE] += count - first;
    w->count = count;
    w->slot = h.sp - 8;
    w->class = FRAME_TABLE;
    w->is_return = true;
    w->is_innermost = false;
    registers->value[UNWIND_PC] = pc;
    registers->value[UNWIND_RSP] = h.sp;
    registers->value[UNWIND_RBP] = h.rbp;
    registers->valid = 1u << UNWIND_PC | 1u << UNWIND_RSP | (uint32_t)h.has_rbp << UNWIND_RBP;
    return entry;
}
