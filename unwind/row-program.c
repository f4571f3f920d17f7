/* SPDX-License-Identifier: MIT */
#include "unwind/row-program.h"

#include <string.h>

enum {
    DW_CFA_undefined = 0x07,
    DW_CFA_same_value = 0x08,
    DW_CFA_def_cfa_expression = 0x0f,
    DW_CFA_expression = 0x10,
    DW_CFA_offset_extended_sf = 0x11,
    DW_CFA_def_cfa_sf = 0x12,
    DW_CFA_val_expression = 0x16,

    DW_OP_deref = 0x06,
    DW_OP_consts = 0x11,
    DW_OP_plus = 0x22,
    DW_OP_breg0 = 0x70,
};

struct writer {
    uint8_t *to;
    size_t length;
    bool is_full;
};

static void put(struct writer *w, const void *data, size_t length) {
    if (length > ROW_PROGRAM_MAX - w->length) {
        w->is_full = true;
        return;
    }
    memcpy(w->to + w->length, data, length);
    w->length += length;
}

static void put_u8(struct writer *w, unsigned value) {
    put(w, &(uint8_t){(uint8_t)value}, 1);
}

static void put_uleb(struct writer *w, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        put_u8(w, (value & 0x7f) | 0x80);
    put_u8(w, (unsigned)value);
}

static void put_sleb(struct writer *w, int64_t value) {
    for (; value < -64 || value > 63; value >>= 7)
        put_u8(w, ((uint64_t)value & 0x7f) | 0x80);
    put_u8(w, (uint64_t)value & 0x7f);
}

static void put_block(struct writer *w, struct bytes block) {
    put_uleb(w, bytes_left(&block));
    put(w, block.at, bytes_left(&block));
}

/* source + offset, or [source + offset] + addend */
static void put_value_block(struct writer *w, struct location location) {
    uint8_t block[32];
    struct writer b = {.to = block};
    put_u8(&b, DW_OP_breg0 + location.source);
    put_sleb(&b, location.offset);
    if (location.kind == LOCATION_MEMORY) {
        put_u8(&b, DW_OP_deref);
        put_u8(&b, DW_OP_consts);
        put_sleb(&b, location.addend);
        put_u8(&b, DW_OP_plus);
    }
    put_block(w, bytes_of(block, b.length));
}

/* CFA + offset: the CFA is on the stack when the expression of a register begins. */
static void put_cfa_sum(struct writer *w, int64_t offset) {
    uint8_t block[16];
    struct writer b = {.to = block};
    put_u8(&b, DW_OP_consts);
    put_sleb(&b, offset);
    put_u8(&b, DW_OP_plus);
    put_block(w, bytes_of(block, b.length));
}

static void put_cfa(struct writer *w, const struct elf_cfi_fde *fde, struct location cfa) {
    if (cfa.kind == LOCATION_REGISTER) {
        put_u8(w, DW_CFA_def_cfa_sf);
        put_uleb(w, cfa.source);
        put_sleb(w, cfa.offset);
        return;
    }
    put_u8(w, DW_CFA_def_cfa_expression);
    if (cfa.kind == LOCATION_EXPRESSION_VALUE)
        put_block(w, program_expression(fde, cfa));
    else if (cfa.kind == LOCATION_MEMORY)
        put_value_block(w, cfa);
    else
        w->is_full = true; /* a PLT entry saves no register, so that none of its rows comes here */
}

static void put_head(struct writer *w, unsigned opcode, unsigned number) {
    put_u8(w, opcode);
    put_uleb(w, number);
}

/* Factored offsets are written for a data alignment factor of 1. */
static void put_register(struct writer *w, const struct elf_cfi_fde *fde, unsigned number, struct location location) {
    switch (location.kind) {
    case LOCATION_SAME:
        put_head(w, DW_CFA_same_value, number);
        break;
    case LOCATION_CFA:
        put_head(w, DW_CFA_offset_extended_sf, number);
        put_sleb(w, location.offset);
        break;
    case LOCATION_CFA_VALUE:
        put_head(w, DW_CFA_val_expression, number); /* DW_CFA_val_offset is nothing libunwind 1.6 knows */
        put_cfa_sum(w, location.offset);
        break;
    case LOCATION_REGISTER:
    case LOCATION_MEMORY:
        put_head(w, DW_CFA_val_expression, number);
        put_value_block(w, location);
        break;
    case LOCATION_EXPRESSION:
        put_head(w, DW_CFA_expression, number);
        put_block(w, program_expression(fde, location));
        break;
    case LOCATION_EXPRESSION_VALUE:
        put_head(w, DW_CFA_val_expression, number);
        put_block(w, program_expression(fde, location));
        break;
    default:
        put_head(w, DW_CFA_undefined, number);
        break;
    }
}

size_t row_program_write(const struct elf_cfi_fde *fde, const struct program_row *row, uint8_t to[ROW_PROGRAM_MAX]) {
    struct writer w = {.to = to};
    put_cfa(&w, fde, row->cfa);
    for (unsigned number = 0; number < UNWIND_REGISTERS; number++) {
        if (row->registers[number].kind != LOCATION_UNSPECIFIED)
            put_register(&w, fde, number, row->registers[number]);
    }
    return w.is_full ? 0 : w.length;
}
