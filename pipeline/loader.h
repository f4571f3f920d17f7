/* SPDX-License-Identifier: MIT */
/*
 * What the drain thread must not do itself, done by two threads: the opener (files, /proc), behind which nothing slow may queue, since a
 * short-lived process or file is gone if it comes late; and the builder (unwind tables, JIT maps, the kernel's names).
 *
 *     drain --job--> opener or builder --job--> drain
 *
 * Both ways a job goes over a stack that is pushed to by compare-and-swap and emptied by one exchange, so the drain never waits for a lock
 * that a thread of lower priority holds. Jobs of one thread are done, and come back, in order of submission.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "process/process.h"
#include "symbol/symbol.h"
#include "unwind/unwind.h"

struct jit;

enum loader_task {
    LOADER_OPEN,      /* module, sighting -> the module's state, is_stripped */
    LOADER_MAPS,      /* space, maps -> text (NULL: unreadable), length, comm ("": unreadable), is_gone */
    LOADER_JIT_BEGIN, /* jit: remembers whose /tmp it is */
    LOADER_JIT_DUMP,  /* jit, module, sighting: opens the dump */
    LOADER_JIT_END,   /* jit: reads its names */
    LOADER_BUILD,     /* module, open -> tables (NULL: failed) */
    LOADER_KALLSYMS,  /* addresses, count -> symbols (NULL: the kernel does not tell) */
};

struct loader_job {
    struct loader_job *next;
    enum loader_task task;
    struct process_module *module;
    struct process_sighting sighting;
    struct process_space *space; /* with references, which are the drain's to drop */
    struct process_maps *maps;
    struct jit *jit;
    struct unwind_module *tables;
    uint64_t *addresses; /* of the kernel, sorted; malloc'ed */
    size_t count;
    struct symbol_table *symbols;
    bool is_stripped;
    char *text;
    size_t length;
    char comm[PROCESS_COMM_MAX];
    bool is_gone; /* there is no such process (any more) */
};

struct loader;

/* `root`: for debug files; must outlive it. Starts the threads, with all signals blocked. */
int loader_new(const char *root, struct loader **ret);

/* Does what was submitted no more, and ends the threads. What is left of the jobs is given to `drop`. */
void loader_free(struct loader *loader, void (*drop)(void *context, struct loader_job *job), void *context);

/* Takes the job over. Never waits. */
void loader_submit(struct loader *loader, struct loader_job *job);

/* The jobs done since the last call, oldest first, linked by `next`; NULL if none. They are the caller's to free. Never waits. */
struct loader_job *loader_take(struct loader *loader);

/* Jobs submitted and not taken yet. */
size_t loader_pending(const struct loader *loader);

/* Waits until a job is done (or has been since the last loader_take). Not for the drain while it samples. */
void loader_wait(struct loader *loader);
