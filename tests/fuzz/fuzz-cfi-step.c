/* SPDX-License-Identifier: MIT */
/*
 * CFA programs, evaluated by cprof and by libunwind: one step out of each of several pcs must lead both to the same caller.
 *
 *     u8 length of the CIE's instructions, of each FDE's; then these instructions
 *
 * Both see one made-up memory, in which every word of the stack is another valid pc: the caller's pc says which slot it was read from.
 * What is compared: callers that cprof found by a row of its own tables (FRAME_TABLE). Not compared, and no fault of either:
 *   - where libunwind has no caller, or follows rbp since it could not evaluate the program: it refuses rows that cprof understands
 *   - where cprof stops: it doubts callers that lie outside the sample or do not lead outwards, which libunwind never does
 *   - rows that cprof leaves to libunwind (FRAME_LIBUNWIND), and frames it finds by machine code
 *   - programs with DW_CFA_val_offset: libunwind 1.6 does not know that it has operands
 */
#include <errno.h>
#include <libunwind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "unwind/module.h"

enum { FDES = 3, FDE_BYTES = 0x100, BIAS = 0x10000, MAPPING = FDES * FDE_BYTES, PROGRAM_MAX = 64 };
enum { TABLE = 0x20000000, TABLE_BYTES = 4096, STACK = 0x7000000, STACK_BYTES = 4096, RBP = STACK + 0x100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *info, unw_proc_info_t *ret, int need_info,
                                       void *context);

struct cfi_program {
    uint8_t bytes[PROGRAM_MAX + 8]; /* padded with DW_CFA_nop to a multiple of 8 */
    size_t length;
};

struct world {
    struct cfi_program cie, fdes[FDES];
    struct unwind_module *module;
    uint8_t table[TABLE_BYTES]; /* header, CIE, FDEs, as a linker would write them */
    size_t table_length, search_offset;
    uint64_t registers[UNWIND_REGISTERS];
};

/* ---- what is compared ------------------------------------------------------------------------------------------------------------ */

/* u: ULEB or SLEB, b: a block, 1..8: bytes (DWARF 5 table 7.29). */
static const char *const operands[0x40] = {
    [0x01] = "8",  [0x02] = "1",  [0x03] = "2",  [0x04] = "4",  [0x05] = "uu", [0x06] = "u",  [0x07] = "u",
    [0x08] = "u",  [0x09] = "uu", [0x0c] = "uu", [0x0d] = "u",  [0x0e] = "u",  [0x0f] = "b",  [0x10] = "ub",
    [0x11] = "uu", [0x12] = "uu", [0x13] = "u",  [0x16] = "ub", [0x2e] = "u",  [0x2f] = "uu",
};

static bool has_val_offset(const struct cfi_program *program) {
    struct bytes b = bytes_of(program->bytes, program->length);
    while (!bytes_empty(&b)) {
        uint8_t opcode = bytes_u8(&b), high = opcode & 0xc0;
        if (opcode == 0x14 || opcode == 0x15) /* DW_CFA_val_offset, DW_CFA_val_offset_sf */
            return true;
        const char *operand = high == 0x80 ? "u" : high || !operands[opcode] ? "" : operands[opcode];
        for (; *operand; operand++) {
            if (*operand >= '1' && *operand <= '8')
                bytes_skip(&b, (uint64_t)(*operand - '0'));
            else if (*operand == 'b')
                bytes_skip(&b, bytes_uleb(&b));
            else
                bytes_uleb(&b);
        }
    }
    return false;
}

/* ---- what both are shown --------------------------------------------------------------------------------------------------------- */

/* No two words of the stack are alike: 512 words, 768 pcs. */
static uint64_t stack_word(uint64_t address) {
    return BIAS + (address - STACK) / 8 + 1;
}

static bool in_stack(uint64_t address) {
    return address >= STACK && address - STACK <= STACK_BYTES - 8 && address % 8 == 0;
}

static void take_program(struct bytes *input, size_t length, struct cfi_program *ret) {
    struct bytes part = bytes_sub(input, length % PROGRAM_MAX);
    memset(ret, 0, sizeof *ret);
    ret->length = part.failed ? 0 : bytes_left(&part);
    if (ret->length)
        memcpy(ret->bytes, part.at, ret->length);
    ret->length = (ret->length + 7) & ~(size_t)7;
}

