/* SPDX-License-Identifier: MIT */
#include "unwind/program.h"

#include <errno.h>

#include "unwind/expression.h"

enum {
    DW_CFA_nop = 0x00,
    DW_CFA_set_loc = 0x01,
    DW_CFA_advance_loc1 = 0x02,
    DW_CFA_advance_loc2 = 0x03,
    DW_CFA_advance_loc4 = 0x04,
    DW_CFA_offset_extended = 0x05,
    DW_CFA_restore_extended = 0x06,
    DW_CFA_undefined = 0x07,
    DW_CFA_same_value = 0x08,
    DW_CFA_register = 0x09,
    DW_CFA_remember_state = 0x0a,
    DW_CFA_restore_state = 0x0b,
    DW_CFA_def_cfa = 0x0c,
    DW_CFA_def_cfa_register = 0x0d,
    DW_CFA_def_cfa_offset = 0x0e,
    DW_CFA_def_cfa_expression = 0x0f,
    DW_CFA_expression = 0x10,
    DW_CFA_offset_extended_sf = 0x11,
    DW_CFA_def_cfa_sf = 0x12,
    DW_CFA_def_cfa_offset_sf = 0x13,
    DW_CFA_val_offset = 0x14,
    DW_CFA_val_offset_sf = 0x15,
    DW_CFA_val_expression = 0x16,
    DW_CFA_MIPS_advance_loc8 = 0x1d,
    DW_CFA_GNU_args_size = 0x2e,
    DW_CFA_GNU_negative_offset_extended = 0x2f,
    DW_CFA_advance_loc = 0x40, /* the upper two bits; the operand is in the lower six */
    DW_CFA_offset = 0x80,
    DW_CFA_restore = 0xc0,
};

/* One run. In the CIE's instructions `fde` is NULL and time stands still. */
struct machine {
    struct program *program;
    const struct elf_cfi_cie *cie;
    const struct elf_cfi_fde *fde;
    struct bytes at;
    const uint8_t *instructions;
    struct program_row row;
    uint64_t pc;
    unsigned remembered;
    program_visit visit;
    void *context;
};

static bool fits_offset(int64_t value) {
    return value == (int32_t)value;
}

static int set_register(struct machine *m, uint64_t number, struct location location) {
    if (number < UNWIND_REGISTERS)
        m->row.registers[number] = location;
    return 0;
}

static int set_at_offset(struct machine *m, uint64_t number, enum location_kind kind, int64_t factored) {
    int64_t offset;
    if (__builtin_mul_overflow(factored, m->cie->data_align, &offset) || !fits_offset(offset))
        return -EBADMSG;
    return set_register(m, number, (struct location){.kind = kind, .offset = (int32_t)offset});
}

static int set_expression(struct machine *m, uint64_t number, enum location_kind kind) {
    int64_t offset = m->at.at - m->instructions;
    struct bytes expression = bytes_sub(&m->at, bytes_uleb(&m->at));
    if (m->at.failed || !fits_offset(offset))
        return -EBADMSG;
    struct location location;
    if (!expression_is_safe(expression))
        location = (struct location){.kind = LOCATION_LOST};
    else if (!expression_recognise(expression, kind, &location))
        location = (struct location){.kind = kind, .source = m->fde != NULL, .offset = (int32_t)offset};
    return set_register(m, number, location);
}

static int set_cfa_expression(struct machine *m) {
    int64_t offset = m->at.at - m->instructions;
    struct bytes expression = bytes_sub(&m->at, bytes_uleb(&m->at));
    if (m->at.failed || !fits_offset(offset))
        return -EBADMSG;
    if (!expression_is_safe(expression))
        m->row.cfa = (struct location){.kind = LOCATION_LOST};
    else if (!expression_recognise_cfa(expression, &m->row.cfa))
        m->row.cfa = (struct location){.kind = LOCATION_EXPRESSION_VALUE, .source = m->fde != NULL, .offset = (int32_t)offset};
    return 0;
}

