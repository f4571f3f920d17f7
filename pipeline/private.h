/* SPDX-License-Identifier: MIT */
/*
 * What the files of pipeline/ share with each other.
 *
 *     pipeline.c    rounds, life and death          merge.c    sources in order of time
 *     apply.c       events -> process state         intern.c   the stack tree
 *     modules.c     opening and building            loader.c   the threads that do it
 *     sample.c      walking and writing samples     backlog.c  those that wait
 *     space.c       what the unwinder sees          stack.c    frames -> node
 *     symbolise.c   names at the end                jit.c      names of JIT code
 *     counts.c      the counters' names             kernel.c   kernel modules
 *     scopes.c, scope-*.c   what annotated programs measured (scopes.h)
 */
#pragma once

#include "pipeline/backlog.h"
#include "pipeline/intern.h"
#include "pipeline/jit.h"
#include "pipeline/kernel.h"
#include "pipeline/loader.h"
#include "pipeline/merge.h"
#include "pipeline/pipeline.h"
#include "pipeline/scopes.h"
#include "process/process.h"
#include "recording/recording.h"
#include "unwind/unwind.h"

/* What the pipeline knows of a module; its id is that of the process table and of the recording alike. */
struct pipeline_module {
    struct process_module *module;
    _Atomic(struct unwind_module *) tables; /* published by the loader's result; never changed after */
    struct jit *jit;                        /* PROCESS_MODULE_ANONYMOUS */
    uint32_t flags;                         /* MODULE_*, as written */
    uint8_t attempts;                       /* to open it */
    bool is_opening, is_building, is_unbuildable, is_naming;
    bool is_lost;               /* the loader has given it up: not to be touched */
    struct loader_names *names; /* while is_naming: to be watched */
};

/* The stack a thread was last seen with, root first: node[i] is the path frame[0..i]. What a new stack has in common with it needs no
 * look-up. */
struct pipeline_stack {
    uint32_t *frames, *nodes;
    uint32_t count, capacity;
    uint32_t end;   /* enum stack_end */
    uint32_t epoch; /* the ids are of */
};

/* process_task.owner */
struct pipeline_thread {
    uint32_t id;  /* in the recording */
    uint32_t row; /* the recording's task: this thread under its comm and space; RECORDING_NONE: not written yet */
    struct pipeline_stack last;
    struct unwind_history *history;
};

struct pipeline_address {
    uint32_t module;
    uint64_t address; /* the look-up address */
};

struct pipeline {
    struct pipeline_options options;
    struct recording_writer *writer;
    struct merge merge;
    struct process_table *table;
    struct loader *loader;
    struct unwinder *unwinder;
    struct intern intern;
    uint32_t epoch; /* from 1 */
    struct backlog backlog;
    bool is_backlog_due;                   /* a job came back: somebody may be able to go on */
    VEC(struct pipeline_module *) modules; /* by id */
    struct kernel kernel;
    struct scopes scopes;
    struct symbol_table *kernel_symbols;
    VEC(uint32_t) frame_ids;              /* of the stack at work, innermost first */
    VEC(struct pipeline_address) touched; /* of the epochs before this one, unsorted */
    VEC(struct process_space *) to_read;  /* whose maps are to be read again; with references */
    uint64_t now;                         /* the time of the last event */
    struct unwind_counts unwound;         /* of the unwinders that are gone */
    struct pipeline_counts counts;        /* but for what the unwinders count */
    struct pipeline_counts counts_seen;   /* all of it, as of the last round */
    int error;                            /* the first -ENOMEM, which ends the recording */
};

/* ---- modules.c ------------------------------------------------------------------------------------------------------------------- */

/* A module appeared. */
void pipeline_module_new(struct pipeline *p, struct process_module *module);

/* It was seen mapped: opens it if that has not been done. */
void pipeline_module_seen(struct pipeline *p, struct process_module *module, uint32_t pid, uint64_t start, uint64_t length);

/* The JIT of a process's anonymous module; NULL when memory is out. */
struct jit *pipeline_jit(struct pipeline *p, struct process_module *module, uint32_t pid);

