/* SPDX-License-Identifier: MIT */
#include "pipeline/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "pipeline/jit.h"

struct job_stack {
    _Atomic(struct loader_job *) top;
};

struct worker {
    pthread_t thread;
    bool is_running;
    struct job_stack todo;
    sem_t submitted;
    _Atomic bool stop;
    struct loader *loader;
};

enum { OPENER, BUILDER, WORKERS };

struct loader {
    const char *root;
    struct worker workers[WORKERS];
    struct job_stack done;
    sem_t finished;
    size_t pending; /* the drain's own count */
};

/* ---- the two-way street ---------------------------------------------------------------------------------------------------------- */

static void job_push(struct job_stack *stack, struct loader_job *job) {
    job->next = atomic_load_explicit(&stack->top, memory_order_relaxed);
    /* Release: what the job says is written before it can be taken (acquire in job_take_all). */
    while (!atomic_compare_exchange_weak_explicit(&stack->top, &job->next, job, memory_order_release, memory_order_relaxed))
        ;
}

/* Everything on the stack, oldest first. */
static struct loader_job *job_take_all(struct job_stack *stack) {
    struct loader_job *newest = atomic_exchange_explicit(&stack->top, NULL, memory_order_acquire);
    struct loader_job *oldest = NULL;
    while (newest) {
        struct loader_job *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

/* ---- the work -------------------------------------------------------------------------------------------------------------------- */

static void do_open(struct loader_job *job) {
    (void)process_module_open(job->module, &job->sighting); /* the result is in the module's state */
    struct elf_section section;
    job->is_stripped = process_module_state(job->module) == PROCESS_MODULE_OPEN &&
                       elf_image_section(job->module->image, ".symtab", &section) < 0 &&
                       elf_image_section(job->module->image, ".gnu_debugdata", &section) < 0;
}

static void do_build(struct loader *loader, struct loader_job *job) {
    struct elf_image *image = job->module->image;
    struct unwind_module *tables;
    if (unwind_module_build(image, NULL, &tables) < 0)
        return;
    /* .debug_frame may be in a separate file, which is looked for only where there is no CFI without it. */
    struct elf_image *debug;
    char *debug_path;
    if (!unwind_module_info(tables)->fdes && job->module->kind == PROCESS_MODULE_FILE &&
        !elf_debug_open(image, job->module->path, loader->root, &debug, &debug_path)) {
        struct unwind_module *better;
        if (!unwind_module_build(image, debug, &better)) {
            unwind_module_free(tables);
            tables = better;
        }
        elf_image_close(debug);
        free(debug_path);
    }
    elf_image_unload(image);
    job->tables = tables;
}

static void do_comm(struct loader_job *job) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/comm", job->space->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, job->comm, sizeof job->comm - 1);
    if (length > 0 && job->comm[length - 1] == '\n')
        job->comm[length - 1] = 0;
}

static void do_maps(struct loader_job *job) {
    enum { MAPS_MAX = 64 << 20 }; /* 65,530 mappings of ~100 bytes are 6 MiB */
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/maps", job->space->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        job->is_gone = errno == ENOENT;
        return;
    }
    VEC(char) text = {0};
    for (;;) {
        ssize_t got = -1;
        if (text.count < MAPS_MAX && vec_reserve(&text, text.count + 65536))
            got = read(fd, text.items + text.count, text.capacity - text.count);
        if (got < 0) {
            vec_free(&text);
            return;
        }
        if (!got)
            break;
        text.count += (size_t)got;
    }
    if (!text.count) { /* a zombie, or a kernel thread: it has no memory */
        vec_free(&text);
        return;
    }
    job->text = text.items;
    job->length = text.count;
}

