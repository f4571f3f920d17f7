/* SPDX-License-Identifier: MIT */
/* Spaces and tasks: how they come and go. */
#include <stdio.h>
#include <stdlib.h>

#include "process/private.h"

/* ---- reference counts ------------------------------------------------------------------------------------------------------------ */

struct process_space *process_space_ref(struct process_space *space) {
    space->references++;
    return space;
}

/* noinline: gcc 12 follows the free into callers that hold another reference, and warns of a use after it. */
static __attribute__((noinline)) void space_free(struct process_space *space) {
    process_maps_unref(space->maps);
    free(space);
}

void process_space_unref(struct process_space *space) {
    if (space && !--space->references)
        space_free(space);
}

struct process_task *process_task_ref(struct process_task *task) {
    task->references++;
    return task;
}

static __attribute__((noinline)) void task_free(struct process_table *table, struct process_task *task) {
    table->listener.task_free(table->listener.context, task);
    process_space_unref(task->space);
    free(task);
}

void process_task_unref(struct process_table *table, struct process_task *task) {
    if (task && !--task->references)
        task_free(table, task);
}

void *process_find(const struct map *m, uint32_t key) {
    uint64_t *value = map_find(m, key);
    return value ? (void *)(uintptr_t)*value : NULL;
}

/* ---- spaces ---------------------------------------------------------------------------------------------------------------------- */

uint64_t process_generation(struct process_table *table) {
    return ++table->generation;
}

struct process_space *process_space_add(struct process_table *table, uint64_t time, uint32_t pid, const struct process_space *parent,
                                        struct process_maps *maps, bool is_guessed) {
    bool is_new;
    struct process_space *space = maps ? calloc(1, sizeof *space) : NULL;
    uint64_t *slot = space ? map_put(&table->spaces, pid, &is_new) : NULL;
    if (!slot) {
        free(space);
        process_maps_unref(maps);
        return NULL;
    }
    *slot = (uintptr_t)space;
    *space = (struct process_space){.id = table->spaces_made++,
                                    .pid = pid,
                                    .parent = parent ? parent->id : UINT32_MAX,
                                    .references = 1,
                                    .is_guessed = is_guessed,
                                    .is_entered = true,
                                    .start = time,
                                    .maps = maps};
    table->listener.space_new(table->listener.context, space);
    if (is_guessed)
        maps->is_pending = table->listener.space_unknown(table->listener.context, space);
    return space;
}

static struct process_space *space_add_empty(struct process_table *table, uint64_t time, uint32_t pid, const struct process_space *parent,
                                             bool is_guessed) {
    return process_space_add(table, time, pid, parent, process_maps_new(process_generation(table)), is_guessed);
}

void process_space_end(struct process_table *table, struct process_space *space) {
    if (space->is_ended)
        return;
    space->is_ended = true;
    if (process_find(&table->spaces, space->pid) == space)
        map_remove(&table->spaces, space->pid);
    table->listener.space_end(table->listener.context, space);
    process_space_unref(space);
}

struct process_space *process_space_get(struct process_table *table, uint64_t time, uint32_t pid) {
    struct process_space *space = process_find(&table->spaces, pid);
    return space ? space : space_add_empty(table, time, pid, NULL, true);
}

/* ---- tasks ----------------------------------------------------------------------------------------------------------------------- */

void process_task_enter(struct process_task *task, struct process_space *space) {
    task->space = process_space_ref(space);
    task->next = space->tasks;
    task->link = &space->tasks;
    if (task->next)
        task->next->link = &task->next;
    space->tasks = task;
}

void process_task_leave(struct process_task *task) {
    if (!task->link)
        return;
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    task->next = NULL;
    task->link = NULL;
}

void process_task_set_comm(struct process_task *task, const char *comm) {
    snprintf(task->comm, sizeof task->comm, "%s", comm);
}

void process_task_exit(struct process_table *table, struct process_task *task, uint64_t time) {
    if (task->is_ended)
        return;
    task->is_ended = true;
    task->end = time;
    process_task_leave(task);
    if (!task->space->tasks)
        process_space_end(table, task->space);
}

void process_task_forget(struct process_table *table, struct process_task *task) {
    if (process_find(&table->tasks, task->tid) != task)
        return;
    map_remove(&table->tasks, task->tid);
    table->listener.task_end(table->listener.context, task);
    process_task_unref(table, task);
}

struct process_task *process_task_add(struct process_table *table, uint64_t time, uint32_t tid, struct process_space *space,
                                      const char *comm) {
    struct process_task *before = process_find(&table->tasks, tid);
    if (before) { /* the tid came back, or its end was not told */
        process_task_exit(table, before, time);
        process_task_forget(table, before);
    }
    bool is_new;
    struct process_task *task = calloc(1, sizeof *task);
    uint64_t *slot = task ? map_put(&table->tasks, tid, &is_new) : NULL;
    if (!slot) {
        free(task);
        return NULL;
    }
    *slot = (uintptr_t)task;
    task->id = table->tasks_made++;
    task->tid = tid;
    task->references = 1;
    task->start = time;
    process_task_set_comm(task, comm);
    process_task_enter(task, space);
    table->listener.task_new(table->listener.context, task);
    return task;
}

struct process_task *process_task_of(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid) {
    struct process_task *task = process_find(&table->tasks, tid);
    if (task && task->space->pid == pid)
        return task;
    struct process_space *space = process_space_get(table, time, pid);
    if (!space)
        return NULL;
    const struct process_task *leader = process_find(&table->tasks, pid);
    task = process_task_add(table, time, tid, space, leader && leader->space == space ? leader->comm : "");
    if (!task && !space->tasks)
        process_space_end(table, space);
    return task;
}
