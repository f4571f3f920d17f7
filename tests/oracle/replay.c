/* SPDX-License-Identifier: MIT */
#include "tests/oracle/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/macros.h"

/* ---- what the process table tells ------------------------------------------------------------------------------------------------ */

static void on_module(void *context, struct process_module *module) {
    struct replay *r = context;
    while (r->modules.count <= module->id && vec_push(&r->modules))
        ;
    if (module->id < r->modules.count)
        r->modules.items[module->id].module = module;
}

static void on_space(void *context, struct process_space *space) {
    (void)context, (void)space;
}

static bool on_unknown(void *context, struct process_space *space) {
    (void)context, (void)space;
    return false;
}

/* While its path still names the file that was mapped, as far as that can be. */
static void on_mapping(void *context, struct process_space *space, const struct process_mapping *mapping, uint64_t time) {
    (void)context, (void)time;
    struct process_sighting sighting = {
        .pid = space->pid, .start = mapping->start, .length = mapping->end - mapping->start, .is_same_kernel = true, .root = ""};
    if (mapping->module->kind == PROCESS_MODULE_FILE || mapping->module->kind == PROCESS_MODULE_VDSO)
        (void)process_module_open(mapping->module, &sighting);
}

static void on_task(void *context, struct process_task *task) {
    (void)context, (void)task;
}

/* ---- events ---------------------------------------------------------------------------------------------------------------------- */

static uint16_t event_id(void *context, const struct perf_data_attr *attr) {
    (void)context, (void)attr;
    return 0;
}

static void apply_mapping(struct replay *r, uint64_t time, const struct raw_mapping *m) {
    struct process_map_event event = {.start = m->start,
                                      .length = m->length,
                                      .offset = m->offset,
                                      .identity = {.device_major = m->device_major,
                                                   .device_minor = m->device_minor,
                                                   .inode = m->inode,
                                                   .inode_generation = m->inode_generation},
                                      .is_executable = m->is_executable,
                                      .path = m->path};
    event.identity.build_id.length = m->build_id_length;
    memcpy(event.identity.build_id.bytes, m->build_id, m->build_id_length);
    (void)process_map(r->table, time, m->pid, &event);
}

static void apply_task(struct replay *r, uint64_t time, const struct raw_task *task) {
    if (task->change == RAW_TASK_FORK)
        (void)process_fork(r->table, time, task->pid, task->tid, task->parent_pid, task->parent_tid);
    else if (task->change == RAW_TASK_EXEC)
        (void)process_exec(r->table, time, task->pid, task->tid, task->comm);
    else if (task->change == RAW_TASK_EXIT)
        (void)process_exit(r->table, time, task->pid, task->tid);
}

static bool take_sample(struct replay *r, const struct raw_event *event, struct replay_scene *ret) {
    const struct raw_sample *sample = &event->sample;
    struct process_task *task;
    if (process_task_get(r->table, event->time, sample->pid, sample->tid, &task) < 0)
        return false;
    bool has_pc = sample->registers_valid & (uint32_t)1 << UNWIND_PC;
    if (sample->abi != RAW_ABI_64 || !has_pc || !sample->stack_length)
        return false;
    *ret =
        (struct replay_scene){.replay = r,
                              .pid = sample->pid,
                              .tid = sample->tid,
                              .time = event->time,
                              .maps = task->space->maps,
                              .sample = {.stack = sample->stack, .stack_base = sample->stack_base, .stack_length = sample->stack_length}};
    memcpy(ret->sample.registers.value, sample->registers, sizeof sample->registers);
    ret->sample.registers.valid = sample->registers_valid;
    /* Between exec and the first instruction the registers are the old program's. */
    return process_maps_find(ret->maps, sample->registers[UNWIND_PC]) != NULL;
}

int replay_next(struct replay *r, struct replay_scene *ret, uint64_t *skipped) {
    struct raw_source *raw = perf_data_source_raw(r->source);
    struct raw_event event;
    uint64_t time;
    while (raw->peek(raw, &time)) {
        raw->next(raw, &event);
        if (event.type == RAW_MAPPING)
            apply_mapping(r, event.time, &event.mapping);
        else if (event.type == RAW_TASK)
            apply_task(r, event.time, &event.task);
        else if (event.type == RAW_SAMPLE && take_sample(r, &event, ret))
            return 1;
        else if (event.type == RAW_SAMPLE)
            (*skipped)++;
    }
    return perf_data_source_error(r->source);
}

/* ---- the address space ----------------------------------------------------------------------------------------------------------- */

