/* SPDX-License-Identifier: MIT */
/* Events, applied in order of time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process/private.h"

enum {
    RETIRE_AFTER = 1000000000, /* ns. perf's last word on a thread comes within its exit, however long that is preempted */
    UNTOLD_MAX = 64,
};

/* ---- events ---------------------------------------------------------------------------------------------------------------------- */

int process_task_get(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, struct process_task **ret) {
    struct process_task *task = process_task_of(table, time, pid, tid);
    if (!task)
        return -ENOMEM;
    *ret = task;
    return 0;
}

struct process_task *process_task_find(struct process_table *table, uint32_t pid, uint32_t tid) {
    struct process_task *task = process_find(&table->tasks, tid);
    return task && task->space->pid == pid ? task : NULL;
}

/* Ends all tasks of a space, and so the space. */
static void space_end_tasks(struct process_table *table, struct process_space *space, uint64_t time) {
    process_space_ref(space);
    while (space->tasks) {
        struct process_task *task = space->tasks;
        process_task_exit(table, task, time);
        process_task_forget(table, task);
    }
    process_space_end(table, space);
    process_space_unref(space);
}

int process_fork(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, uint32_t parent_pid, uint32_t parent_tid) {
    const struct process_task *maker = process_find(&table->tasks, parent_tid);
    char comm[PROCESS_COMM_MAX] = "";
    if (maker && maker->space->pid == parent_pid)
        memcpy(comm, maker->comm, sizeof comm);

    struct process_space *space;
    if (pid == parent_pid) {
        space = process_space_get(table, time, pid);
    } else {
        struct process_space *stale = process_find(&table->spaces, pid), *parent = process_find(&table->spaces, parent_pid);
        if (stale)
            space_end_tasks(table, stale, time);
        space = parent ? process_space_add(table, time, pid, parent, process_maps_ref(parent->maps), false)
                       : process_space_get(table, time, pid);
    }
    if (!space)
        return -ENOMEM;
    if (process_task_add(table, time, tid, space, comm))
        return 0;
    if (!space->tasks)
        process_space_end(table, space);
    return -ENOMEM;
}

/*
 * When another thread than the leader calls execve, the kernel ends the leader and gives its tid to the caller (fs/exec.c, de_thread),
 * whose own tid is never heard of again. All but `tid` are ended here.
 */
int process_exec(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, const char *comm) {
    struct process_space *before = process_find(&table->spaces, pid);
    struct process_space *space = NULL;
    struct process_maps *maps = process_maps_new(process_generation(table));
    if (!maps)
        return -ENOMEM;
    if (before) {
        process_space_ref(before);
        for (struct process_task *task = before->tasks, *next; task; task = next) {
            next = task->next;
            if (task->tid == tid) {
                process_task_leave(task);
                continue;
            }
            process_task_exit(table, task, time);
            process_task_forget(table, task);
        }
        process_space_end(table, before);
    }
    space = process_space_add(table, time, pid, before, maps, false);
    process_space_unref(before);
    if (!space)
        return -ENOMEM;
    space->is_entered = false;

    struct process_task *task = process_find(&table->tasks, tid);
    if (!task || task->is_ended || task->space->pid != pid) {
        if (process_task_add(table, time, tid, space, comm))
            return 0;
        process_space_end(table, space);
        return -ENOMEM;
    }
    struct process_space *left = task->space;
    process_task_leave(task);
    process_task_enter(task, space);
    process_space_unref(left);
    process_task_set_comm(task, comm);
    table->listener.task_changed(table->listener.context, task);
    return 0;
}

int process_comm(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, const char *comm) {
    struct process_task *task = process_task_of(table, time, pid, tid);
    if (!task)
        return -ENOMEM;
    if (!strncmp(task->comm, comm, sizeof task->comm - 1))
        return 0;
    process_task_set_comm(task, comm);
    table->listener.task_changed(table->listener.context, task);
    return 0;
}

int process_exit(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid) {
    struct process_task *task = process_find(&table->tasks, tid);
    if (!task || task->is_ended || task->space->pid != pid)
        return 0;
    struct process_task **slot = vec_push(&table->exited);
    if (!slot)
        return -ENOMEM;
    *slot = process_task_ref(task);
    process_task_exit(table, task, time);
    return 0;
}

/* Who had the tid at that time: the one who has it now, or one who ended long ago; NULL: nobody told of it. */
static struct process_task *task_at(const struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid) {
    struct process_task *task = process_find(&table->tasks, tid);
    if (task && task->space->pid == pid && task->start <= time)
        return task;
    for (size_t i = table->untold.count; i-- > 0;) {
        task = table->untold.items[i];
        if (task->tid == tid && task->space->pid == pid && task->start <= time)
            return task;
    }
    return NULL;
}

int process_cpu(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, uint64_t cpu_time) {
    struct process_task *task = task_at(table, time, pid, tid);
    if (!task)
        task = process_task_of(table, time, pid, tid);
    if (!task)
        return -ENOMEM;
    task->cpu_time += cpu_time;
    task->has_cpu_time = true;
    return 0;
}

