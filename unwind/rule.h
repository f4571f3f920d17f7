/* SPDX-License-Identifier: MIT */
/*
 * What CFI says of one stretch of code, as data.
 *
 *   location  where the value of one of the caller's registers is:
 *
 *     LOCATION_SAME         value = source register's own, unchanged
 *     LOCATION_CFA          value = [CFA + offset]
 *     LOCATION_CFA_VALUE    value =  CFA + offset
 *     LOCATION_REGISTER     value =  source + offset
 *     LOCATION_MEMORY       value = [source + offset] + addend
 *     LOCATION_PLT          value =  source + offset + ((pc & 15) >= addend ? 8 : 0)     a CFA only: lazy PLT entries push one word
 *     LOCATION_EXPRESSION   value = [DWARF expression]                                   no table form: libunwind evaluates it
 *     LOCATION_EXPRESSION_VALUE     DWARF expression
 *     LOCATION_UNSPECIFIED  CFI is silent: callee-saved registers keep their value, the others are lost
 *     LOCATION_UNDEFINED    CFI says that the value is gone. For the return address: this is the outermost frame
 *     LOCATION_LOST         the value is where we cannot look (a vector register)
 *
 * Every `source` is a register of the frame that is being left.
 *
 *   rule      the locations of CFA, return address and registers, interned per module. Its `hot` part is all that nearly every frame needs:
 *
 *     RULE_RSP, RULE_RBP    CFA = rsp (rbp) + cfa_offset;  return address = [CFA - 8];  rbp = rbp_offset ? [CFA + rbp_offset] : rbp
 *     RULE_GENERAL          evaluate `cfa` and the list of registers
 *     RULE_LIBUNWIND        as RULE_GENERAL, but some location is an expression
 *     RULE_END              the return address is undefined: nothing called this
 *     RULE_NONE             no CFI
 *
 * Rules of all forms but END and NONE have `cfa` and `registers` filled in, so that the general evaluation is right for any of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "unwind/unwind.h"

enum location_kind {
    LOCATION_UNSPECIFIED,
    LOCATION_UNDEFINED,
    LOCATION_LOST,
    LOCATION_SAME,
    LOCATION_CFA,
    LOCATION_CFA_VALUE,
    LOCATION_REGISTER,
    LOCATION_MEMORY,
    LOCATION_PLT,
    LOCATION_EXPRESSION,
    LOCATION_EXPRESSION_VALUE,
};

/* For expressions `offset` is that of the expression's length (ULEB128) in the CIE's (source 0) or the FDE's (source 1) instructions. */
struct location {
    uint8_t kind;
    uint8_t source;
    int16_t addend;
    int32_t offset;
};

static_assert(sizeof(struct location) == 8, "compared and hashed as one word");

enum rule_form { RULE_NONE, RULE_END, RULE_RSP, RULE_RBP, RULE_GENERAL, RULE_LIBUNWIND };

struct rule_hot {
    uint8_t form;
    bool is_signal_frame; /* the caller was interrupted: its pc is no return address, and all its registers are known */
    uint16_t register_count;
    int32_t cfa_offset;
    int32_t rbp_offset;
    uint32_t first_register; /* in the module's list of register locations */
};

struct rule {
    struct rule_hot hot;
    struct location cfa;
    bool is_eh_return;   /* of a function that may have overwritten its own return address (libgcc's unwinder) */
    uint32_t expression; /* RULE_LIBUNWIND: the row as a CFA program of its own, in the module's bytes */
    uint32_t expression_length;
};

/* One entry of a rule's list: registers that are not listed are LOCATION_UNSPECIFIED, the return address then being [CFA - 8]. */
struct rule_register {
    struct location location;
    uint32_t target;
};

/* Masks of registers. rbx, rbp, r12..r15: the psABI makes the callee keep them (figure 3.4). rsp and the pc are neither. */
enum { CALLEE_SAVED = 0xf048, CALLER_SAVED = 0x0f37 };

static inline bool register_is_callee_saved(unsigned number) {
    return (CALLEE_SAVED >> number) & 1;
}