static bool is_ours(const struct process_module *module) {
    const struct elf_info *info = process_module_state(module) == PROCESS_MODULE_OPEN ? elf_image_info(module->image) : NULL;
    return info && info->is_64 && info->machine == 62; /* EM_X86_64 */
}

struct replay_module *replay_find(const struct replay_scene *scene, uint64_t pc, uint64_t *ret_bias) {
    const struct process_mapping *mapping = process_maps_find(scene->maps, pc);
    if (!mapping || !is_ours(mapping->module) ||
        !elf_image_bias(mapping->module->image, mapping->origin, mapping->origin_length, mapping->offset, ret_bias))
        return NULL;
    struct replay_module *module = &scene->replay->modules.items[mapping->module->id];
    if (!module->is_tried && unwind_module_build(mapping->module->image, NULL, &module->tables) < 0)
        module->tables = NULL;
    module->is_tried = true;
    return module;
}

void replay_place(void *context, uint64_t pc, struct unwind_place *ret) {
    const struct replay_scene *scene = context;
    const struct process_mapping *mapping = process_maps_find(scene->maps, pc);
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    if (!mapping)
        return;
    ret->start = mapping->start;
    ret->end = mapping->end;
    ret->module_id = mapping->module->id;
    ret->state = mapping->module->kind == PROCESS_MODULE_ANONYMOUS ? UNWIND_PLACE_ANONYMOUS : UNWIND_PLACE_UNLOADABLE;
    const struct replay_module *module = replay_find(scene, pc, &ret->bias);
    if (module && module->tables) {
        ret->state = UNWIND_PLACE_READY;
        ret->module = module->tables;
    }
}

/* Data is mapped not executable, so it is found through its module's bias: any module whose file holds the address. */
static const uint8_t *file_bytes(const struct replay_scene *scene, uint64_t address, size_t length) {
    for (size_t i = 0; i < scene->maps->items.count; i++) {
        const struct process_mapping *m = &scene->maps->items.items[i];
        uint64_t bias;
        if (!is_ours(m->module) || !elf_image_bias(m->module->image, m->origin, m->origin_length, m->offset, &bias))
            continue;
        const struct elf_info *info = elf_image_info(m->module->image);
        for (size_t k = 0; k < info->segment_count; k++) {
            const struct elf_segment *segment = &info->segments[k];
            bool is_constant = !(segment->flags & 2); /* PF_W */
            if (is_constant && address - bias >= segment->address && address - bias - segment->address < segment->file_size)
                return elf_image_bytes(m->module->image, address - bias, length);
        }
    }
    return NULL;
}

int replay_read_file(void *scene, uint64_t address, void *to, size_t length, enum unwind_source *ret_source) {
    const uint8_t *bytes = file_bytes(scene, address, length);
    if (!bytes)
        return -EFAULT;
    memcpy(to, bytes, length);
    *ret_source = UNWIND_FROM_FILE;
    return 0;
}

int replay_read(const struct replay_scene *scene, uint64_t address, void *to, size_t length) {
    const struct unwind_sample *sample = &scene->sample;
    uint64_t offset = address - sample->stack_base;
    const uint8_t *bytes = offset < sample->stack_length && length <= sample->stack_length - offset ? sample->stack + offset
                                                                                                    : file_bytes(scene, address, length);
    if (!bytes)
        return -EFAULT;
    memcpy(to, bytes, length);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int replay_open(const char *path, struct replay **ret, const char **ret_problem) {
    *ret_problem = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    struct process_listener listener = {.context = r,
                                        .module_new = on_module,
                                        .space_new = on_space,
                                        .space_end = on_space,
                                        .space_unknown = on_unknown,
                                        .mapping_new = on_mapping,
                                        .task_new = on_task,
                                        .task_changed = on_task,
                                        .task_end = on_task,
                                        .task_free = on_task};
    int error = perf_data_open(fd, &r->file, ret_problem);
    if (error == 0)
        error = perf_data_source_new(r->file, event_id, NULL, &r->source);
    if (error == 0)
        error = process_table_new(&listener, &r->table);
    if (error < 0) {
        replay_close(r);
        return error;
    }
    *ret = r;
    return 0;
}

void replay_close(struct replay *r) {
    for (size_t i = 0; i < r->modules.count; i++)
        unwind_module_free(r->modules.items[i].tables);
    if (r->table)
        process_table_free(r->table);
    if (r->source)
        perf_data_source_free(r->source);
    if (r->file)
        perf_data_close(r->file);
    vec_free(&r->modules);
    free(r);
}
