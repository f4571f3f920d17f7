/* SPDX-License-Identifier: MIT */
/* Raw events -> process state -> rows of the recording. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/private.h"

/* ---- what the process table tells ------------------------------------------------------------------------------------------------ */

static void on_module_new(void *context, struct process_module *module) {
    pipeline_module_new(context, module);
}

static void on_space_new(void *context, struct process_space *space) {
    struct pipeline *p = context;
    recording_add_process(p->writer, &(struct recording_process){.pid = space->pid,
                                                                 .parent = space->parent,
                                                                 .start = space->start,
                                                                 .flags = space->is_guessed ? PROCESS_GUESSED : 0});
    p->counts.processes++;
}

static void on_space_end(void *context, struct process_space *space) {
    struct pipeline *p = context;
    pipeline_jit_ask(p, space);
    pipeline_scopes_space_end(p, space->pid, p->now);
}

static bool on_space_unknown(void *context, struct process_space *space) {
    return pipeline_maps_ask(context, space);
}

static void on_mapping_new(void *context, struct process_space *space, const struct process_mapping *mapping, uint64_t time) {
    struct pipeline *p = context;
    recording_add_mapping(p->writer, &(struct recording_mapping){.process = space->id,
                                                                 .module = mapping->module->id,
                                                                 .time = time,
                                                                 .start = mapping->start,
                                                                 .length = mapping->end - mapping->start,
                                                                 .offset = mapping->offset});
    pipeline_module_seen(p, mapping->module, space->pid, mapping->start, mapping->end - mapping->start);
    pipeline_jit_dump_seen(p, space, mapping);
}

static void on_task_new(void *context, struct process_task *task) {
    struct pipeline *p = context;
    struct pipeline_thread *thread = calloc(1, sizeof *thread);
    uint32_t id =
        recording_add_thread(p->writer, &(struct recording_thread){.pid = task->space->pid, .tid = task->tid, .start = task->start});
    p->counts.threads++;
    task->owner = thread;
    if (!thread) {
        p->error = -ENOMEM;
        return;
    }
    thread->id = id;
    thread->row = RECORDING_NONE;
}

static void on_task_changed(void *context, struct process_task *task) {
    (void)context;
    struct pipeline_thread *thread = task->owner;
    if (thread)
        thread->row = RECORDING_NONE; /* written when needed: the fork between a shell and its command has no row */
}

static void on_task_end(void *context, struct process_task *task) {
    struct pipeline *p = context;
    struct pipeline_thread *thread = task->owner;
    if (!thread)
        return;
    (void)pipeline_task_row(p, task); /* a thread that was never sampled is counted under its last name */
    recording_end_thread(p->writer, &(struct recording_thread_end){.thread = thread->id,
                                                                   .is_exited = task->is_ended,
                                                                   .has_exact_cpu = task->has_cpu_time,
                                                                   .end = task->is_ended ? task->end : p->now,
                                                                   .exact_cpu = task->cpu_time});
    p->counts.exact_cpu += task->cpu_time;
}

static void on_task_free(void *context, struct process_task *task) {
    (void)context;
    struct pipeline_thread *thread = task->owner;
    if (!thread)
        return;
    unwind_history_free(thread->history);
    free(thread->last.frames);
    free(thread->last.nodes);
    free(thread);
}

const struct process_listener pipeline_listener = {
    .module_new = on_module_new,
    .space_new = on_space_new,
    .space_end = on_space_end,
    .space_unknown = on_space_unknown,
    .mapping_new = on_mapping_new,
    .task_new = on_task_new,
    .task_changed = on_task_changed,
    .task_end = on_task_end,
    .task_free = on_task_free,
};

/* ---- events ---------------------------------------------------------------------------------------------------------------------- */

static int apply_mapping(struct pipeline *p, uint64_t time, const struct raw_mapping *mapping) {
    struct process_map_event event = {.start = mapping->start,
                                      .length = mapping->length,
                                      .offset = mapping->offset,
                                      .identity = {.device_major = mapping->device_major,
                                                   .device_minor = mapping->device_minor,
                                                   .inode = mapping->inode,
                                                   .inode_generation = mapping->inode_generation},
                                      .is_executable = mapping->is_executable,
                                      .path = mapping->path};
    event.identity.build_id.length = MIN(mapping->build_id_length, (uint8_t)sizeof mapping->build_id);
    for (size_t i = 0; i < event.identity.build_id.length; i++)
        event.identity.build_id.bytes[i] = mapping->build_id[i];
    return process_map(p->table, time, mapping->pid, &event);
}

static int apply_task(struct pipeline *p, uint64_t time, const struct raw_task *task) {
    switch (task->change) {
    case RAW_TASK_FORK:
        return process_fork(p->table, time, task->pid, task->tid, task->parent_pid, task->parent_tid);
    case RAW_TASK_EXEC:
        return process_exec(p->table, time, task->pid, task->tid, task->comm);
    case RAW_TASK_COMM:
        return process_comm(p->table, time, task->pid, task->tid, task->comm);
    case RAW_TASK_EXIT:
        return process_exit(p->table, time, task->pid, task->tid);
    case RAW_TASK_CPU:
        return process_cpu(p->table, time, task->pid, task->tid, task->cpu_time);
    }
    return -EINVAL;
}

static void collect_space(void *context, struct process_space *space) {
    struct pipeline *p = context;
    struct process_space **slot = vec_push(&p->to_read);
    if (slot)
        *slot = process_space_ref(space);
}

/* What happened is lost; what is there now can be read. */
static void reread_all(struct pipeline *p) {
    if (!p->options.is_live)
        return;
    process_each_space(p->table, collect_space, p);
    for (size_t i = 0; i < p->to_read.count; i++) {
        struct process_space *space = p->to_read.items[i];
        if (!process_reread(p->table, space))
            (void)pipeline_maps_ask(p, space);
        process_space_unref(space);
    }
    vec_clear(&p->to_read);
}

static int apply_loss(struct pipeline *p, const struct raw_loss *loss) {
    switch (loss->kind) {
    case RAW_LOSS_SAMPLES:
        p->counts.lost_samples += loss->count;
        break;
    case RAW_LOSS_SIDEBAND:
        p->counts.lost_sideband += loss->count;
        reread_all(p);
        break;
    case RAW_LOSS_THROTTLED:
        p->counts.throttled += loss->count;
        break;
    case RAW_LOSS_MALFORMED:
        p->counts.malformed += loss->count;
        break;
    case RAW_LOSS_SWITCHES:
        p->scopes.counts.switches_lost += loss->count;
        break;
    }
    return 0;
}

int pipeline_apply(struct pipeline *p, const struct raw_event *event) {
    int r = -EINVAL;
    if (event->time > p->now)
        p->now = event->time;
    switch (event->type) {
    case RAW_SAMPLE:
        r = pipeline_sample(p, event->time, &event->sample);
        break;
    case RAW_MAPPING:
        r = apply_mapping(p, event->time, &event->mapping);
        break;
    case RAW_TASK:
        r = apply_task(p, event->time, &event->task);
        break;
    case RAW_SWITCH:
        scope_switch(p, event->time, &event->switched);
        return 0;
    case RAW_LOSS:
        r = apply_loss(p, &event->loss);
        break;
    }
    if (r == -EINVAL) { /* a source that talks nonsense costs the event alone */
        p->counts.malformed++;
        return 0;
    }
    return r;
}
