/* SPDX-License-Identifier: MIT */
/*
 * What the drain thread must not do itself, done by two threads: the opener (files, /proc), behind which nothing slow may queue, since a
 * short-lived process or file is gone if it comes late; and the builder (unwind tables, JIT maps, the kernel's names).
 *
 *     drain --job--> opener or builder --job--> drain
 *
 * Both ways a job goes over a stack that is pushed to by compare-and-swap and emptied by one exchange, so the drain never waits for a lock
 * that a thread of lower priority holds. Jobs of one thread are done, and come back, in order of submission.
 *
 * A file may lie on a mount that no longer answers, and then whoever opens or reads it does not come back, and may not even be killed. A
 * thread that has taken no CPU time for a while is given up: its job comes back without a result (is_given_up), another thread takes its
 * place, and what the job named - module, image, jit - is lost to it: nobody else may touch or free that again, for it may come back.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "process/process.h"
#include "recording/recording.h"
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
    LOADER_NAMES,     /* module, open, addresses, count -> names */
    LOADER_KALLSYMS,  /* addresses, count -> symbols (NULL: the kernel does not tell) */
};

/* What is known of a module's addresses: for each of them a chain, the first lengths[0] of `locations`, and so on. */
struct loader_names {
    bool inlines;        /* in: are they wanted? */
    _Atomic bool stop;   /* by the drain: what is not done by now is not wanted any more */
    _Atomic size_t done; /* how many addresses, for the drain to watch */
    int error;
    VEC(uint32_t) lengths; /* fewer than addresses: it was stopped, or there is an error */
    VEC(struct recording_location) locations;
    size_t mangled;                /* names among them that are */
    struct symbol_module *symbols; /* whose strings they are */
};

struct loader_job {
    struct loader_job *next;
    enum loader_task task;
    struct process_module *module;
    struct process_sighting sighting;
    uint32_t pid;                /* of the space */
    struct process_space *space; /* with references, which are the drain's to drop; the thread does not touch them */
    struct process_maps *maps;
    struct jit *jit;
    struct unwind_module *tables;
    uint64_t *addresses; /* sorted; malloc'ed */
    size_t count;
    struct symbol_table *symbols;
    struct loader_names *names; /* malloc'ed */
    bool is_stripped;
    char *text;
    size_t length;
    char comm[PROCESS_COMM_MAX];
    bool is_gone;     /* there is no such process (any more) */
    bool is_given_up; /* nothing came back */
};

struct loader;

/* `root`: for debug files; must outlive it. `patience_ms`: how long a thread may do nothing before it is given up; 0: 5,000, and less once
 * one has been. Starts the threads, with all signals blocked. */
int loader_new(const char *root, unsigned patience_ms, struct loader **ret);

/* Does what was submitted no more, and ends the threads. What is left of the jobs is given to `drop`. False: threads hang; they, the loader
 * and what their jobs name have to stay as they are. It may be tried again. */
bool loader_free(struct loader *loader, void (*drop)(void *context, struct loader_job *job), void *context);

/* Takes the job over. Never waits. */
void loader_submit(struct loader *loader, struct loader_job *job);

/* The jobs done since the last call, oldest first, linked by `next`; NULL if none. They are the caller's to free. Never waits. */
struct loader_job *loader_take(struct loader *loader);

/* Jobs submitted and not taken yet. */
size_t loader_pending(const struct loader *loader);

/* Gives up threads that hang. To be called now and then; looks ten times a second at most. Never waits. */
void loader_look(struct loader *loader);

/* Waits until a job is done (or has been since the last loader_take), but not longer than a tenth of a second, and looks. Not for the drain
 * while it samples. */
void loader_wait(struct loader *loader);
