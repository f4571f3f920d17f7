/* SPDX-License-Identifier: MIT */
#include "unwind/fallback.h"

#include <libunwind.h>
#include <stdlib.h>

#include "unwind/row-program.h"

/* libunwind exports its table search without declaring it; perf and gdbserver stubs rely on it the same way. */
#define search_table UNW_OBJ(dwarf_search_unwind_table)
extern int search_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *info, unw_proc_info_t *ret, int need_info, void *context);

enum {
    IMAGE_MAX = 64 + ROW_PROGRAM_MAX,
    TABLE_BYTES = 8,
    CIE_OFFSET = 16,
    DW_EH_PE_absptr = 0,
};

/* Non-canonical: no user pointer is here. */
#define IMAGE_BASE 0x8000000000000000u

struct fallback {
    unw_addr_space_t space;
    uint8_t image[IMAGE_MAX];
    size_t image_length;
    struct memory *memory;
    const struct unwind_registers *from;
    int error;
};

/* ---- the image ------------------------------------------------------------------------------------------------------------------- */

/*
 *   0   search table: {int32 start relative to IMAGE_BASE, int32 fde offset}
 *   16  CIE: length, id 0, version 1, "zR", code 1, data 1, return column 16, augmentation {absptr}, no instructions
 *   40  FDE: length, CIE pointer, start 0, size 2^63, no augmentation data, the row
 */
static void image_put(struct fallback *f, const void *data, size_t length) {
    memcpy(f->image + f->image_length, data, length);
    f->image_length += length;
}

static void image_put_u32(struct fallback *f, uint32_t value) {
    image_put(f, &value, sizeof value);
}

static void build_image(struct fallback *f, const uint8_t *program, uint32_t length) {
    static const uint8_t cie[] = {1, 'z', 'R', 0, 1, 1, UNWIND_PC, 1, DW_EH_PE_absptr, 0, 0, 0};
    static const uint8_t no_augmentation[] = {0};
    const uint64_t start = 0, size = (uint64_t)1 << 63;
    const uint32_t fde_offset = CIE_OFFSET + 8 + sizeof cie;
    f->image_length = 0;
    image_put_u32(f, (uint32_t)INT32_MIN); /* below every pc, as the search truncates them */
    image_put_u32(f, fde_offset);
    memset(f->image + f->image_length, 0, CIE_OFFSET - TABLE_BYTES);
    f->image_length = CIE_OFFSET;
    image_put_u32(f, 4 + sizeof cie);
    image_put_u32(f, 0);
    image_put(f, cie, sizeof cie);
    image_put_u32(f, (uint32_t)(4 + sizeof start + sizeof size + sizeof no_augmentation + length));
    image_put_u32(f, fde_offset + 4 - CIE_OFFSET);
    image_put(f, &start, sizeof start);
    image_put(f, &size, sizeof size);
    image_put(f, no_augmentation, sizeof no_augmentation);
    image_put(f, program, length);
    /* libunwind reads whole words. */
    memset(f->image + f->image_length, 0, MIN((size_t)8, IMAGE_MAX - f->image_length));
}

/* ---- accessors ------------------------------------------------------------------------------------------------------------------- */

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *ret, int need_info, void *context) {
    unw_dyn_info_t info = {.start_ip = 0, .end_ip = (unw_word_t)1 << 63, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    info.u.rti.segbase = IMAGE_BASE;
    info.u.rti.table_data = IMAGE_BASE;
    info.u.rti.table_len = TABLE_BYTES / sizeof(unw_word_t);
    return search_table(space, ip, &info, ret, need_info, context);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *context) {
    (void)space, (void)info, (void)context; /* libunwind's own pool */
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *ret, void *context) {
    (void)space, (void)ret, (void)context;
    return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write, void *context) {
    struct fallback *f = context;
    (void)space;
    if (write)
        return -UNW_EINVAL;
    uint64_t offset = address - IMAGE_BASE;
    if (offset < sizeof f->image && sizeof f->image - offset >= sizeof *value) {
        memcpy(value, f->image + offset, sizeof *value);
        return 0;
    }
    uint64_t word;
    int r = memory_read(f->memory, address, &word);
    if (r < 0) {
        f->error = f->error ?: r;
        return -UNW_EINVAL;
    }
    *value = word;
    return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write, void *context) {
    struct fallback *f = context;
    (void)space;
    if (write || number < 0 || number >= UNWIND_REGISTERS)
        return -UNW_EBADREG;
    /* libunwind asks for all of them at the start. */
    *value = registers_have(f->from, (unsigned)number) ? f->from->value[number] : 0;
    return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int write, void *context) {
    (void)space, (void)number, (void)value, (void)write, (void)context;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *context) {
    (void)space, (void)cursor, (void)context;
    return -UNW_EINVAL;
}

/* ---- the step -------------------------------------------------------------------------------------------------------------------- */

int fallback_new(struct fallback **ret) {
    static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                        .put_unwind_info = put_unwind_info,
                                        .get_dyn_info_list_addr = get_dyn_info_list_addr,
                                        .access_mem = access_mem,
                                        .access_reg = access_reg,
                                        .access_fpreg = access_fpreg,
                                        .resume = resume};
    struct fallback *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->space = unw_create_addr_space(&accessors, 0);
    if (!f->space) {
        free(f);
        return -ENOMEM;
    }
    unw_set_caching_policy(f->space, UNW_CACHE_NONE); /* every pc has its own image at the same address */
    *ret = f;
    return 0;
}

void fallback_free(struct fallback *f) {
    if (!f)
        return;
    unw_destroy_addr_space(f->space);
    free(f);
}

int fallback_step(struct fallback *f, const uint8_t *program, uint32_t length, struct memory *memory, const struct unwind_registers *from,
                  struct step *ret) {
    unw_cursor_t cursor;
    unw_word_t value;
    f->memory = memory;
    f->from = from;
    f->error = 0;
    build_image(f, program, length);
    if (unw_init_remote(&cursor, f->space, f) < 0 || unw_step(&cursor) < 0 || f->error)
        return f->error ?: -ENODATA;

    struct step step = {0};
    for (unsigned number = 0; number < UNWIND_REGISTERS; number++) {
        if (unw_get_reg(&cursor, (unw_regnum_t)number, &value) == 0 && f->error == 0)
            registers_set(&step.registers, number, value);
        f->error = 0;
    }
    if (!registers_have(&step.registers, UNWIND_PC) || !registers_have(&step.registers, UNWIND_RSP))
        return -ENODATA;
    step.cfa = step.registers.value[UNWIND_RSP];
    unw_save_loc_t where;
    if (unw_get_save_loc(&cursor, UNW_X86_64_RIP, &where) == 0 && where.type == UNW_SLT_MEMORY)
        step.return_slot = where.u.addr;
    *ret = step;
    return 0;
}
