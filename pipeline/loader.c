/* SPDX-License-Identifier: MIT */
#include "pipeline/loader.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "pipeline/loader-work.h"

enum {
    LOOK_MS = 100,        /* between two looks at the threads: who is held up himself (a stopped machine) counts that as one */
    PATIENCE_MS = 5000,   /* a disk that has to spin up first is not a dead mount */
    PATIENCE_MIN_MS = 500 /* of a thread after others have hung */
};

struct job_stack {
    _Atomic(struct loader_job *) top;
};

/*
 * `current` says whose the job at work is, and all behind it: as long as it stands there it is the worker's. The worker takes it away when
 * it is done, the drain when it gives up; whoever finds it gone has lost, and touches neither it nor what came behind it nor the loader.
 */
struct worker {
    pthread_t thread;
    struct loader *loader;
    struct job_stack todo;
    sem_t submitted, ended;
    _Atomic bool stop;
    _Atomic(struct loader_job *) current;
    struct loader_job *rest; /* what comes behind `current`; written before it */

    /* The drain's. */
    struct loader_job *watched; /* `current` at the last look */
    uint64_t cpu_time;          /* of the thread, then */
    unsigned idle;              /* looks since it last did anything */
    struct worker *next;        /* in loader.lost */
};

enum { OPENER, BUILDER, WORKERS };

struct loader {
    const char *root;
    struct worker *workers[WORKERS];
    struct worker *lost; /* those given up, each with the job it hangs in as `watched` */
    struct job_stack done;
    sem_t finished;
    size_t pending; /* the drain's own count */
    unsigned patience;
    uint64_t looked; /* CLOCK_MONOTONIC */
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

/* ---- a thread -------------------------------------------------------------------------------------------------------------------- */

/* Takes `current` away: true for one of the two who try. Its release and acquire order what the worker has done before what the drain does
 * with the rest. */
static bool worker_claim(struct worker *worker, struct loader_job *job) {
    return atomic_compare_exchange_strong_explicit(&worker->current, &job, NULL, memory_order_acq_rel, memory_order_relaxed);
}

/* Does what there is to do; false: the drain has given this thread up. */
static bool worker_do(struct worker *worker) {
    struct loader *loader = worker->loader;
    struct loader_job *job = job_take_all(&worker->todo);
    while (job) {
        struct loader_job *next = job->next;
        worker->rest = next;
        atomic_store_explicit(&worker->current, job, memory_order_release); /* with the acquire of worker_claim */
        if (!atomic_load_explicit(&worker->stop, memory_order_relaxed))
            loader_work(loader->root, job);
        if (!worker_claim(worker, job))
            return false;
        job_push(&loader->done, job);
        sem_post(&loader->finished);
        job = next;
    }
    return true;
}

static void *worker_run(void *argument) {
    struct worker *worker = argument;
    do {
        while (sem_wait(&worker->submitted) < 0 && errno == EINTR)
            ;
    } while (worker_do(worker) && !atomic_load_explicit(&worker->stop, memory_order_relaxed));
    sem_post(&worker->ended);
    return NULL;
}

static void worker_free(struct worker *worker) {
    sem_destroy(&worker->submitted);
    sem_destroy(&worker->ended);
    free(worker);
}

static int worker_new(struct loader *loader, struct worker **ret) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return -ENOMEM;
    worker->loader = loader;
    sem_init(&worker->submitted, 0, 0);
    sem_init(&worker->ended, 0, 0);

    /* The program's signals are the drain's business; but SIGBUS is what a file that is cut short answers to the thread that reads it, and
     * a thread that blocks it is killed by it (elf/guard.c). */
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&worker->thread, NULL, worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r) {
        worker_free(worker);
        return -r;
    }
    *ret = worker;
    return 0;
}

static void worker_submit(struct worker *worker, struct loader_job *job) {
    job_push(&worker->todo, job);
    sem_post(&worker->submitted);
}

/* Stops it, and waits for its end. It is not in the middle of a job, or comes to the end of it. */
static void worker_end(struct worker *worker) {
    atomic_store_explicit(&worker->stop, true, memory_order_relaxed);
    sem_post(&worker->submitted);
    pthread_join(worker->thread, NULL);
    worker_free(worker);
}

/* ---- threads that hang ----------------------------------------------------------------------------------------------------------- */

static uint64_t worker_cpu_time(const struct worker *worker) {
    clockid_t clock;
    return pthread_getcpuclockid(worker->thread, &clock) ? 0 : clock_read(clock);
}

/* Once per LOOK_MS. A thread at work takes CPU time; one that only waits for its turn gets some of it within the patience. */
static bool worker_hangs(struct worker *worker, unsigned patience) {
    struct loader_job *job = atomic_load_explicit(&worker->current, memory_order_relaxed);
    uint64_t cpu_time = job ? worker_cpu_time(worker) : 0;
    if (!job || job != worker->watched || cpu_time != worker->cpu_time) {
        worker->watched = job;
        worker->cpu_time = cpu_time;
        worker->idle = 0;
        return false;
    }
    return ++worker->idle >= patience;
}

/* The job as it was submitted, without what the thread needs until its end: its answer is that there is none. */
static struct loader_job answer_of(struct loader_job *job) {
    return (struct loader_job){.task = job->task,
                               .module = job->module,
                               .jit = job->jit,
                               .space = TAKE_POINTER(job->space),
                               .maps = TAKE_POINTER(job->maps),
                               .is_given_up = true};
}

static bool is_of_same_jit(const struct loader_job *a, const struct loader_job *b) {
    return a->jit && a->jit == b->jit;
}

