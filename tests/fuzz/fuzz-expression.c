/* SPDX-License-Identifier: MIT */
/*
 * DWARF expressions: those that cprof recognises as locations must give what libunwind computes of them, and those it takes to be safe must
 * not make libunwind crash, hang or read what is not there.
 *
 *     u8 what the expression is of: CFA, rbp's place, rbp's value; u8 its length; the expression; the rest is stack, from rsp on
 *
 * Not compared: an expression that cprof leaves to libunwind, rows of which libunwind has no caller (0, where rbp's place is the address
 * 0), and the stale rows of epilogues, which cprof mends in innermost frames.
 */
#include <stdlib.h>

#include "unwind/expression.h"
#include "unwind/fallback.h"
#include "unwind/module.h"

enum { OF_CFA, OF_RBP, OF_RBP_VALUE, PLACES };
enum {
    DW_CFA_def_cfa = 0x0c,
    DW_CFA_def_cfa_expression = 0x0f,
    DW_CFA_expression = 0x10,
    DW_CFA_offset_extended_sf = 0x11,
    DW_CFA_val_offset_sf = 0x15,
    DW_CFA_val_expression = 0x16,
};
enum { STACK = 0x7000000, EXPRESSION_MAX = 127, ROW_MAX = EXPRESSION_MAX + 16, FDE_BYTES = 0x100, RBX_OFFSET = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct row {
    uint8_t bytes[ROW_MAX];
    uint32_t length;
};

static void put(struct row *row, const void *data, size_t length) {
    memcpy(row->bytes + row->length, data, length);
    row->length += (uint32_t)length;
}

/* CFA: the expression, or rsp + 16. Return address: [CFA - 8]. */
static struct row make_row(unsigned of, struct bytes expression) {
    const uint8_t length = (uint8_t)bytes_left(&expression);
    const uint8_t cfa[] = {DW_CFA_def_cfa, UNWIND_RSP, 16}, cfa_expression[] = {DW_CFA_def_cfa_expression, length};
    const uint8_t rbp[] = {of == OF_RBP ? DW_CFA_expression : DW_CFA_val_expression, UNWIND_RBP, length};
    const uint8_t return_address[] = {DW_CFA_offset_extended_sf, UNWIND_PC, 0x78 /* -8 */};
    struct row row = {.length = 0};
    put(&row, return_address, sizeof return_address);
    if (of != OF_CFA)
        put(&row, cfa, sizeof cfa);
    put(&row, of == OF_CFA ? cfa_expression : rbp, of == OF_CFA ? sizeof cfa_expression : sizeof rbp);
    put(&row, expression.at, length);
    return row;
}

/* The module says of rbx besides that it is CFA + RBX_OFFSET, by an instruction that libunwind does not know. */
static struct unwind_module *build(struct row row) {
    struct module_builder *builder;
    struct unwind_module *module = NULL;
    const struct elf_cfi_cie cie = {.code_align = 1, .data_align = 1, .return_register = 16, .version = 1, .address_size = 8};
    static const uint8_t rbx[] = {DW_CFA_val_offset_sf, UNWIND_RBX, RBX_OFFSET};
    put(&row, rbx, sizeof rbx);
    const struct elf_cfi_fde fde = {.cie = &cie, .start = 0, .end = FDE_BYTES, .instructions = bytes_of(row.bytes, row.length)};
    if (module_builder_new(&builder) < 0)
        return NULL;
    (void)module_builder_add(builder, &fde);
    (void)module_builder_finish(builder, NULL, &module);
    module_builder_free(builder);
    return module;
}

static void expect(bool condition) {
    if (!condition)
        abort();
}

static void expect_same(const struct step *ours, const struct step *theirs) {
    expect(ours->cfa == theirs->registers.value[UNWIND_RSP]);
    expect(ours->registers.value[UNWIND_PC] == theirs->registers.value[UNWIND_PC]);
    if (registers_have(&ours->registers, UNWIND_RBP) && registers_have(&theirs->registers, UNWIND_RBP))
        expect(ours->registers.value[UNWIND_RBP] == theirs->registers.value[UNWIND_RBP]);
}

/* One step from `pc` by the row as the module has it, and by libunwind. */
static void compare(struct fallback *fallback, const struct unwind_module *module, const struct row *row, uint64_t pc, struct bytes stack) {
    static uint8_t piece[MEMORY_PIECE];
    const struct unwind_space space = {.generation = 1};
    struct memory memory = {.stack = stack.at, .base = STACK, .length = bytes_left(&stack) & ~(size_t)7, .space = &space, .piece = piece};
    struct unwind_registers registers = {.valid = (1u << UNWIND_REGISTERS) - 1};
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
        registers.value[i] = STACK + 8 * i;
    registers.value[UNWIND_RSP] = STACK;
    registers.value[UNWIND_PC] = pc;

    const struct rule *rule = module_find_rule(module, pc);
    struct step ours, theirs;
    if (rule->hot.form == RULE_NONE || rule->hot.form == RULE_END)
        return;
    int r = fallback_step(fallback, row->bytes, row->length, &memory, &registers, &theirs);
    if (r < 0 || theirs.registers.value[UNWIND_PC] == 0)
        return;
    const struct rules *rules = &module->rules;
    if (rule->hot.form == RULE_LIBUNWIND)
        r = fallback_step(fallback, &rules->expressions.items[rule->expression], rule->expression_length, &memory, &registers, &ours);
    else
        r = step_by_rule(rule, &rules->registers.items[rule->hot.first_register], &memory, &registers, 0, false, &ours);
    if (r < 0)
        return;
    expect_same(&ours, &theirs);
    expect(registers_have(&ours.registers, UNWIND_RBX) && ours.registers.value[UNWIND_RBX] == ours.cfa + RBX_OFFSET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fallback *fallback;
    struct bytes input = bytes_of(data, size);
    unsigned of = bytes_u8(&input) % PLACES;
    struct bytes expression = bytes_sub(&input, bytes_u8(&input) % (EXPRESSION_MAX + 1));
    if (expression.failed || !expression_is_safe(expression) || (!fallback && fallback_new(&fallback) < 0))
        return 0;
    struct row row = make_row(of, expression);
    struct unwind_module *module = build(row);
    if (!module)
        return 0;
    for (uint64_t pc = 0; pc < 16; pc += 5) /* a PLT's row depends on it */
        compare(fallback, module, &row, pc, input);
    unwind_module_free(module);
    return 0;
}
