/* SPDX-License-Identifier: MIT */
/* Modules made of hand-written FDEs, and an address space of one such module at a bias, with a fake stack. */
#pragma once

#include "tests/check.h"
#include "unwind/module.h"
#include "unwind/unwind.h"

enum { FAKE_BIAS = 0x10000000 };

/* def_cfa rsp+8; offset rip at CFA-8: every x86-64 CIE */
static const uint8_t fake_cie_instructions[] = {0x0c, 7, 8, 0x80 | 16, 1};

static struct elf_cfi_cie fake_cie(void) {
    return (struct elf_cfi_cie){.code_align = 1,
                                .data_align = -8,
                                .return_register = 16,
                                .version = 1,
                                .address_size = 8,
                                .instructions = bytes_of(fake_cie_instructions, sizeof fake_cie_instructions)};
}

struct fake_fde {
    uint64_t start, end;
    const char *instructions;
    size_t length;
    bool is_signal_frame;
};

#define FAKE_FDE(start, end, bytes) \
    { start, end, bytes, sizeof(bytes) - 1, false }

static inline struct unwind_module *fake_module(const struct fake_fde *fdes, size_t count) {
    struct module_builder *builder;
    struct unwind_module *module = NULL;
    if (module_builder_new(&builder) < 0)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct elf_cfi_cie cie = fake_cie();
        cie.is_signal_frame = fdes[i].is_signal_frame;
        struct elf_cfi_fde fde = {
            .cie = &cie, .start = fdes[i].start, .end = fdes[i].end, .instructions = bytes_of(fdes[i].instructions, fdes[i].length)};
        if (module_builder_add(builder, &fde) < 0)
            abort();
    }
    if (module_builder_finish(builder, NULL, &module) < 0)
        abort();
    module_builder_free(builder);
    return module;
}

struct fake_space {
    struct unwind_space space;
    struct unwind_module *module;
    uint64_t length; /* of the mapping */
    enum unwind_place_state state;
};

static inline void fake_find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct fake_space *fake = context;
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    if (pc >= FAKE_BIAS && pc < FAKE_BIAS + fake->length)
        *ret = (struct unwind_place){.state = fake->state,
                                     .start = FAKE_BIAS,
                                     .end = FAKE_BIAS + fake->length,
                                     .bias = FAKE_BIAS,
                                     .module_id = 7,
                                     .module = fake->module};
}

static inline void fake_space_init(struct fake_space *fake, struct unwind_module *module) {
    static uint64_t generation;
    *fake = (struct fake_space){.space = {.generation = ++generation, .context = fake, .find = fake_find},
                                .module = module,
                                .length = 0x100000,
                                .state = UNWIND_PLACE_READY};
}

/* rsp at the start of `words`, pc as given, all else 0 and known. */
static inline struct unwind_sample fake_sample(uint64_t pc, const uint64_t *words, size_t count) {
    struct unwind_sample sample = {.stack = (const uint8_t *)words, .stack_base = (uintptr_t)words, .stack_length = count * 8};
    sample.registers.valid = (1u << UNWIND_REGISTERS) - 1;
    sample.registers.value[UNWIND_PC] = pc;
    sample.registers.value[UNWIND_RSP] = (uintptr_t)words;
    return sample;
}
