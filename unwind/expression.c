/* SPDX-License-Identifier: MIT */
#include "unwind/expression.h"

enum {
    DW_OP_addr = 0x03,
    DW_OP_deref = 0x06,
    DW_OP_const1u = 0x08,
    DW_OP_const8s = 0x0f,
    DW_OP_constu = 0x10,
    DW_OP_consts = 0x11,
    DW_OP_dup = 0x12,
    DW_OP_pick = 0x15,
    DW_OP_rot = 0x17,
    DW_OP_abs = 0x19,
    DW_OP_and = 0x1a,
    DW_OP_div = 0x1b,
    DW_OP_mod = 0x1d,
    DW_OP_plus = 0x22,
    DW_OP_plus_uconst = 0x23,
    DW_OP_shl = 0x24,
    DW_OP_bra = 0x28,
    DW_OP_ge = 0x2a,
    DW_OP_skip = 0x2f,
    DW_OP_lit0 = 0x30,
    DW_OP_lit31 = 0x4f,
    DW_OP_breg0 = 0x70,
    DW_OP_breg16 = 0x80,
    DW_OP_deref_size = 0x94,
    DW_OP_nop = 0x96,
};

static bool take(struct bytes *b, uint8_t opcode) {
    if (b->at == b->end || *b->at != opcode)
        return false;
    b->at++;
    return true;
}

static bool take_register(struct bytes *b, uint8_t *ret_number, int64_t *ret_offset) {
    if (b->at == b->end || *b->at < DW_OP_breg0 || *b->at > DW_OP_breg16)
        return false;
    *ret_number = (uint8_t)(bytes_u8(b) - DW_OP_breg0);
    *ret_offset = bytes_sleb(b);
    return !b->failed;
}

static bool take_literal(struct bytes *b, int64_t *ret) {
    if (b->at == b->end || *b->at < DW_OP_lit0 || *b->at > DW_OP_lit31)
        return false;
    *ret = bytes_u8(b) - DW_OP_lit0;
    return true;
}

/* Nothing, or "+ n". */
static bool take_sum(struct bytes *b, int64_t *ret) {
    *ret = 0;
    if (take(b, DW_OP_plus_uconst)) {
        *ret = (int64_t)bytes_uleb(b);
        return !b->failed;
    }
    return !take_literal(b, ret) || take(b, DW_OP_plus);
}

static bool make(enum location_kind kind, uint8_t source, int64_t offset, int64_t addend, struct location *ret) {
    if (offset != (int32_t)offset || addend != (int16_t)addend)
        return false;
    *ret = (struct location){.kind = kind, .source = source, .addend = (int16_t)addend, .offset = (int32_t)offset};
    return true;
}

/* R + n, or [R + n] + m */
static bool recognise_value(struct bytes b, struct location *ret) {
    uint8_t source;
    int64_t offset, addend;
    if (!take_register(&b, &source, &offset))
        return false;
    bool is_memory = take(&b, DW_OP_deref);
    if (!take_sum(&b, &addend) || b.at != b.end)
        return false;
    if (is_memory)
        return make(LOCATION_MEMORY, source, offset, addend, ret);
    return !__builtin_add_overflow(offset, addend, &offset) && make(LOCATION_REGISTER, source, offset, 0, ret);
}

static bool recognise_plt(struct bytes b, struct location *ret) {
    uint8_t stack, pc;
    int64_t offset, none, mask, threshold, shift;
    return take_register(&b, &stack, &offset) && stack == UNWIND_RSP && take_register(&b, &pc, &none) && pc == UNWIND_PC && none == 0 &&
           take_literal(&b, &mask) && mask == 15 && take(&b, DW_OP_and) && take_literal(&b, &threshold) && take(&b, DW_OP_ge) &&
           take_literal(&b, &shift) && shift == 3 && take(&b, DW_OP_shl) && take(&b, DW_OP_plus) && b.at == b.end &&
           make(LOCATION_PLT, stack, offset, threshold, ret);
}

bool expression_recognise_cfa(struct bytes expression, struct location *ret) {
    return recognise_value(expression, ret) || recognise_plt(expression, ret);
}

bool expression_recognise(struct bytes expression, enum location_kind kind, struct location *ret) {
    struct location value;
    int64_t offset;
    struct bytes sum = expression;
    if (take_sum(&sum, &offset) && sum.at == sum.end)
        return make(kind == LOCATION_EXPRESSION ? LOCATION_CFA : LOCATION_CFA_VALUE, 0, offset, 0, ret);
    if (!recognise_value(expression, &value))
        return false;
    if (kind == LOCATION_EXPRESSION_VALUE) {
        *ret = value;
        return true;
    }
    return value.kind == LOCATION_REGISTER && make(LOCATION_MEMORY, value.source, value.offset, 0, ret);
}

/* One operation and its operands; false: not one of those allowed. */
static bool skip_safe(struct bytes *b) {
    uint8_t opcode = bytes_u8(b);
    if (opcode >= DW_OP_const1u && opcode <= DW_OP_const8s) {
        bytes_skip(b, 1u << ((opcode - DW_OP_const1u) / 2));
    } else if (opcode == DW_OP_constu || opcode == DW_OP_consts || opcode == DW_OP_plus_uconst ||
               (opcode >= DW_OP_breg0 && opcode <= DW_OP_breg16)) {
        bytes_uleb(b);
    } else if (opcode == DW_OP_pick || opcode == DW_OP_deref_size) {
        bytes_skip(b, 1);
    } else if (opcode == DW_OP_addr) {
        bytes_skip(b, 8);
    } else if (opcode == DW_OP_bra || opcode == DW_OP_skip) {
        int16_t by = bytes_s16(b);
        return !b->failed && by >= 0 && (size_t)by <= bytes_left(b);
    } else if (opcode == DW_OP_div || opcode == DW_OP_mod) {
        return false;
    } else {
        bool is_stack_operation = opcode >= DW_OP_dup && opcode <= DW_OP_rot;
        bool is_arithmetic = opcode >= DW_OP_abs && opcode < DW_OP_skip;
        bool is_literal = opcode >= DW_OP_lit0 && opcode <= DW_OP_lit31;
        return is_stack_operation || is_arithmetic || is_literal || opcode == DW_OP_deref || opcode == DW_OP_nop;
    }
    return !b->failed;
}

bool expression_is_safe(struct bytes expression) {
    while (expression.at < expression.end) {
        if (!skip_safe(&expression))
            return false;
    }
    return true;
}
