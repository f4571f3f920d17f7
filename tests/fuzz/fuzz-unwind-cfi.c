/* SPDX-License-Identifier: MIT */
/*
 * CFA programs -> rules -> walks over memory that the same input made up.
 *
 *     u8 length of the CIE's instructions, of each of three FDEs'; the instructions; the rest is stack, from rsp on, and registers
 */
#include <errno.h>
#include <stdlib.h>

#include "unwind/module.h"

enum { FDES = 3, FDE_BYTES = 0x100, BIAS = 0x10000, STACK_BASE = 0x7000000, MAPPING = FDES * FDE_BYTES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    const struct unwind_module *module;
    const uint8_t *beyond;
    size_t beyond_length;
    uint64_t reads;
};

static void find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct world *world = context;
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    if (pc >= BIAS && pc < BIAS + MAPPING)
        *ret = (struct unwind_place){
            .state = UNWIND_PLACE_READY, .start = BIAS, .end = BIAS + MAPPING, .bias = BIAS, .module_id = 1, .module = world->module};
}

/* Memory everywhere above the stack: the input's last bytes, over and over. */
static int read_memory(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source) {
    struct world *world = context;
    if (world->beyond_length == 0 || address < STACK_BASE || address > STACK_BASE + (1u << 24))
        return -EFAULT;
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = world->beyond[(address + i) % world->beyond_length];
    world->reads++;
    *ret_source = UNWIND_FROM_LIVE;
    return 0;
}

static struct unwind_module *build(struct bytes *input) {
    struct module_builder *builder;
    struct unwind_module *module = NULL;
    uint8_t lengths[FDES + 1];
    for (unsigned i = 0; i <= FDES; i++)
        lengths[i] = bytes_u8(input);
    struct elf_cfi_cie cie = {.code_align = 1, .data_align = -8, .return_register = 16, .version = 1, .address_size = 8};
    cie.instructions = bytes_sub(input, lengths[0] & 0x3f);
    cie.is_signal_frame = lengths[0] & 0x80;
    if (module_builder_new(&builder) < 0)
        return NULL;
    for (unsigned i = 0; i < FDES; i++) {
        struct elf_cfi_fde fde = {.cie = &cie, .start = i * FDE_BYTES, .end = (i + 1) * FDE_BYTES};
        fde.instructions = bytes_sub(input, lengths[i + 1]);
        if (!input->failed && !cie.instructions.failed)
            (void)module_builder_add(builder, &fde);
    }
    (void)module_builder_finish(builder, NULL, &module);
    module_builder_free(builder);
    return module;
}

/* What the door promises of any stack. */
static void hold(const struct unwind_stack *stack) {
    if (stack->count == 0 || stack->count > UNWIND_HEAD_FRAMES + 1 + UNWIND_TAIL_FRAMES || stack->end >= STACK_END_COUNT)
        abort();
    for (size_t i = 0; i < stack->count; i++) {
        if (stack->frames[i].class >= FRAME_CLASS_COUNT || stack->frames[i].kind >= FRAME_KIND_COUNT)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct unwinder *unwinder;
    static uint64_t generation;
    struct bytes input = bytes_of(data, size);
    struct unwind_history *history = NULL;
    struct unwind_stack stack;
    if (!unwinder && unwinder_new(&unwinder) < 0)
        return 0;
    struct unwind_module *module = build(&input);
    if (!module)
        return 0;

    struct world world = {.module = module, .beyond = input.at, .beyond_length = bytes_left(&input)};
    struct unwind_space space = {.generation = ++generation, .context = &world, .find = find, .read = read_memory};
    struct unwind_sample sample = {.stack = input.at, .stack_base = STACK_BASE, .stack_length = bytes_left(&input) & ~(size_t)7};
    sample.registers.valid = (1u << UNWIND_REGISTERS) - 1;
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
        sample.registers.value[i] = STACK_BASE + (input.failed ? 0 : bytes_u8(&input));
    sample.registers.value[UNWIND_RSP] = STACK_BASE;
    for (uint64_t pc = 0; pc < MAPPING; pc += FDE_BYTES / 4) {
        sample.registers.value[UNWIND_PC] = BIAS + pc;
        if (unwinder_walk(unwinder, &sample, &space, &history, &stack) == 0)
            hold(&stack);
    }
    unwind_history_free(history);
    unwind_module_free(module);
    return 0;
}
