/* SPDX-License-Identifier: MIT */
/* A listener that writes down what it is told. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "process/process.h"

struct log {
    struct buffer text; /* one line an event */
    bool answers_unknown;
    size_t tasks_freed, unknown_spaces;
};

static inline void log_module_new(void *context, struct process_module *module) {
    (void)context, (void)module;
}

static inline void log_space_new(void *context, struct process_space *space) {
    buffer_printf(&((struct log *)context)->text, "space %u pid %u parent %d%s\n", space->id, space->pid, (int)space->parent,
                  space->is_guessed ? " guessed" : "");
}

static inline void log_space_end(void *context, struct process_space *space) {
    buffer_printf(&((struct log *)context)->text, "space %u ends\n", space->id);
}

static inline bool log_space_unknown(void *context, struct process_space *space) {
    (void)space;
    struct log *log = context;
    log->unknown_spaces++;
    return log->answers_unknown;
}

static inline void log_mapping_new(void *context, struct process_space *space, const struct process_mapping *mapping, uint64_t time) {
    (void)time;
    buffer_printf(&((struct log *)context)->text, "space %u maps %llx-%llx %s\n", space->id, (unsigned long long)mapping->start,
                  (unsigned long long)mapping->end, mapping->module->path);
}

static inline void log_task_new(void *context, struct process_task *task) {
    buffer_printf(&((struct log *)context)->text, "task %u tid %u space %u \"%s\"\n", task->id, task->tid, task->space->id, task->comm);
}

static inline void log_task_changed(void *context, struct process_task *task) {
    buffer_printf(&((struct log *)context)->text, "task %u is now \"%s\" in space %u\n", task->id, task->comm, task->space->id);
}

static inline void log_task_end(void *context, struct process_task *task) {
    buffer_printf(&((struct log *)context)->text, "task %u ends%s cpu %llu\n", task->id, task->is_ended ? "" : " alive",
                  (unsigned long long)task->cpu_time);
}

static inline void log_task_free(void *context, struct process_task *task) {
    (void)task;
    ((struct log *)context)->tasks_freed++;
}

static inline struct process_table *log_table(struct log *log) {
    struct process_listener listener = {.context = log,
                                        .module_new = log_module_new,
                                        .space_new = log_space_new,
                                        .space_end = log_space_end,
                                        .space_unknown = log_space_unknown,
                                        .mapping_new = log_mapping_new,
                                        .task_new = log_task_new,
                                        .task_changed = log_task_changed,
                                        .task_end = log_task_end,
                                        .task_free = log_task_free};
    struct process_table *table;
    return process_table_new(&listener, &table) < 0 ? NULL : table;
}

/* What was written since the last call; valid until the next event. */
static inline const char *log_take(struct log *log) {
    buffer_put_u8(&log->text, 0);
    log->text.length = 0;
    return (const char *)log->text.data;
}
