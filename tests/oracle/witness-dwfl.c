/* SPDX-License-Identifier: MIT */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/map.h"
#include "base/vec.h"
#include "tests/oracle/witness.h"

/* What libdwfl knows of one state of one address space. */
struct dwfl_space {
    uint64_t generation;
    Dwfl *dwfl;
};

struct witness_dwfl {
    VEC(struct dwfl_space) spaces; /* the last few: threads share one, processes take turns */
    const struct replay_scene *scene;
    struct testimony *testimony;
};

enum { SPACES_MAX = 16 };

/* ---- what it asks us ------------------------------------------------------------------------------------------------------------- */

static int no_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file, const char *link,
                         GElf_Word crc, char **ret) {
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)ret;
    return -1; /* the file's own sections are asked first, and are all that cprof is shown */
}

static pid_t next_thread(Dwfl *dwfl, void *context, void **thread) {
    (void)dwfl;
    if (*thread)
        return 0;
    *thread = context;
    return (pid_t)((struct witness_dwfl *)context)->scene->pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *context, void **ret) {
    (void)dwfl, (void)tid;
    *ret = context;
    return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret, void *context) {
    (void)dwfl;
    return replay_read(((struct witness_dwfl *)context)->scene, address, ret, sizeof *ret) == 0;
}

static bool set_registers(Dwfl_Thread *thread, void *context) {
    const struct unwind_registers *registers = &((struct witness_dwfl *)context)->scene->sample.registers;
    Dwarf_Word values[UNWIND_REGISTERS];
    for (int i = 0; i < UNWIND_REGISTERS; i++)
        values[i] = registers->value[i];
    return dwfl_thread_state_registers(thread, 0, UNWIND_REGISTERS, values);
}

static int take_frame(Dwfl_Frame *frame, void *context) {
    struct testimony *ret = ((struct witness_dwfl *)context)->testimony;
    Dwarf_Addr pc;
    if (ret->count == WITNESS_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, NULL))
        return DWARF_CB_ABORT;
    struct witness_frame *own = &ret->frames[ret->count++];
    own->pc = pc;
    own->registers.valid = 0;
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++) {
        Dwarf_Word value;
        if (dwfl_frame_reg(frame, i, &value) != 0)
            continue;
        own->registers.value[i] = value;
        own->registers.valid |= (uint32_t)1 << i;
    }
    return DWARF_CB_OK;
}

/* ---- address spaces -------------------------------------------------------------------------------------------------------------- */

/* The vDSO has no file: one is made of its bytes. */
static int vdso_file(const struct process_mapping *mapping) {
    const struct elf_info *info = elf_image_info(mapping->module->image);
    const struct elf_segment *segment = info->segment_count ? &info->segments[0] : NULL;
    const uint8_t *bytes = segment ? elf_image_bytes(mapping->module->image, segment->address, segment->file_size) : NULL;
    int fd = bytes ? memfd_create("vdso", MFD_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, bytes, segment->file_size) != (ssize_t)segment->file_size) {
        close(fd);
        return -1;
    }
    return fd;
}

static void report(Dwfl *dwfl, const struct process_mapping *mapping, struct map *seen) {
    struct process_module *module = mapping->module;
    bool is_new;
    uint64_t bias;
    if (process_module_state(module) != PROCESS_MODULE_OPEN || !map_put(seen, module->id, &is_new) || !is_new ||
        !elf_image_bias(module->image, mapping->origin, mapping->origin_length, mapping->offset, &bias))
        return;
    int fd = module->kind == PROCESS_MODULE_VDSO ? vdso_file(mapping) : -1;
    if (!dwfl_report_elf(dwfl, module->path, module->path, fd, bias, true) && fd >= 0)
        close(fd);
}

static Dwfl *open_space(struct witness_dwfl *w) {
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf, .find_debuginfo = no_debug_file};
    static const Dwfl_Thread_Callbacks threads = {
        .next_thread = next_thread, .get_thread = get_thread, .memory_read = memory_read, .set_initial_registers = set_registers};
    const struct process_maps *maps = w->scene->maps;
    struct map seen = {0};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (!dwfl)
        return NULL;
    dwfl_report_begin(dwfl);
    for (size_t i = 0; i < maps->items.count; i++)
        report(dwfl, &maps->items.items[i], &seen);
    map_free(&seen);
    dwfl_report_end(dwfl, NULL, NULL);
    if (!dwfl_attach_state(dwfl, NULL, (pid_t)w->scene->pid, &threads, w)) {
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

static Dwfl *find_space(struct witness_dwfl *w) {
    uint64_t generation = w->scene->maps->generation;
    for (size_t i = 0; i < w->spaces.count; i++) {
        if (w->spaces.items[i].generation == generation)
            return w->spaces.items[i].dwfl;
    }
    if (w->spaces.count == SPACES_MAX) {
        if (w->spaces.items[0].dwfl)
            dwfl_end(w->spaces.items[0].dwfl);
        memmove(&w->spaces.items[0], &w->spaces.items[1], --w->spaces.count * sizeof w->spaces.items[0]);
    }
    struct dwfl_space *space = vec_push(&w->spaces);
    if (!space)
        return NULL;
    *space = (struct dwfl_space){.generation = generation, .dwfl = open_space(w)};
    return space->dwfl;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int witness_dwfl_new(struct witness_dwfl **ret) {
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void witness_dwfl_free(struct witness_dwfl *w) {
    for (size_t i = 0; i < w->spaces.count; i++) {
        if (w->spaces.items[i].dwfl)
            dwfl_end(w->spaces.items[i].dwfl);
    }
    vec_free(&w->spaces);
    free(w);
}

void witness_dwfl_ask(struct witness_dwfl *w, const struct replay_scene *scene, struct testimony *ret) {
    w->scene = scene;
    w->testimony = ret;
    ret->count = 0;
    ret->is_at_end = false;
    Dwfl *dwfl = find_space(w);
    if (dwfl)
        ret->is_at_end = dwfl_getthread_frames(dwfl, dwfl_pid(dwfl), take_frame, w) == 0;
}
