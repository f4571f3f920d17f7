/* SPDX-License-Identifier: MIT */
/* One step outwards by a rule: the general evaluation, right for every form of table rule and for every register. */
#pragma once

#include "unwind/memory.h"
#include "unwind/rule.h"

struct step {
    struct unwind_registers registers; /* the caller's */
    uint64_t cfa;
    uint64_t return_slot; /* where the return address was read; 0: it was in a register */
    bool is_signal_frame; /* the caller was interrupted: its pc is no return address */
    uint32_t kept;        /* caller-saved registers that no rule so far has said to be changed: in `registers`, but not valid */
    bool used_kept;       /* the CFA came from one of those of the frame left: to be proved */
};

static inline bool registers_have(const struct unwind_registers *registers, unsigned number) {
    return (registers->valid >> number) & 1;
}

static inline void registers_set(struct unwind_registers *registers, unsigned number, uint64_t value) {
    registers->value[number] = value;
    registers->valid |= 1u << number;
}

/*
 * Evaluates `rule` (RULE_RSP, RULE_RBP, RULE_GENERAL) on `from`. `list` is its register list. `is_innermost`: a save slot below the stack
 * pointer, which an epilogue's stale row may name, means that the register has its value again.
 * -ELOOP: the caller's sp would lie further in than this frame's. -EFAULT: memory that is not there (-EAGAIN: is_held). -ENODATA: CFA or
 * return address need a register whose value is not known.
 *
 * `kept`: assembly (OpenSSL's and its kin) keeps its CFA in rax or r11 across calls of subroutines of its own, which leave those alone. CFI
 * has no word for that. So the CFA, and nothing else, may come from a register that is only kept.
 */
int step_by_rule(const struct rule *rule, const struct rule_register *list, struct memory *memory, const struct unwind_registers *from,
                 uint32_t kept, bool is_innermost, struct step *ret);