static void find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct world *world = context;
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    if (pc >= BIAS && pc < BIAS + MAPPING)
        *ret = (struct unwind_place){
            .state = UNWIND_PLACE_READY, .start = BIAS, .end = BIAS + MAPPING, .bias = BIAS, .module_id = 1, .module = world->module};
}

/* ---- cprof ----------------------------------------------------------------------------------------------------------------------- */

static bool build(struct world *w) {
    struct module_builder *builder;
    struct elf_cfi_cie cie = {.code_align = 1, .data_align = -8, .return_register = 16, .version = 1, .address_size = 8};
    cie.instructions = bytes_of(w->cie.bytes, w->cie.length);
    if (module_builder_new(&builder) < 0)
        return false;
    for (unsigned i = 0; i < FDES; i++) {
        struct elf_cfi_fde fde = {.cie = &cie, .start = i * FDE_BYTES, .end = (i + 1) * FDE_BYTES};
        fde.instructions = bytes_of(w->fdes[i].bytes, w->fdes[i].length);
        (void)module_builder_add(builder, &fde);
    }
    int r = module_builder_finish(builder, NULL, &w->module);
    module_builder_free(builder);
    return r == 0;
}

/* The caller by a row of ours; 0: none. */
static uint64_t ask_cprof(struct world *w) {
    static struct unwinder *unwinder;
    static uint64_t generation, words[STACK_BYTES / 8];
    struct unwind_stack stack;
    if (!unwinder && unwinder_new(&unwinder) < 0)
        return 0;
    for (size_t i = 0; i < STACK_BYTES / 8; i++)
        words[i] = stack_word(STACK + i * 8);
    struct unwind_space space = {.generation = ++generation, .context = w, .find = find};
    struct unwind_sample sample = {.stack = (const uint8_t *)words, .stack_base = STACK, .stack_length = STACK_BYTES};
    memcpy(sample.registers.value, w->registers, sizeof w->registers);
    sample.registers.valid = (1u << UNWIND_REGISTERS) - 1;
    if (unwinder_walk(unwinder, &sample, &space, NULL, &stack) < 0 || stack.count < 2 || stack.frames[1].class != FRAME_TABLE)
        return 0;
    return stack.frames[1].pc;
}

/* ---- libunwind ------------------------------------------------------------------------------------------------------------------- */

static size_t put(struct world *w, const void *data, size_t length) {
    size_t at = w->table_length;
    memcpy(w->table + at, data, length);
    w->table_length += length;
    return at;
}

static void put_u32(struct world *w, uint32_t value) {
    put(w, &value, sizeof value);
}

static void put_u64(struct world *w, uint64_t value) {
    put(w, &value, sizeof value);
}

/* LSB, ".eh_frame specification"; the search table as ".eh_frame_hdr": pairs of 32-bit offsets from the table's start. */
static void write_table(struct world *w) {
    static const uint8_t cie_head[] = {1, 0, 1, 0x78, 16}; /* version, no augmentation, code 1, data -8, return address column */
    uint32_t fde_at[FDES];
    w->table_length = 0;
    uint32_t cie = (uint32_t)w->table_length;
    put_u32(w, (uint32_t)(4 + sizeof cie_head + w->cie.length));
    put_u32(w, 0);
    put(w, cie_head, sizeof cie_head);
    put(w, w->cie.bytes, w->cie.length);
    for (unsigned i = 0; i < FDES; i++) {
        fde_at[i] = (uint32_t)w->table_length;
        put_u32(w, (uint32_t)(20 + w->fdes[i].length));
        put_u32(w, (uint32_t)w->table_length - cie);
        put_u64(w, BIAS + i * FDE_BYTES);
        put_u64(w, FDE_BYTES);
        put(w, w->fdes[i].bytes, w->fdes[i].length);
    }
    put_u32(w, 0);
    w->table_length = (w->table_length + 7) & ~(size_t)7;
    w->search_offset = w->table_length;
    for (unsigned i = 0; i < FDES; i++) {
        put_u32(w, (uint32_t)(BIAS + i * FDE_BYTES - TABLE));
        put_u32(w, fde_at[i]);
    }
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *ret, int need_info, void *context) {
    struct world *w = context;
    if (ip < BIAS || ip >= BIAS + MAPPING)
        return -UNW_ENOINFO;
    unw_dyn_info_t info = {.start_ip = BIAS, .end_ip = BIAS + MAPPING, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    info.u.rti.segbase = TABLE;
    info.u.rti.table_data = TABLE + w->search_offset;
    info.u.rti.table_len = FDES * 8 / sizeof(unw_word_t);
    return UNW_OBJ(dwarf_search_unwind_table)(space, ip, &info, ret, need_info, context);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *context) {
    (void)space, (void)info, (void)context;
}

static int no_dynamic_list(unw_addr_space_t space, unw_word_t *ret, void *context) {
    (void)space, (void)ret, (void)context;
    return -UNW_ENOINFO;
}

static int access_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int is_write, void *context) {
    (void)space;
    const struct world *w = context;
    if (!is_write && address >= TABLE && address - TABLE <= TABLE_BYTES - 8)
        memcpy(value, w->table + (address - TABLE), sizeof *value);
    else if (!is_write && in_stack(address))
        *value = stack_word(address);
    else
        return -UNW_EINVAL;
    return 0;
}

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int is_write, void *context) {
    (void)space;
    const struct world *w = context;
    if (is_write || number < 0 || number >= UNWIND_REGISTERS)
        return -UNW_EBADREG;
    *value = w->registers[number];
    return 0;
}

