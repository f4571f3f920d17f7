/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/witness.h"

/* Not in its header, and there for such as us: perf uses it the same way. */
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *info, unw_proc_info_t *ret, int need_info,
                                       void *context);

struct witness_libunwind {
    unw_addr_space_t space;
    uint64_t generation; /* of the maps that its cache is about */
    const struct replay_scene *scene;
};

/* libunwind's numbers are DWARF's, for x86-64. */
static_assert((int)UNW_X86_64_RDX == 1 && (int)UNW_X86_64_RSP == (int)UNWIND_RSP && (int)UNW_X86_64_RIP == (int)UNWIND_PC, "one numbering");

/* ---- what it asks us ------------------------------------------------------------------------------------------------------------- */

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *ret, int need_info, void *context) {
    struct witness_libunwind *w = context;
    struct elf_section header;
    struct {
        uint8_t version, frame_encoding, count_encoding, table_encoding;
        uint32_t frame, count;
    } fixed;
    uint64_t bias;
    const struct replay_module *module = replay_find(w->scene, ip, &bias);
    const struct process_mapping *mapping = process_maps_find(w->scene->maps, ip);
    if (!module || elf_image_section(module->module->image, ".eh_frame_hdr", &header) < 0 || header.length < sizeof fixed)
        return -UNW_ENOINFO;
    memcpy(&fixed, header.data, sizeof fixed);
    if (fixed.version != 1 || fixed.count_encoding != 0x03 || fixed.table_encoding != 0x3b) /* what every linker writes */
        return -UNW_ENOINFO;
    unw_dyn_info_t info = {.start_ip = mapping->start, .end_ip = mapping->end, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    info.u.rti.segbase = header.address + bias;
    info.u.rti.table_data = info.u.rti.segbase + sizeof fixed;
    info.u.rti.table_len = (unw_word_t)fixed.count * 8 / sizeof(unw_word_t);
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
    const struct witness_libunwind *w = context;
    return !is_write && replay_read(w->scene, address, value, sizeof *value) == 0 ? 0 : -UNW_EINVAL;
}

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int is_write, void *context) {
    (void)space;
    const struct witness_libunwind *w = context;
    const struct unwind_registers *registers = &w->scene->sample.registers;
    if (is_write || number < 0 || number >= UNWIND_REGISTERS || !(registers->valid >> number & 1))
        return -UNW_EBADREG;
    *value = registers->value[number];
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

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int witness_libunwind_new(struct witness_libunwind **ret) {
    static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                        .put_unwind_info = put_unwind_info,
                                        .get_dyn_info_list_addr = no_dynamic_list,
                                        .access_mem = access_memory,
                                        .access_reg = access_register,
                                        .access_fpreg = access_float,
                                        .resume = resume,
                                        .get_proc_name = no_name};
    struct witness_libunwind *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->space = unw_create_addr_space(&accessors, 0);
    if (!w->space) {
        free(w);
        return -ENOMEM;
    }
    unw_set_caching_policy(w->space, UNW_CACHE_GLOBAL);
    *ret = w;
    return 0;
}

void witness_libunwind_free(struct witness_libunwind *w) {
    unw_destroy_addr_space(w->space);
    free(w);
}

static void keep(unw_cursor_t *cursor, unw_word_t pc, struct witness_frame *ret) {
    ret->pc = pc;
    ret->registers.valid = 0;
    for (int i = 0; i < UNWIND_REGISTERS; i++) {
        unw_word_t value;
        if (unw_get_reg(cursor, i, &value) < 0)
            continue;
        ret->registers.value[i] = value;
        ret->registers.valid |= (uint32_t)1 << i;
    }
}

void witness_libunwind_ask(struct witness_libunwind *w, const struct replay_scene *scene, struct testimony *ret) {
    unw_cursor_t cursor;
    ret->count = 0;
    ret->is_at_end = false;
    w->scene = scene;
    if (w->generation != scene->maps->generation)
        unw_flush_cache(w->space, 0, 0);
    w->generation = scene->maps->generation;
    if (unw_init_remote(&cursor, w->space, w) < 0)
        return;
    int r;
    do {
        unw_word_t pc;
        if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0 || pc == 0) {
            ret->is_at_end = true;
            return;
        }
        keep(&cursor, pc, &ret->frames[ret->count++]);
        r = unw_step(&cursor);
    } while (r > 0 && ret->count < WITNESS_FRAMES_MAX);
    ret->is_at_end = r == 0;
}