static void do_job(struct loader *loader, struct loader_job *job) {
    switch (job->task) {
    case LOADER_OPEN:
        do_open(job);
        break;
    case LOADER_MAPS:
        do_comm(job);
        do_maps(job);
        break;
    case LOADER_JIT_BEGIN:
        jit_begin(job->jit);
        break;
    case LOADER_JIT_DUMP:
        jit_begin_dump(job->jit, job->module, &job->sighting);
        break;
    case LOADER_JIT_END:
        jit_load(job->jit);
        break;
    case LOADER_KALLSYMS:
        (void)symbol_table_open_kallsyms("/proc/kallsyms", job->addresses, job->count, &job->symbols);
        break;
    case LOADER_BUILD:
        do_build(loader, job);
        break;
    }
}

static void *worker_run(void *argument) {
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    for (;;) {
        while (sem_wait(&worker->submitted) < 0 && errno == EINTR)
            ;
        struct loader_job *job = job_take_all(&worker->todo);
        while (job) {
            struct loader_job *next = job->next;
            if (!atomic_load_explicit(&worker->stop, memory_order_relaxed))
                do_job(loader, job);
            job_push(&loader->done, job);
            sem_post(&loader->finished);
            job = next;
        }
        if (atomic_load_explicit(&worker->stop, memory_order_relaxed))
            return NULL;
    }
}

/* ---- the drain's side ------------------------------------------------------------------------------------------------------------ */

static bool is_slow(const struct loader_job *job) {
    return job->task == LOADER_BUILD || job->task == LOADER_JIT_END || job->task == LOADER_KALLSYMS;
}

void loader_submit(struct loader *loader, struct loader_job *job) {
    struct worker *worker = &loader->workers[is_slow(job) ? BUILDER : OPENER];
    loader->pending++;
    job_push(&worker->todo, job);
    sem_post(&worker->submitted);
}

struct loader_job *loader_take(struct loader *loader) {
    struct loader_job *jobs = job_take_all(&loader->done);
    for (struct loader_job *job = jobs; job; job = job->next)
        loader->pending--;
    return jobs;
}

size_t loader_pending(const struct loader *loader) {
    return loader->pending;
}

void loader_wait(struct loader *loader) {
    while (!atomic_load_explicit(&loader->done.top, memory_order_relaxed) && loader->pending)
        (void)sem_wait(&loader->finished); /* posts of jobs taken long ago only make it look again */
}

static int worker_start(struct worker *worker, struct loader *loader) {
    worker->loader = loader;
    if (sem_init(&worker->submitted, 0, 0) < 0)
        return -errno;
    int r = pthread_create(&worker->thread, NULL, worker_run, worker);
    worker->is_running = !r;
    return -r;
}

static void drop_all(struct job_stack *stack, void (*drop)(void *context, struct loader_job *job), void *context) {
    struct loader_job *job = job_take_all(stack);
    while (job) {
        struct loader_job *next = job->next;
        drop(context, job);
        job = next;
    }
}

void loader_free(struct loader *loader, void (*drop)(void *context, struct loader_job *job), void *context) {
    if (!loader)
        return;
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &loader->workers[i];
        if (!worker->is_running)
            continue;
        atomic_store_explicit(&worker->stop, true, memory_order_relaxed);
        sem_post(&worker->submitted);
        pthread_join(worker->thread, NULL);
        sem_destroy(&worker->submitted);
        drop_all(&worker->todo, drop, context);
    }
    drop_all(&loader->done, drop, context);
    sem_destroy(&loader->finished);
    free(loader);
}

static void drop_nothing(void *context, struct loader_job *job) {
    (void)context;
    free(job);
}

int loader_new(const char *root, struct loader **ret) {
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return -ENOMEM;
    loader->root = root;
    sem_init(&loader->finished, 0, 0);

    /* The program's signals are the drain's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    for (size_t i = 0; i < WORKERS && !r; i++)
        r = worker_start(&loader->workers[i], loader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        loader_free(loader, drop_nothing, NULL);
        return r;
    }
    *ret = loader;
    return 0;
}
