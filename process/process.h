/* SPDX-License-Identifier: MIT */
/*
 * The door of process/: who runs, and what is mapped where and when.
 *
 * Glossary
 *   task      one kernel thread's life. A tid that comes back is another task
 *   space     one address space's life: from fork or exec to exec or the exit of its last task. A pid that execs has a new space
 *   maps      the executable mappings of a space at one moment: sorted, disjoint. Shared by reference count, copied when it changes
 *   mapping   a piece of a module in a space
 *   module    a file, the vDSO, the kernel, or the anonymous executable memory of one process (where a JIT writes)
 *   identity  what tells two files of one path apart: device, inode and inode generation, or a build-id
 *
 *       task --> space --> maps --> mapping[] --> module          a fork: child's space --> the same maps
 *
 * Time. Events are applied in order of time, so `space->maps` is what is mapped now. Whoever must look later (a sample that waits for a
 * module) takes a reference to the maps: they are not changed under it, since a change copies what is shared. That is the look-up by
 * (process, pc, time), without a search in time. perf says nothing of munmap: a mapping ends when another overlays it, or with its space.
 *
 * A set of maps is pending while it is being read from /proc: nothing is known about it, whoever looks has to wait, and what is read is
 * filled into it for all who hold it (to learn is not to change).
 *
 * Invariants: items[i].start < items[i].end <= items[i + 1].start. Two maps with the same generation map every pc alike; a generation is
 * never used twice by one table.
 *
 * Threads: a table belongs to one thread. A module's published part (state and what it covers) may be read by any thread;
 * process_module_open may be called by any one thread at a time for a module.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/vec.h"
#include "elf/elf.h"

/* ---- modules --------------------------------------------------------------------------------------------------------------------- */

enum process_module_kind {
    PROCESS_MODULE_FILE,
    PROCESS_MODULE_VDSO,
    PROCESS_MODULE_KERNEL,
    PROCESS_MODULE_ANONYMOUS, /* executable memory without file */
};

struct process_identity {
    uint32_t device_major, device_minor;
    uint64_t inode, inode_generation; /* inode 0: not known; generation 0: not known */
    struct elf_build_id build_id;     /* length 0: not known */
};

enum process_module_state {
    PROCESS_MODULE_UNOPENED, /* nobody has tried yet */
    PROCESS_MODULE_OPEN,     /* `image` may be used */
    PROCESS_MODULE_NOT_ELF,  /* it is the file that is mapped, but not one we can read: a JIT's memory behind a file, or a foreign format */
    PROCESS_MODULE_FAILED,   /* gone, replaced or forbidden. May be tried again through another process */
};

struct process_module {
    uint32_t id; /* dense, in order of appearance */
    enum process_module_kind kind;
    struct process_identity identity;
    char *path; /* as the kernel named it to the first process that mapped it */

    /* Written by process_module_open; `state` is stored with release after the rest, and loaded with acquire before it. */
    _Atomic uint32_t state; /* enum process_module_state */
    bool is_deleted;        /* its path is gone, or another file by now */
    struct elf_image *image;
};

static inline enum process_module_state process_module_state(const struct process_module *module) {
    return (enum process_module_state)atomic_load_explicit(&module->state, memory_order_acquire);
}

/* Where a module was seen, for process_module_open. */
struct process_sighting {
    uint32_t pid;
    uint64_t start, length; /* of the mapping */
    bool is_live;           /* the process is, or was, on this machine: /proc may be asked */
    bool is_same_kernel;    /* it ran, or runs, under the kernel that runs here: its vDSO is ours */
    const char *root;       /* put before the path when not live */
};

/*
 * Opens the file a module was mapped from and publishes it: PATH below /proc/PID/root, then what /proc/PID/map_files and /proc/PID/exe name
 * (a deleted file), then PATH itself (the process has ended). Only a regular file that is the one mapped is taken: the same device, inode
 * and generation, or build-id. Slow; may block on a file system. Does nothing if the module is open already. Returns 0 or -errno; whatever
 * it returns, the state is published.
 */