/* A mapping may be that of a JIT's dump: opens it then. */
void pipeline_jit_dump_seen(struct pipeline *p, struct process_space *space, const struct process_mapping *mapping);

/* Asks for the names of a space's JIT code, if any of it was seen running. */
void pipeline_jit_ask(struct pipeline *p, struct process_space *space);

/* Asks for the names of a JIT, likewise. */
void pipeline_jit_names_ask(struct pipeline *p, struct jit *jit);

/* Asks for the names of an open module's addresses (module->is_naming until they are written). 0 or -ENOMEM. */
int pipeline_names_ask(struct pipeline *p, struct pipeline_module *module, const struct pipeline_address *addresses, size_t count);

/* Asks for the maps of a space, whose maps will be pending. False: cannot be. */
bool pipeline_maps_ask(struct pipeline *p, struct process_space *space);

/* Asks for the names of the kernel's addresses among p->touched, if there are any. */
void pipeline_kernel_ask(struct pipeline *p);

/* Asks for a module's tables. */
void pipeline_tables_ask(struct pipeline *p, struct pipeline_module *module);

/* Takes over what the loader has done. */
void pipeline_take_jobs(struct pipeline *p);

/* Waits until the loader has nothing more to do (or has been given up), and lets those go on who waited for it. */
int pipeline_settle(struct pipeline *p);

void pipeline_drop_job(void *context, struct loader_job *job);
void pipeline_module_free(struct pipeline_module *module);

static inline bool pipeline_is_waiting(const struct pipeline_module *module) {
    return module->is_opening || module->is_building;
}

/* ---- apply.c --------------------------------------------------------------------------------------------------------------------- */

extern const struct process_listener pipeline_listener; /* but for its context */

int pipeline_apply(struct pipeline *p, const struct raw_event *event);

/* ---- space.c --------------------------------------------------------------------------------------------------------------------- */

/* The way of one sample. */
struct pipeline_walk {
    struct pipeline *p;
    struct process_space *space;
    const struct process_maps *maps; /* of the sample's moment */
    bool is_forced;                  /* do not wait for what is loading */
    bool was_waiting;                /* something would have been waited for */
    uint32_t module;                 /* with -EAGAIN: what for */
    uint64_t unknown;                /* frames that count as such */
    struct scope_memory *memory;     /* with scopes.open: whose scopes; NULL: the thread has none */
    struct scope_life *life;
};

/* unwind_space.find and .read; their context is a struct pipeline_walk. */
void pipeline_space_find(void *context, uint64_t pc, struct unwind_place *ret);
int pipeline_space_read(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source);

/* ---- stack.c: p->frame_ids is the stack at work, innermost first ----------------------------------------------------------------- */

int pipeline_push_frame(struct pipeline *p, const struct intern_frame *frame);
int pipeline_push_kernel_frames(struct pipeline *p, const struct raw_sample *sample);
int pipeline_push_user_frames(struct pipeline_walk *walk, const struct unwind_stack *stack);

/* The node of the stack, which ends as `end`; `last` is its thread's. */
int pipeline_stack_node(struct pipeline *p, struct pipeline_stack *last, enum stack_end end, uint32_t *ret);

/* The intern tables are full: they start anew. Invalidates the unwinder's last stack. */
int pipeline_epoch_begin(struct pipeline *p);

/* ---- sample.c -------------------------------------------------------------------------------------------------------------------- */

/* The recording's row of a task, written at need. */
uint32_t pipeline_task_row(struct pipeline *p, struct process_task *task);

int pipeline_sample(struct pipeline *p, uint64_t time, const struct raw_sample *sample);

/* Walks those that need not wait any more; with `force` all. */
int pipeline_retry(struct pipeline *p, bool force);

/* ---- symbolise.c ----------------------------------------------------------------------------------------------------------------- */

/* Keeps the addresses of the frames that are about to be forgotten. */
int pipeline_touch(struct pipeline *p);

/* ---- counts.c -------------------------------------------------------------------------------------------------------------------- */

void pipeline_counts_update(struct pipeline *p);
void pipeline_counts_write(struct pipeline *p);
void pipeline_counts_add_unwinder(struct unwind_counts *sum, const struct unwind_counts *more);