static int space_map(struct process_table *table, uint64_t time, struct process_space *space, const struct process_map_event *event) {
    uint64_t end = event->start + event->length;
    if (end <= event->start)
        return -EINVAL;
    struct process_mapping mapping = {
        .start = event->start, .end = end, .origin = event->start, .origin_length = event->length, .offset = event->offset};
    if (event->is_executable) {
        mapping.module = process_module_of(table, space, event);
        if (!mapping.module)
            return -ENOMEM;
        if (process_maps_has(space->maps, &mapping))
            return 0;
    }
    int r = process_maps_own(&space->maps);
    if (r < 0)
        return r;
    space->maps->generation = process_generation(table);
    if (!event->is_executable)
        return process_maps_cut(space->maps, mapping.start, mapping.end);
    r = process_maps_insert(space->maps, &mapping);
    if (!r)
        table->listener.mapping_new(table->listener.context, space, &mapping, time);
    return r;
}

int process_map(struct process_table *table, uint64_t time, uint32_t pid, const struct process_map_event *event) {
    struct process_space *space = process_find(&table->spaces, pid);
    if (!space) { /* somebody runs there: its first task is the leader, as far as we know */
        struct process_task *task = process_task_of(table, time, pid, pid);
        if (!task)
            return -ENOMEM;
        space = task->space;
    }
    return space_map(table, time, space, event);
}

/* Gives up the task's tid, but not the task: its CPU time may still be told (process_cpu). False: no room. */
static bool set_aside(struct process_table *table, struct process_task *task) {
    if (process_find(&table->tasks, task->tid) != task || table->untold.count >= UNTOLD_MAX)
        return false;
    struct process_task **slot = vec_push(&table->untold);
    if (!slot)
        return false;
    *slot = task; /* the table's reference goes with it */
    map_remove(&table->tasks, task->tid);
    return true;
}

static void end_untold(struct process_table *table) {
    for (size_t i = 0; i < table->untold.count; i++) {
        table->listener.task_end(table->listener.context, table->untold.items[i]);
        process_task_unref(table, table->untold.items[i]);
    }
    vec_clear(&table->untold);
}

void process_retire(struct process_table *table, uint64_t now) {
    while (table->retired < table->exited.count) {
        struct process_task *task = table->exited.items[table->retired];
        if (now < task->end || now - task->end < RETIRE_AFTER)
            break;
        if (task->has_cpu_time || !set_aside(table, task))
            process_task_forget(table, task);
        process_task_unref(table, task);
        table->retired++;
    }
    if (table->retired == table->exited.count) {
        vec_clear(&table->exited);
        table->retired = 0;
    } else if (table->retired > 1024 && table->retired > table->exited.count / 2) {
        table->exited.count -= table->retired;
        memmove(table->exited.items, table->exited.items + table->retired, table->exited.count * sizeof *table->exited.items);
        table->retired = 0;
    }
}

/* ---- reading again --------------------------------------------------------------------------------------------------------------- */

int process_reread(struct process_table *table, struct process_space *space) {
    if (space->is_ended || space->maps->is_pending)
        return -EALREADY;
    if (space->maps->references > 1) { /* what others hold is not in doubt */
        int r = process_maps_own(&space->maps);
        if (r < 0)
            return r;
        space->maps->generation = process_generation(table);
    }
    space->maps->is_pending = true;
    return 0;
}

struct reread {
    struct process_table *table;
    struct process_space *space;
    uint64_t time;
};

static int reread_line(void *context, const struct process_map_event *event) {
    struct reread *reread = context;
    if (!event->is_executable || event->start >> 63) /* [vsyscall] is the kernel's */
        return 0;
    int r = space_map(reread->table, reread->time, reread->space, event);
    return r == -EINVAL ? 0 : r;
}

int process_reread_done(struct process_table *table, uint64_t time, struct process_space *space, struct process_maps *maps,
                        const char *text, size_t length) {
    int r = 0;
    if (text && space->maps == maps) {
        size_t skipped;
        struct reread reread = {.table = table, .space = space, .time = time};
        vec_clear(&maps->items);
        maps->generation = process_generation(table);
        r = process_maps_parse(text, length, reread_line, &reread, &skipped);
    }
    maps->is_pending = false;
    return r;
}

void process_each_space(struct process_table *table, void (*visit)(void *context, struct process_space *space), void *context) {
    for (size_t i = map_next(&table->spaces, 0); i < table->spaces.capacity; i = map_next(&table->spaces, i + 1))
        visit(context, (void *)(uintptr_t)table->spaces.slots[i].value);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------- */

int process_table_new(const struct process_listener *listener, struct process_table **ret) {
    struct process_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    table->listener = *listener;
    *ret = table;
    return 0;
}

void process_table_end(struct process_table *table) {
    process_retire(table, UINT64_MAX);
    end_untold(table);
    while (table->tasks.used) {
        struct process_task *task = (void *)(uintptr_t)table->tasks.slots[map_next(&table->tasks, 0)].value;
        struct process_space *space = task->space;
        process_task_leave(task);
        process_space_ref(space);
        process_task_forget(table, task);
        if (!space->tasks)
            process_space_end(table, space);
        process_space_unref(space);
    }
}

void process_table_free(struct process_table *table) {
    if (!table)
        return;
    process_table_end(table);
    vec_free(&table->exited);
    vec_free(&table->untold);
    map_free(&table->tasks);
    map_free(&table->spaces);
    process_modules_free(table);
    free(table);
}