static int set_cfa(struct machine *m, uint64_t source, int64_t offset) {
    if (!fits_offset(offset))
        return -EBADMSG;
    if (source >= UNWIND_REGISTERS)
        m->row.cfa = (struct location){.kind = LOCATION_LOST};
    else
        m->row.cfa = (struct location){.kind = LOCATION_REGISTER, .source = (uint8_t)source, .offset = (int32_t)offset};
    return 0;
}

static int scale(int64_t factored, int64_t by, int64_t *ret) {
    return __builtin_mul_overflow(factored, by, ret) ? -EBADMSG : 0;
}

/* def_cfa_register and def_cfa_offset change one half of a rule that must be there ("valid only if", section 6.4.2.2). */
static int set_cfa_offset(struct machine *m, int64_t offset) {
    return m->row.cfa.kind == LOCATION_REGISTER ? set_cfa(m, m->row.cfa.source, offset) : -EBADMSG;
}

static int set_cfa_register(struct machine *m, uint64_t source) {
    return m->row.cfa.kind == LOCATION_REGISTER ? set_cfa(m, source, m->row.cfa.offset) : -EBADMSG;
}

static int copy_register(struct machine *m, uint64_t number, uint64_t source) {
    if (source >= UNWIND_REGISTERS)
        return set_register(m, number, (struct location){.kind = LOCATION_LOST});
    return set_register(m, number, (struct location){.kind = LOCATION_REGISTER, .source = (uint8_t)source});
}

static int restore_register(struct machine *m, uint64_t number) {
    if (!m->fde)
        return -EBADMSG;
    return number < UNWIND_REGISTERS ? set_register(m, number, m->program->initial.registers[number]) : 0;
}

static int emit(struct machine *m) {
    return m->fde ? m->visit(m->context, m->pc, &m->row) : 0;
}

static int advance(struct machine *m, uint64_t factored) {
    uint64_t delta, pc;
    if (__builtin_mul_overflow(factored, m->cie->code_align, &delta) || __builtin_add_overflow(m->pc, delta, &pc))
        return -EBADMSG;
    if (!m->fde || delta == 0)
        return 0;
    int r = emit(m);
    if (r != 0)
        return r;
    m->pc = pc;
    if (pc >= m->fde->end)
        m->at.at = m->at.end; /* what follows is about no pc of this FDE */
    return 0;
}

static int remember(struct machine *m) {
    if (m->remembered == PROGRAM_REMEMBERED_ROWS)
        return -EBADMSG;
    m->program->remembered[m->remembered++] = m->row;
    return 0;
}

static int restore(struct machine *m) {
    if (m->remembered == 0)
        return -EBADMSG;
    m->row = m->program->remembered[--m->remembered];
    return 0;
}

static int run_extended(struct machine *m, uint8_t opcode) {
    struct bytes *at = &m->at;
    int64_t scaled;
    uint64_t first = 0;
    switch (opcode) {
    case DW_CFA_nop:
        return 0;
    case DW_CFA_advance_loc1:
        return advance(m, bytes_u8(at));
    case DW_CFA_advance_loc2:
        return advance(m, bytes_u16(at));
    case DW_CFA_advance_loc4:
        return advance(m, bytes_u32(at));
    case DW_CFA_MIPS_advance_loc8:
        return advance(m, bytes_u64(at));
    case DW_CFA_remember_state:
        return remember(m);
    case DW_CFA_restore_state:
        return restore(m);
    case DW_CFA_def_cfa_expression:
        return set_cfa_expression(m);
    case DW_CFA_set_loc: /* encoded as the CIE says, which no compiler has used for twenty years */
        return -EBADMSG;
    default:
        break;
    }

    first = bytes_uleb(at);
    switch (opcode) {
    case DW_CFA_def_cfa:
        return set_cfa(m, first, (int64_t)bytes_uleb(at));
    case DW_CFA_def_cfa_sf:
        return scale(bytes_sleb(at), m->cie->data_align, &scaled) ?: set_cfa(m, first, scaled);
    case DW_CFA_def_cfa_register:
        return set_cfa_register(m, first);
    case DW_CFA_def_cfa_offset:
        return set_cfa_offset(m, (int64_t)first);
    case DW_CFA_offset_extended:
        return set_at_offset(m, first, LOCATION_CFA, (int64_t)bytes_uleb(at));
    case DW_CFA_offset_extended_sf:
        return set_at_offset(m, first, LOCATION_CFA, bytes_sleb(at));
    case DW_CFA_GNU_negative_offset_extended:
        return set_at_offset(m, first, LOCATION_CFA, -(int64_t)(bytes_uleb(at) & INT64_MAX));
    case DW_CFA_val_offset:
        return set_at_offset(m, first, LOCATION_CFA_VALUE, (int64_t)bytes_uleb(at));
    case DW_CFA_val_offset_sf:
        return set_at_offset(m, first, LOCATION_CFA_VALUE, bytes_sleb(at));
    case DW_CFA_restore_extended:
        return restore_register(m, first);
    case DW_CFA_undefined:
        return set_register(m, first, (struct location){.kind = LOCATION_UNDEFINED});
    case DW_CFA_same_value:
        return set_register(m, first, (struct location){.kind = LOCATION_SAME});
    case DW_CFA_register:
        return copy_register(m, first, bytes_uleb(at));
    case DW_CFA_expression:
        return set_expression(m, first, LOCATION_EXPRESSION);
    case DW_CFA_val_expression:
        return set_expression(m, first, LOCATION_EXPRESSION_VALUE);
    case DW_CFA_GNU_args_size: /* for landing pads: it moves no CFA */
        return 0;
    default:
        return -EBADMSG;
    }
}