static int access_float(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int is_write, void *context) {
    (void)space, (void)number, (void)value, (void)is_write, (void)context;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *context) {
    (void)space, (void)cursor, (void)context;
    return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t space, unw_word_t address, char *name, size_t length, unw_word_t *offset, void *context) {
    (void)space, (void)address, (void)name, (void)length, (void)offset, (void)context;
    return -UNW_ENOINFO;
}

/* The caller; 0: none, or by rbp, as it does where it cannot evaluate the program. */
static uint64_t ask_libunwind(struct world *w) {
    static unw_addr_space_t space;
    static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                        .put_unwind_info = put_unwind_info,
                                        .get_dyn_info_list_addr = no_dynamic_list,
                                        .access_mem = access_memory,
                                        .access_reg = access_register,
                                        .access_fpreg = access_float,
                                        .resume = resume,
                                        .get_proc_name = no_name};
    unw_cursor_t cursor;
    unw_word_t pc;
    if (!space) {
        space = unw_create_addr_space(&accessors, 0);
        unw_set_caching_policy(space, UNW_CACHE_NONE);
    }
    if (!space || unw_init_remote(&cursor, space, w) < 0 || unw_step(&cursor) <= 0 || unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0)
        return 0;
    return pc == stack_word(RBP + 8) ? 0 : pc;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct world w;
    struct bytes input = bytes_of(data, size);
    uint8_t lengths[FDES + 1];
    for (unsigned i = 0; i <= FDES; i++)
        lengths[i] = bytes_u8(&input);
    take_program(&input, lengths[0], &w.cie);
    for (unsigned i = 0; i < FDES; i++)
        take_program(&input, lengths[i + 1], &w.fdes[i]);
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
        w.registers[i] = STACK + 0x200 + i * 0x40;
    w.registers[UNWIND_RSP] = STACK;
    w.registers[UNWIND_RBP] = RBP;
    write_table(&w);
    bool is_comparable = !has_val_offset(&w.cie);
    for (unsigned i = 0; i < FDES; i++)
        is_comparable &= !has_val_offset(&w.fdes[i]);
    if (!is_comparable || !build(&w))
        return 0;
    for (uint64_t offset = 0; offset < MAPPING; offset += FDE_BYTES / 16 + 1) {
        w.registers[UNWIND_PC] = BIAS + offset;
        uint64_t ours = ask_cprof(&w), theirs = ours ? ask_libunwind(&w) : 0;
        if (ours && theirs && ours != theirs) {
            fprintf(stderr, "at +%x: cprof reads %x, libunwind %x of the stack\n", (unsigned)offset, (unsigned)(ours - BIAS - 1) * 8,
                    (unsigned)(theirs - BIAS - 1) * 8);
            abort();
        }
    }
    unwind_module_free(w.module);
    return 0;
}
