/* SPDX-License-Identifier: MIT */
#include "unwind/step.h"

#include <string.h>

struct evaluation {
    const struct rule *rule;
    struct memory *memory;
    const struct unwind_registers *from;
    uint64_t cfa;
    uint32_t kept;
    bool is_innermost;
};

static int read_source(const struct evaluation *e, struct location location, uint64_t *ret) {
    if (!registers_have(e->from, location.source))
        return -ENODATA;
    *ret = e->from->value[location.source] + (uint64_t)(int64_t)location.offset;
    return 0;
}

static int read_memory(const struct evaluation *e, struct location location, uint64_t *ret) {
    uint64_t address;
    int r = read_source(e, location, &address);
    if (r == 0)
        r = memory_read(e->memory, address, ret);
    if (r == 0)
        *ret += (uint64_t)(int64_t)location.addend;
    return r;
}

static int evaluate_cfa(const struct evaluation *e, struct location cfa, uint64_t *ret, bool *ret_used_kept) {
    int r;
    switch (cfa.kind) {
    case LOCATION_REGISTER:
        r = read_source(e, cfa, ret);
        *ret_used_kept = r < 0 && (e->kept >> cfa.source & 1);
        if (*ret_used_kept)
            *ret = e->from->value[cfa.source] + (uint64_t)(int64_t)cfa.offset;
        return *ret_used_kept ? 0 : r;
    case LOCATION_MEMORY:
        return read_memory(e, cfa, ret);
    case LOCATION_PLT:
        if (!registers_have(e->from, UNWIND_PC))
            return -ENODATA;
        r = read_source(e, cfa, ret);
        if (r == 0 && (int)(e->from->value[UNWIND_PC] & 15) >= cfa.addend)
            *ret += 8;
        return r;
    default:
        return -ENODATA;
    }
}

static int read_same(const struct evaluation *e, unsigned target, uint64_t *ret) {
    if (!registers_have(e->from, target))
        return -ENODATA;
    *ret = e->from->value[target];
    return 0;
}

/*
 * Rows of epilogues are often stale about registers that are popped already; in the innermost frame that can be told:
 *   - the slot lies below the stack pointer;
 *   - GCC's realigned frames keep "rbp = [rbp + 0]" up to the ret. It holds while the CFA comes from the frame, or as long as rbp == rsp
 * (between `mov %rsp,%rbp` and the next push, and just before `pop %rbp`); behind the pop rbp is the caller's.
 */
static bool is_restored(const struct evaluation *e, struct location location, unsigned target) {
    uint64_t rsp = e->from->value[UNWIND_RSP], address;
    if (!e->is_innermost || target == UNWIND_PC)
        return false;
    if (location.kind == LOCATION_CFA)
        return e->cfa + (uint64_t)(int64_t)location.offset < rsp;
    if (location.kind != LOCATION_MEMORY || read_source(e, location, &address) < 0)
        return false;
    bool is_own_frame = target == UNWIND_RBP && location.source == UNWIND_RBP && e->rule->cfa.kind == LOCATION_REGISTER;
    return address < rsp || (is_own_frame && address != rsp);
}

static int evaluate(const struct evaluation *e, struct location location, unsigned target, uint64_t *ret) {
    if (is_restored(e, location, target))
        return read_same(e, target, ret);
    switch (location.kind) {
    case LOCATION_SAME:
        return read_same(e, target, ret);
    case LOCATION_CFA:
        return memory_read(e->memory, e->cfa + (uint64_t)(int64_t)location.offset, ret);
    case LOCATION_CFA_VALUE:
        *ret = e->cfa + (uint64_t)(int64_t)location.offset;
        return 0;
    case LOCATION_REGISTER:
        return read_source(e, location, ret);
    case LOCATION_MEMORY:
        return read_memory(e, location, ret);
    default:
        return -ENODATA;
    }
}

static uint64_t slot_of(const struct evaluation *e, struct location location) {
    if (location.kind == LOCATION_CFA)
        return e->cfa + (uint64_t)(int64_t)location.offset;
    if (location.kind == LOCATION_MEMORY)
        return e->from->value[location.source] + (uint64_t)(int64_t)location.offset;
    return 0;
}

int step_by_rule(const struct rule *rule, const struct rule_register *list, struct memory *memory, const struct unwind_registers *from,
                 uint32_t kept, bool is_innermost, struct step *ret) {
    struct evaluation e = {.rule = rule, .memory = memory, .from = from, .kept = kept, .is_innermost = is_innermost};
    struct step step = {.is_signal_frame = rule->hot.is_signal_frame};
    int r = evaluate_cfa(&e, rule->cfa, &e.cfa, &step.used_kept);
    if (r < 0)
        return r;
    struct location return_address = {.kind = LOCATION_CFA, .offset = -8};
    step.cfa = e.cfa;
    step.kept = (from->valid | kept) & CALLER_SAVED;
    step.registers = (struct unwind_registers){.valid = from->valid & CALLEE_SAVED};
    memcpy(step.registers.value, from->value, sizeof step.registers.value);
    registers_set(&step.registers, UNWIND_RSP, e.cfa);
    for (unsigned i = 0; i < rule->hot.register_count; i++) {
        unsigned target = list[i].target;
        if (target == UNWIND_PC) {
            return_address = list[i].location;
            continue;
        }
        step.registers.valid &= ~(1u << target);
        step.kept &= ~(1u << target);
        uint64_t value;
        if (evaluate(&e, list[i].location, target, &value) == 0)
            registers_set(&step.registers, target, value);
    }

    /* Before the return address is looked for where it cannot be. */
    uint64_t pc;
    if (!rule->hot.is_signal_frame && registers_have(&step.registers, UNWIND_RSP) && registers_have(from, UNWIND_RSP) &&
        step.registers.value[UNWIND_RSP] < from->value[UNWIND_RSP])
        return -ELOOP;
    r = evaluate(&e, return_address, UNWIND_PC, &pc);
    if (r < 0)
        return r;
    registers_set(&step.registers, UNWIND_PC, pc);
    step.return_slot = slot_of(&e, return_address);
    *ret = step;
    return 0;
}
