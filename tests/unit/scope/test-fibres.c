/* SPDX-License-Identifier: MIT */
/* Scopes on stacks that a program switches between by itself. Each case is a process of its own, recorded. */
#include <pthread.h>
#include <ucontext.h>

#include "tests/unit/scope/faults.h"

enum { FIBRES = 4, TURNS = 200 };

static struct fibre {
    ucontext_t context;
    struct cprof_fiber scopes;
    char stack[65536];
    bool is_done;
} fibres[FIBRES];
static __thread ucontext_t scheduler;

static void yield_fibre(struct fibre *fibre) {
    swapcontext(&fibre->context, &scheduler);
}

static void fibre_main(int index) {
    for (unsigned i = 0; i < TURNS; i++) {
        CPROF_SCOPE("fibre");
        yield_fibre(&fibres[index]);
        CPROF_SCOPE("fibre inside");
        yield_fibre(&fibres[index]);
    }
    fibres[index].is_done = true;
    yield_fibre(&fibres[index]);
}

static bool resume_all(void) {
    bool any = false;
    for (unsigned i = 0; i < FIBRES; i++) {
        if (fibres[i].is_done)
            continue;
        any = true;
        CPROF_SCOPE("scheduler");
        cprof_fiber_enter(&fibres[i].scopes);
        swapcontext(&scheduler, &fibres[i].context);
        cprof_fiber_leave(&fibres[i].scopes);
    }
    return any;
}

/* A function of its own: getcontext may return twice, and a caller's loop counter need not survive that. */
static void make_fibre(int i) {
    getcontext(&fibres[i].context);
    fibres[i].context.uc_stack = (stack_t){.ss_sp = fibres[i].stack, .ss_size = sizeof fibres[i].stack};
    makecontext(&fibres[i].context, (void (*)(void))fibre_main, 1, i);
}

static void run_fibres(void) {
    for (int i = 0; i < FIBRES; i++)
        make_fibre(i);
    while (resume_all())
        ;
}

static void check_fibres(const struct scope_shared *shared) {
    struct scope_record fibre = recorder_sum(shared, "fibre"), inside = recorder_sum(shared, "fibre inside");
    CHECK_EQ(fibre.count, FIBRES * TURNS);
    CHECK_EQ(fibre.primitive, FIBRES * TURNS);
    CHECK_EQ(inside.count, FIBRES * TURNS);
    CHECK_EQ(fibre.self + inside.self, fibre.total);
    CHECK_EQ(fibre.active + inside.active, 0);
    CHECK_EQ(faults_of(shared).unwound + faults_of(shared).unbalanced + faults_of(shared).unfinished, 0);
}

TEST(fibres_have_chains_of_their_own) {
    RECORD(recorder, run_fibres);
    check_fibres(shared);
    struct scope_record scheduling = recorder_sum(shared, "scheduler");
    CHECK_EQ(scheduling.self, scheduling.total);
    recorder_close(&recorder);
}

static void *resume_once(void *argument) {
    *(bool *)argument = resume_all();
    return NULL;
}

/* Each turn in another thread. */
static void run_wandering_fibres(void) {
    bool any = true;
    for (int i = 0; i < FIBRES; i++)
        make_fibre(i);
    while (any) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, resume_once, &any) != 0)
            _exit(1);
        pthread_join(thread, NULL);
    }
}

TEST(fibres_go_on_in_other_threads) {
    RECORD(recorder, run_wandering_fibres);
    check_fibres(shared);
    recorder_close(&recorder);
}

TEST_MAIN()
