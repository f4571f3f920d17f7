/* SPDX-License-Identifier: MIT */
#include "unwind/signal-entry.h"

#include "unwind/step.h"

/* struct ucontext and sigcontext_64 (arch/x86/include/uapi/asm), in words. */
enum { FLAGS = 0, GENERAL = 5, GENERAL_COUNT = 17, SELECTORS = 5 + 18, WORDS = SELECTORS + 1 };

/* sigcontext's registers in its order, by DWARF number. */
static const uint8_t order[GENERAL_COUNT] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, UNWIND_RBP, UNWIND_RBX, 1, 0, 2, UNWIND_RSP, UNWIND_PC};

/* The flags known to 6.18 (UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS), and a user's code selector between zeros (gs, fs). */
static bool is_context(const uint64_t words[WORDS]) {
    return words[FLAGS] <= 7 && (words[SELECTORS] & 0x0000ffffffff0003) == 3;
}

static bool read_context(const struct memory *memory, uint64_t address, uint64_t words[WORDS]) {
    if (!memory_in_sample(memory, address, WORDS * sizeof *words))
        return false;
    memcpy(words, memory->stack + (address - memory->base), WORDS * sizeof *words);
    return true;
}

bool signal_entry_mend(const struct memory *memory, struct unwind_registers *registers) {
    uint64_t sp = registers->value[UNWIND_RSP], words[WORDS];
    for (uint64_t offset = 0; offset <= sizeof *words; offset += sizeof *words) {
        if (!read_context(memory, sp + offset, words) || words[GENERAL + GENERAL_COUNT - 1] != registers->value[UNWIND_PC] ||
            !is_context(words))
            continue;
        for (size_t i = 0; i < GENERAL_COUNT; i++)
            registers_set(registers, order[i], words[GENERAL + i]);
        return true;
    }
    return false;
}

bool signal_entry_is_torn(const struct memory *memory, const struct unwind_registers *registers) {
    uint64_t words[WORDS];
    return read_context(memory, registers->value[UNWIND_RSP], words) && !is_context(words);
}
