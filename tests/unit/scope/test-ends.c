/* SPDX-License-Identifier: MIT */
/* How scopes end when nobody ends them, or threads and processes do. Each case is a process of its own, recorded. */
#include <pthread.h>
#include <setjmp.h>
#include <sys/syscall.h>

#include "tests/unit/scope/faults.h"

/* ---- longjmp ----------------------------------------------------------------------------------------------------------------------- */

static jmp_buf back;
static volatile char sink;

__attribute__((noinline)) static void overwrite(void) {
    volatile char frame[4096];
    memset((void *)(uintptr_t)frame, 0x5a, sizeof frame);
    sink = frame[17];
}

static void (*volatile leave)(jmp_buf to, int value) = longjmp; /* the compiler is not to know that nobody returns */

__attribute__((noinline)) static void jumper(unsigned depth) {
    CPROF_FUNCTION();
    if (depth)
        jumper(depth - 1);
    leave(back, 1);
}

__attribute__((noinline)) static void after(void) {
    CPROF_SCOPE("after");
    sink = 1;
}

static void run_longjmp(void) {
    for (volatile unsigned i = 0; i < 1000; i++) {
        CPROF_SCOPE("around");
        if (setjmp(back) == 0)
            jumper(3);
        if (i % 2)
            overwrite();
        after();
    }
    for (volatile unsigned i = 0; i < 1000; i++) { /* nothing is open around it */
        if (setjmp(back) == 0)
            jumper(0);
        overwrite();
        after();
    }
}

TEST(longjmp_leaves_scopes_that_are_ended_later) {
    RECORD(recorder, run_longjmp);
    struct scope_record around = recorder_sum(shared, "around"), jumped = recorder_sum(shared, "jumper"),
                        next = recorder_sum(shared, "after");
    CHECK_EQ(around.count, 1000);
    CHECK_EQ(around.unwound, 0);
    CHECK_EQ(jumped.count, 5000);
    CHECK_EQ(jumped.unwound, 5000);
    CHECK_EQ(jumped.primitive, 2000);
    CHECK_EQ(next.count, 2000);
    CHECK_EQ(next.unwound, 0);
    CHECK_EQ(faults_of(shared).unwound, 5000);
    CHECK_EQ(faults_of(shared).unbalanced, 0);
    CHECK_EQ(around.active + jumped.active + next.active, 0);
    recorder_close(&recorder);
}

static void run_unbalanced(void) {
    CPROF_SITE(site, CPROF_KIND_SCOPE, "crossed");
    for (unsigned i = 0; i < 100; i++) {
        struct cprof_scope one, two, gone = {0};
        cprof_scope_begin(&one, &site);
        cprof_scope_begin(&two, &site);
        cprof_scope_end(&one); /* `two` is inside, and ended with it */
        cprof_scope_begin(&two, &site);
        cprof_scope_end(&two);
        gone.magic = CPROF_SCOPE_MAGIC ^ (uintptr_t)&gone;
        cprof_scope_end(&gone); /* nobody began it */
    }
}

TEST(ends_that_do_not_match_are_counted) {
    RECORD(recorder, run_unbalanced);
    struct scope_record crossed = recorder_sum(shared, "crossed");
    CHECK_EQ(crossed.count, 300);
    CHECK_EQ(crossed.unwound, 100);
    CHECK_EQ(faults_of(shared).unbalanced, 100);
    CHECK_EQ(crossed.active, 0);
    recorder_close(&recorder);
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------------ */

enum { THREADS = 64, ROUNDS = 2000 };

static void *work(void *argument) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        CPROF_SCOPE("work");
        CPROF_SCOPE("inside");
    }
    return argument;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            _exit(1);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

TEST(each_of_many_threads_counts_for_itself) {
    RECORD(recorder, run_threads);
    struct scope_record sum = recorder_sum(shared, "work"), inside = recorder_sum(shared, "inside");
    CHECK_EQ(sum.count, THREADS * ROUNDS);
    CHECK_EQ(inside.count, THREADS * ROUNDS);
    CHECK_EQ(sum.self + inside.self, sum.total);
    CHECK_EQ(atomic_load(&shared->thread_count), THREADS);
    CHECK_EQ(atomic_load(&shared->site_count), 2); /* 64 came to them at once */
    CHECK_EQ(faults_of(shared).ended, THREADS);
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK_EQ(recorder_record_of(shared, recorder_block(shared, i), 1)->count, ROUNDS);
    recorder_close(&recorder);
}

/* AddressSanitizer does not learn that a cancelled thread has left its frames, and finds its own end writing in them. */
__attribute__((no_sanitize_address)) static void *leave_by_exit(void *argument) {
    CPROF_SITE(site, CPROF_KIND_SCOPE, "left open");
    struct cprof_scope scope;
    cprof_scope_begin(&scope, &site);
    if (argument)
        pthread_exit(NULL);
    for (;;) /* not in pause: ThreadSanitizer loses track of a thread that is cancelled in a call which it intercepts */
        pthread_testcancel();
}

