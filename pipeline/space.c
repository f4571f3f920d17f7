/* SPDX-License-Identifier: MIT */
/* The address space of a sample's moment, as the unwinder sees it: what a pc belongs to, and what lies in memory. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "pipeline/private.h"

/* A file of which even the headers may not be touched counts as one that could not be opened. */
static enum process_module_state state_of(const struct pipeline *p, const struct process_module *module) {
    return p->modules.items[module->id]->is_lost ? PROCESS_MODULE_FAILED : process_module_state(module);
}

/* Where run-time addresses of a mapping lie in the module's headers. */
static bool mapping_bias(const struct process_mapping *mapping, uint64_t *ret) {
    return elf_image_bias(mapping->module->image, mapping->origin, mapping->origin_length, mapping->offset, ret);
}

static bool has_tables(const struct process_module *module) {
    const struct elf_info *info = elf_image_info(module->image);
    return info->is_64 && info->machine == EM_X86_64;
}

static void find_anonymous(struct pipeline_walk *walk, struct process_module *module, struct unwind_place *ret) {
    struct jit *jit = pipeline_jit(walk->p, module, walk->space->pid);
    if (jit)
        jit->is_touched = true;
    ret->state = UNWIND_PLACE_ANONYMOUS;
    ret->module_id = module->id;
}

static void find_loading(struct pipeline_walk *walk, struct unwind_place *ret) {
    walk->was_waiting = true;
    ret->state = walk->is_forced ? UNWIND_PLACE_UNLOADABLE : UNWIND_PLACE_LOADING;
}

static void find_open(struct pipeline_walk *walk, const struct process_mapping *mapping, struct unwind_place *ret) {
    struct pipeline_module *own = walk->p->modules.items[mapping->module->id];
    if (!mapping_bias(mapping, &ret->bias) || !has_tables(mapping->module)) {
        ret->state = UNWIND_PLACE_UNLOADABLE;
        return;
    }
    ret->module = atomic_load_explicit(&own->tables, memory_order_acquire);
    if (ret->module) {
        ret->state = UNWIND_PLACE_READY;
        return;
    }
    pipeline_tables_ask(walk->p, own);
    if (own->is_building)
        find_loading(walk, ret);
    else
        ret->state = UNWIND_PLACE_UNLOADABLE;
}

void pipeline_space_find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct pipeline_walk *walk = context;
    const struct process_mapping *mapping = process_maps_find(walk->maps, pc);
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    if (!mapping)
        return;
    struct process_module *module = mapping->module;
    ret->start = mapping->start;
    ret->end = mapping->end;
    ret->module_id = module->id;
    /* Until the file says better, an address counts as its offset in the file: wrong for many, but the same for every process. */
    ret->bias = mapping->origin - mapping->offset;
    if (module->kind == PROCESS_MODULE_ANONYMOUS) {
        ret->bias = 0;
        find_anonymous(walk, module, ret);
        return;
    }
    switch (state_of(walk->p, module)) {
    case PROCESS_MODULE_OPEN:
        find_open(walk, mapping, ret);
        break;
    case PROCESS_MODULE_NOT_ELF: {
        struct process_module *anonymous = process_space_anonymous(walk->p->table, walk->space);
        if (anonymous) {
            ret->bias = 0;
            find_anonymous(walk, anonymous, ret);
        }
        break;
    }
    case PROCESS_MODULE_UNOPENED:
    case PROCESS_MODULE_FAILED:
        if (walk->p->modules.items[module->id]->is_opening)
            find_loading(walk, ret);
        else
            ret->state = UNWIND_PLACE_UNLOADABLE;
        break;
    }
}

/* Code and constants from the file, as they were at the time of the sample; all else from the target as it is now. */
int pipeline_space_read(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source) {
    struct pipeline_walk *walk = context;
    const struct process_mapping *mapping = process_maps_find(walk->maps, address);
    uint64_t bias;
    if (mapping && length <= mapping->end - address && mapping->module->kind != PROCESS_MODULE_ANONYMOUS &&
        state_of(walk->p, mapping->module) == PROCESS_MODULE_OPEN && mapping_bias(mapping, &bias)) {
        const uint8_t *bytes = elf_image_bytes(mapping->module->image, address - bias, length);
        if (bytes) {
            memcpy(to, bytes, length);
            *ret_source = UNWIND_FROM_FILE;
            return 0;
        }
    }
    if (!walk->p->options.is_live || walk->space->is_ended)
        return -EFAULT;
    struct iovec local = {to, length}, remote = {(void *)(uintptr_t)address, length};
    if (process_vm_readv((pid_t)walk->space->pid, &local, 1, &remote, 1, 0) != (ssize_t)length)
        return -EFAULT;
    *ret_source = UNWIND_FROM_LIVE;
    return 0;
}