/* What came behind goes to `successor`, but for what would meet the thread that hangs in the same data. */
static void pass_on(struct loader *loader, struct worker *successor, const struct loader_job *hung, struct loader_job *jobs) {
    for (struct loader_job *job = jobs, *next; job; job = next) {
        next = job->next;
        if (!is_of_same_jit(job, hung)) {
            worker_submit(successor, job);
            continue;
        }
        job->is_given_up = true;
        job_push(&loader->done, job);
    }
}

/* On failure nothing has changed, and it is tried again at the next look. */
static void give_up(struct loader *loader, struct worker **slot) {
    struct worker *worker = *slot, *successor;
    struct loader_job *answer = malloc(sizeof *answer);
    if (!answer || worker_new(loader, &successor) < 0) {
        free(answer);
        return;
    }
    if (!worker_claim(worker, worker->watched)) { /* it has come back */
        free(answer);
        worker_end(successor);
        return;
    }
    *answer = answer_of(worker->watched);
    job_push(&loader->done, answer);
    pass_on(loader, successor, worker->watched, worker->rest);
    pass_on(loader, successor, worker->watched, job_take_all(&worker->todo));
    worker->next = loader->lost;
    loader->lost = worker;
    *slot = successor;
    loader->patience = MAX(loader->patience / 2, MIN(loader->patience, (unsigned)PATIENCE_MIN_MS / LOOK_MS));
}

void loader_look(struct loader *loader) {
    uint64_t now = clock_read(CLOCK_MONOTONIC);
    if (!loader->pending || now - loader->looked < (uint64_t)LOOK_MS * 1000000)
        return;
    loader->looked = now;
    for (size_t i = 0; i < WORKERS; i++)
        if (worker_hangs(loader->workers[i], loader->patience))
            give_up(loader, &loader->workers[i]);
}

/* ---- the drain's side ------------------------------------------------------------------------------------------------------------ */

static bool is_slow(const struct loader_job *job) {
    return job->task == LOADER_BUILD || job->task == LOADER_JIT_END || job->task == LOADER_NAMES;
}

void loader_submit(struct loader *loader, struct loader_job *job) {
    loader->pending++;
    worker_submit(loader->workers[is_slow(job) ? BUILDER : OPENER], job);
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

/* False: it took longer than LOOK_MS. */
static bool wait_for(sem_t *semaphore) {
    uint64_t end = clock_read(CLOCK_MONOTONIC) + (uint64_t)LOOK_MS * 1000000;
    struct timespec until = {.tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000)};
    int r;
    while ((r = sem_clockwait(semaphore, CLOCK_MONOTONIC, &until)) < 0 && errno == EINTR)
        ;
    return r == 0;
}

void loader_wait(struct loader *loader) {
    /* Posts of jobs taken long ago only make it look again. */
    while (!atomic_load_explicit(&loader->done.top, memory_order_relaxed) && loader->pending && wait_for(&loader->finished))
        ;
    loader_look(loader);
}

/* ---- life and death -------------------------------------------------------------------------------------------------------------- */

static void drop_all(struct loader_job *job, void (*drop)(void *context, struct loader_job *job), void *context) {
    while (job) {
        struct loader_job *next = job->next;
        drop(context, job);
        job = next;
    }
}

/* False: it hangs. */
static bool worker_stop(struct loader *loader, struct worker *worker, void (*drop)(void *context, struct loader_job *job), void *context) {
    atomic_store_explicit(&worker->stop, true, memory_order_relaxed);
    sem_post(&worker->submitted);
    while (!wait_for(&worker->ended))
        if (worker_hangs(worker, loader->patience) && worker_claim(worker, worker->watched)) {
            drop_all(worker->rest, drop, context);
            drop_all(job_take_all(&worker->todo), drop, context);
            return false;
        }
    pthread_join(worker->thread, NULL);
    drop_all(job_take_all(&worker->todo), drop, context);
    worker_free(worker);
    return true;
}

/* Those that have come back meanwhile go; false: some have not. */
static bool free_lost(struct loader *loader, void (*drop)(void *context, struct loader_job *job), void *context) {
    for (struct worker **link = &loader->lost, *worker; (worker = *link);) {
        if (sem_trywait(&worker->ended) < 0) {
            link = &worker->next;
            continue;
        }
        *link = worker->next;
        pthread_join(worker->thread, NULL);
        drop(context, worker->watched);
        worker_free(worker);
    }
    return !loader->lost;
}

bool loader_free(struct loader *loader, void (*drop)(void *context, struct loader_job *job), void *context) {
    if (!loader)
        return true;
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = TAKE_POINTER(loader->workers[i]);
        if (!worker || worker_stop(loader, worker, drop, context))
            continue;
        worker->next = loader->lost;
        loader->lost = worker;
    }
    if (!free_lost(loader, drop, context))
        return false;
    drop_all(job_take_all(&loader->done), drop, context);
    sem_destroy(&loader->finished);
    free(loader);
    return true;
}

static void drop_nothing(void *context, struct loader_job *job) {
    (void)context;
    free(job);
}

int loader_new(const char *root, unsigned patience_ms, struct loader **ret) {
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return -ENOMEM;
    loader->root = root;
    loader->patience = (patience_ms ? patience_ms : PATIENCE_MS) / LOOK_MS;
    sem_init(&loader->finished, 0, 0);
    int r = 0;
    for (size_t i = 0; i < WORKERS && !r; i++)
        r = worker_new(loader, &loader->workers[i]);
    if (r < 0) {
        (void)loader_free(loader, drop_nothing, NULL);
        return r;
    }
    *ret = loader;
    return 0;
}