static void run_pthread_exit(void) {
    for (unsigned i = 0; i < 50; i++) {
        pthread_t one, two;
        if (pthread_create(&one, NULL, leave_by_exit, &two) != 0 || pthread_create(&two, NULL, leave_by_exit, NULL) != 0)
            _exit(1);
        pthread_cancel(two);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    }
}

/* The first place where a thread may be cancelled is behind its begin. */
TEST(threads_that_end_inside_a_scope_leave_it_unfinished) {
    RECORD(recorder, run_pthread_exit);
    struct scope_record open = recorder_sum(shared, "left open");
    CHECK_EQ(open.count, 0);
    CHECK_EQ(open.active, 100);
    CHECK_EQ(faults_of(shared).unfinished, 100);
    CHECK_EQ(faults_of(shared).ended, 100);
    recorder_close(&recorder);
}

static void run_churn(void) {
    for (unsigned i = 0; i < 1000; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            _exit(1);
        pthread_join(thread, NULL);
    }
}

/* The recorder looks every millisecond; a thread takes longer than one to be made, run and joined at times, never a hundred times as long.
 */
TEST(blocks_of_ended_threads_are_used_again) {
    struct recorder recorder;
    CHECK(recorder_open(&recorder, UINT64_MAX, 0));
    CHECK_EQ(recorder_run(&recorder, run_churn), 0);
    struct scope_shared *shared = recorder.memories[0];
    CHECK(atomic_load(&shared->thread_count) < 1000);
    for (uint32_t i = 0; i < atomic_load(&shared->thread_count); i++) {
        CHECK_EQ(recorder_record_of(shared, recorder_block(shared, i), 1)->count, ROUNDS);
        CHECK_EQ(recorder_block(shared, i)->nodes[0].count, 0);
    }
    recorder_close(&recorder);
}

static void run_exit(void) {
    CPROF_SCOPE("exiting");
    { CPROF_SCOPE("done"); }
    exit(0);
}

TEST(exit_inside_a_scope_leaves_it_unfinished) {
    RECORD(recorder, run_exit);
    CHECK_EQ(recorder_sum(shared, "done").count, 1);
    CHECK_EQ(recorder_sum(shared, "exiting").count, 0);
    CHECK_EQ(recorder_sum(shared, "exiting").active, 1);
    recorder_close(&recorder);
}

static void run_killed(void) {
    for (unsigned i = 0;; i++) {
        { CPROF_SCOPE("whole"); }
        if (i == 12345) {
            CPROF_SCOPE("cut");
            kill(getpid(), SIGKILL);
        }
    }
}

TEST(killed_programs_keep_what_was_measured) {
    struct recorder recorder;
    CHECK(recorder_open(&recorder, UINT64_MAX, 0));
    CHECK_EQ(recorder_run(&recorder, run_killed), -1);
    CHECK_EQ(WTERMSIG(recorder.status), SIGKILL);
    CHECK_EQ(recorder_sum(recorder.memories[0], "whole").count, 12346);
    CHECK_EQ(recorder_sum(recorder.memories[0], "cut").active, 1);
    recorder_close(&recorder);
}

/* ---- fork ---------------------------------------------------------------------------------------------------------------------------- */

static void run_fork(void) {
    CPROF_SCOPE("around fork");
    { CPROF_SCOPE("before"); }
    for (unsigned i = 0; i < 3; i++) {
        pid_t pid = i < 2 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0); /* the last behind our back */
        if (pid == 0) {
            for (unsigned n = 0; n < 10 + i; n++) {
                CPROF_SCOPE("in child");
            }
            return; /* ends "around fork" too */
        }
        waitpid(pid, NULL, 0);
    }
    CPROF_SCOPE("in parent");
}

TEST(forked_children_count_in_a_memory_of_their_own) {
    RECORD(recorder, run_fork);
    CHECK_EQ(recorder.count, 4);
    for (unsigned i = 0; i < 3; i++) {
        struct scope_shared *child = recorder.memories[1 + i];
        CHECK(child->pid && child->pid != shared->pid);
        CHECK_EQ(recorder_sum(child, "in child").count, 10 + i);
        CHECK_EQ(recorder_sum(child, "around fork").count, 1);
        CHECK_EQ(recorder_sum(child, "before").count, 0);
        CHECK_EQ(recorder_sum(child, "in parent").count, 0);
        CHECK_EQ(faults_of(child).unbalanced, 0);
    }
    CHECK_EQ(recorder_sum(shared, "around fork").count, 1);
    CHECK_EQ(recorder_sum(shared, "in child").count, 0);
    CHECK_EQ(recorder_sum(shared, "in parent").count, 1);
    /* a child's part of the scope is from the fork on */
    CHECK(recorder_sum(recorder.memories[1], "around fork").total < recorder_sum(shared, "around fork").total);
    recorder_close(&recorder);
}

TEST_MAIN()