int process_module_open(struct process_module *module, const struct process_sighting *sighting);

/* ---- maps ------------------------------------------------------------------------------------------------------------------------ */

/* [start, end) is what remains of [origin, origin + origin_length), which maps the module from file offset `offset` on. */
struct process_mapping {
    uint64_t start, end;
    uint64_t origin, origin_length, offset;
    struct process_module *module;
};

struct process_maps {
    uint64_t generation;
    uint32_t references;
    bool is_pending;
    VEC(struct process_mapping) items;
};

/* The mapping that holds `pc`, or NULL. */
static inline const struct process_mapping *process_maps_find(const struct process_maps *maps, uint64_t pc) {
    size_t low = 0, high = maps->items.count;
    while (low < high) { /* items[0..low) end at or before pc; items[high..) end behind it */
        size_t middle = low + (high - low) / 2;
        if (maps->items.items[middle].end <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maps->items.count && maps->items.items[low].start <= pc ? &maps->items.items[low] : NULL;
}

struct process_maps *process_maps_ref(struct process_maps *maps);
void process_maps_unref(struct process_maps *maps); /* NULL is allowed */

/* ---- spaces and tasks ------------------------------------------------------------------------------------------------------------ */

struct process_task;

struct process_space {
    uint32_t id; /* dense, in order of appearance */
    uint32_t pid;
    uint32_t parent;     /* id of the space it came from by fork or exec, or UINT32_MAX */
    uint32_t references; /* of its tasks, and of whoever keeps it */
    bool is_ended;
    bool is_guessed; /* its birth was not seen */
    bool is_entered; /* user code may have run in it: false from exec until its owner sees some */
    uint64_t start;
    struct process_maps *maps;
    struct process_module *anonymous; /* its JIT memory; NULL until seen */
    struct process_task *tasks;       /* those that run */
};

enum { PROCESS_COMM_MAX = 16 };

struct process_task {
    uint32_t id; /* dense, in order of appearance */
    uint32_t tid;
    uint32_t references;
    struct process_space *space; /* with a reference; another one after exec */
    char comm[PROCESS_COMM_MAX]; /* with NUL */
    uint64_t start, end;         /* end: 0 while it runs */
    uint64_t cpu_time;           /* ns, exact, as far as it was told */
    bool has_cpu_time;
    bool is_ended;
    struct process_task *next, **link; /* in its space */
    void *owner;                       /* the listener's */
};

/* What the table tells its owner; every function is called on the table's thread, with the table in a consistent state. All must be set. */
struct process_listener {
    void *context;
    void (*module_new)(void *context, struct process_module *module);
    void (*space_new)(void *context, struct process_space *space);
    /* Exec or exit of the last task: its JIT map is to be read now or never. */
    void (*space_end)(void *context, struct process_space *space);
    /* `space` was never seen being born. True: the owner will call process_reread_done, until which the maps are pending. */
    bool (*space_unknown)(void *context, struct process_space *space);
    /* A mapping appeared that was not there before. */
    void (*mapping_new)(void *context, struct process_space *space, const struct process_mapping *mapping, uint64_t time);
    void (*task_new)(void *context, struct process_task *task);
    /* Its comm or space is about to change / has changed. */
    void (*task_changed)(void *context, struct process_task *task);
    /* Nothing more will be said about it: it ended a while ago, or its tid came back, or the table goes. `task->is_ended` says if its end
     * was seen. */
    void (*task_end)(void *context, struct process_task *task);
    /* The last reference is gone: release `owner`. */
    void (*task_free)(void *context, struct process_task *task);
};

struct process_table;

/* `listener` is copied. */
int process_table_new(const struct process_listener *listener, struct process_table **ret);

/* Ends all tasks (task_end, then task_free) and frees everything but what others hold references to, modules and their images included. */
void process_table_free(struct process_table *table);

/* Ends every task and space, without forgetting the modules. */
void process_table_end(struct process_table *table);

struct process_space *process_space_ref(struct process_space *space);
void process_space_unref(struct process_space *space);
struct process_task *process_task_ref(struct process_task *task);
void process_task_unref(struct process_table *table, struct process_task *task);

/* A generation nobody has. */
uint64_t process_generation(struct process_table *table);

/* The anonymous module of a space, made at need. NULL when memory is out. */
struct process_module *process_space_anonymous(struct process_table *table, struct process_space *space);

/* The module of this kind and identity (or, where nothing is known of its identity, path); made if it is new. NULL when memory is out. */
struct process_module *process_module_get(struct process_table *table, enum process_module_kind kind,
                                          const struct process_identity *identity, const char *path);

/* ---- files ------------------------------------------------------------------------------------------------------------------------ */

/* Opens `path` if it is a regular file and, as far as the module's identity tells and `check_inode` asks, the one that was mapped. Never
 * waits for a FIFO, never touches a device. The descriptor, -ESTALE: another file, -EINVAL: not a regular one, or -errno. */
int process_open_mapped(const struct process_module *module, const char *path, bool check_inode, struct stat *ret_status);

/* ---- events, to be applied in order of time. 0 or -ENOMEM ------------------------------------------------------------------------- */

/* The task of a sample, made (and its space with it) if nobody told of it. */
int process_task_get(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, struct process_task **ret);

/* The task, if it was told of and is not forgotten; NULL otherwise. It may have ended. */
struct process_task *process_task_find(struct process_table *table, uint32_t pid, uint32_t tid);

/* pid == parent_pid: a thread. Otherwise a process, which shares its parent's maps until either changes. */
int process_fork(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, uint32_t parent_pid, uint32_t parent_tid);

/* Whatever ran in `pid` is replaced, its other threads are gone, and `tid` (= pid, whoever called execve) starts with no mappings. */
int process_exec(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, const char *comm);

int process_comm(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, const char *comm);

/* The task can be told of until process_retire takes it (perf gives exact CPU time after the exit); a few of those whose CPU time nobody
 * told can be told theirs until the table ends. */
int process_exit(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid);

/* Adds to the exact CPU time of the task that had the tid at `time`, which may lie before the other events'. */
int process_cpu(struct process_table *table, uint64_t time, uint32_t pid, uint32_t tid, uint64_t cpu_time);

struct process_map_event {
    uint64_t start, length, offset;
    struct process_identity identity;
    bool is_executable;
    const char *path; /* as the kernel names it: a path, "[vdso]", "//anon", ...; hostile */
};

/* Overlays [start, start + length). A mapping that is not executable only ends what was there. Senseless ranges are ignored: -EINVAL. */
int process_map(struct process_table *table, uint64_t time, uint32_t pid, const struct process_map_event *event);

/* Ends those whose exit was more than a second before `now`. */
void process_retire(struct process_table *table, uint64_t now);

/* ---- reading again from /proc ----------------------------------------------------------------------------------------------------- */

/* Makes the maps of a space pending (after lost records). The caller will call process_reread_done. */
int process_reread(struct process_table *table, struct process_space *space);

/* What was read of /proc/PID/maps, or NULL if it could not be read: then what is known stays. Ends the pending state of `maps`, which were
 * the space's when the reading was asked for. */
int process_reread_done(struct process_table *table, uint64_t time, struct process_space *space, struct process_maps *maps,
                        const char *text, size_t length);

/* The spaces that run, for a re-reading of all of them: calls `visit` for each; it may not apply events. */
void process_each_space(struct process_table *table, void (*visit)(void *context, struct process_space *space), void *context);

/* One line of /proc/PID/maps (Documentation/filesystems/proc.rst). `event->path` lives during the call. */
typedef int (*process_maps_visit)(void *context, const struct process_map_event *event);

/* Parses the text of /proc/PID/maps: every line, executable or not. Lines that make no sense are skipped and counted. Stops with the
 * visitor's value when that is not 0. */
int process_maps_parse(const char *text, size_t length, process_maps_visit visit, void *context, size_t *ret_skipped);
