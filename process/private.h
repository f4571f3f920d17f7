/* SPDX-License-Identifier: MIT */
/* What the files of process/ share with each other. */
#pragma once

#include "process/process.h"

struct process_table {
    struct process_listener listener;
    uint64_t generation; /* the last one given */
    uint32_t spaces_made, tasks_made;
    struct map spaces;                 /* pid -> struct process_space *, those that run */
    struct map tasks;                  /* tid -> struct process_task *, until they are retired */
    VEC(struct process_task *) exited; /* not retired yet, in order of their ends; each with a reference */
    size_t retired;                    /* exited.items[0..retired) have been */
    VEC(struct process_task *) untold; /* retired without a word on their CPU time: theirs may be the rest that is known at the end */
    VEC(struct process_module *) modules;
    struct map module_index; /* hash of identity -> module id + 1; the next of an equal hash is in module_next */
    VEC(uint32_t) module_next;
};

/* Maps of their own for a caller who holds one reference, with a generation of their own. */
struct process_maps *process_maps_new(uint64_t generation);

/* Replaces *maps by a copy if it is shared (and not pending). */
int process_maps_own(struct process_maps **maps);

/* Ends what lies in [start, end). The maps must not be shared. */
int process_maps_cut(struct process_maps *maps, uint64_t start, uint64_t end);

/* Overlays what lies in the mapping's range with it. The maps must not be shared. */
int process_maps_insert(struct process_maps *maps, const struct process_mapping *mapping);

/* The mapping is there already, as part of an equal one: nothing would change. */
bool process_maps_has(const struct process_maps *maps, const struct process_mapping *mapping);

/* Makes a module that is not to be found by identity. NULL when memory is out. */
struct process_module *process_module_new(struct process_table *table, enum process_module_kind kind,
                                          const struct process_identity *identity, const char *path);
void process_modules_free(struct process_table *table);

/* The module behind a path as the kernel gives it, NULL when memory is out. */
struct process_module *process_module_of(struct process_table *table, struct process_space *space, const struct process_map_event *event);

/* ---- life.c ---------------------------------------------------------------------------------------------------------------------- */

/* The space of a pid or the task of a tid, or NULL. */
void *process_find(const struct map *m, uint32_t id);

/* A space that runs from now on. Takes over the reference to `maps` (may be NULL), on failure too. NULL when memory is out. The first
 * reference to the space is the table's own, until process_space_end. */
struct process_space *process_space_add(struct process_table *table, uint64_t time, uint32_t pid, const struct process_space *parent,
                                        struct process_maps *maps, bool is_guessed);

/* The space that runs in `pid`, made if nobody told of it. NULL when memory is out. */
struct process_space *process_space_get(struct process_table *table, uint64_t time, uint32_t pid);

/* Its pid is free for another; the table's reference goes. Does nothing to one that has ended. */
void process_space_end(struct process_table *table, struct process_space *space);

/* A task that runs from now on; one that had the tid has ended. NULL when memory is out. */
struct process_task *process_task_add(struct process_table *table, uint64_t time, uint32_t tid, struct process_space *space,
                                      const char *comm);

/* The task of `pid` and `tid`, made if nobody told of it. NULL when memory is out. */
struct process_task *process_task_of(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid);

void process_task_set_comm(struct process_task *task, const char *comm);

/* Puts it in the space's list, with a reference to the space; takes it out of the list, leaving it the reference. */
void process_task_enter(struct process_task *task, struct process_space *space);
void process_task_leave(struct process_task *task);

/* It runs no more, and its space ends with the last. It stays known by its tid. */
void process_task_exit(struct process_table *table, struct process_task *task, uint64_t time);

/* Nobody will speak of it again: forgets its tid and gives up the table's reference. */
void process_task_forget(struct process_table *table, struct process_task *task);