/* DW_CFA_def_cfa_offset_sf alone has a signed first operand. */
static int run_one(struct machine *m) {
    uint8_t opcode = bytes_u8(&m->at);
    uint8_t low = opcode & 0x3f;
    int64_t scaled;
    switch (opcode & 0xc0) {
    case DW_CFA_advance_loc:
        return advance(m, low);
    case DW_CFA_offset:
        return set_at_offset(m, low, LOCATION_CFA, (int64_t)bytes_uleb(&m->at));
    case DW_CFA_restore:
        return restore_register(m, low);
    default:
        if (opcode == DW_CFA_def_cfa_offset_sf)
            return scale(bytes_sleb(&m->at), m->cie->data_align, &scaled) ?: set_cfa_offset(m, scaled);
        return run_extended(m, opcode);
    }
}

static int run_all(struct machine *m, struct bytes instructions) {
    m->at = instructions;
    m->instructions = instructions.at;
    while (m->at.at < m->at.end) {
        int r = run_one(m);
        if (r != 0)
            return r;
    }
    return m->at.failed ? -EBADMSG : 0;
}

static bool is_same_cie(const struct elf_cfi_cie *a, const struct elf_cfi_cie *b) {
    return a->instructions.at == b->instructions.at && a->instructions.end == b->instructions.end && a->code_align == b->code_align &&
           a->data_align == b->data_align;
}

/* FDEs of one CIE come in a row, so that the last one's initial row is nearly always the one wanted. */
static int run_cie(struct program *p, const struct elf_cfi_cie *cie) {
    if (p->cie.instructions.at && is_same_cie(&p->cie, cie))
        return p->initial_error;
    struct machine m = {.program = p, .cie = cie};
    p->initial_error = run_all(&m, cie->instructions);
    p->initial = m.row;
    p->cie = *cie;
    return p->initial_error;
}

int program_run(struct program *p, const struct elf_cfi_fde *fde, program_visit visit, void *context) {
    int r = run_cie(p, fde->cie);
    if (r < 0)
        return r;
    struct machine m = {.program = p, .cie = fde->cie, .fde = fde, .row = p->initial, .pc = fde->start, .visit = visit, .context = context};
    r = run_all(&m, fde->instructions);
    if (r == 0 && m.pc < fde->end)
        r = emit(&m);
    return r;
}

struct bytes program_expression(const struct elf_cfi_fde *fde, struct location location) {
    struct bytes at = location.source ? fde->instructions : fde->cie->instructions;
    bytes_skip(&at, (uint64_t)location.offset);
    return bytes_sub(&at, bytes_uleb(&at));
}
