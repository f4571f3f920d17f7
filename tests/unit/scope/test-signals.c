/* SPDX-License-Identifier: MIT */
/* Handlers that interrupt begin and end, with scopes of their own. Each case is a process of its own, recorded. */
#include <setjmp.h>
#include <sys/time.h>

#include "tests/unit/scope/faults.h"

static volatile unsigned handled;
static unsigned long long counted;

static void nested(unsigned depth) {
    CPROF_SCOPE("in handler");
    if (depth)
        nested(depth - 1);
}

static void on_signal(int number) {
    (void)number;
    handled++;
    nested(handled % 3);
}

static void storm(int flags) {
    static char alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    sigaltstack(&stack, NULL);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (handled < 3000)
        for (unsigned i = 0; i < 1000; i++, counted++) {
            CPROF_SCOPE("outer");
            nested(0); /* the same site as theirs */
            CPROF_SCOPE("inner");
        }
    setitimer(ITIMER_REAL, &never, NULL);
    CPROF_VALUE("counted", counted);
    CPROF_VALUE("in handlers", handled);
}

static void run_once(void) {
    CPROF_SCOPE("once");
    CPROF_VALUE("handled", handled);
}

/* A socket with a time limit gives up at a signal; a sampler's comes within a millisecond. */
TEST(a_signal_amid_the_asking_for_memory_costs_nothing) {
    struct recorder recorder;
    CHECK(recorder_open(&recorder, UINT64_MAX, 0));
    recorder.signal = SIGALRM;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigaction(SIGALRM, &action, &before);
    CHECK_EQ(recorder_run(&recorder, run_once), 0);
    sigaction(SIGALRM, &before, NULL);
    CHECK_EQ(recorder_sum(recorder.memories[0], "once").count, 1);
    CHECK_EQ(recorder_sum(recorder.memories[0], "handled").sum, 1);
    recorder_close(&recorder);
}

static void run_storm(void) {
    storm(0);
}

static void run_storm_on_alternate_stack(void) {
    storm(SA_ONSTACK);
}

static void check_storm(const struct scope_shared *shared) {
    struct scope_record out = recorder_sum(shared, "outer"), in = recorder_sum(shared, "inner"), both = recorder_sum(shared, "in handler");
    uint64_t calls = recorder_sum(shared, "counted").sum, handlers = recorder_sum(shared, "in handlers").sum, inside = 0;
    for (uint64_t i = 1; i <= handlers; i++)
        inside += i % 3 + 1;
    CHECK_EQ(out.count, calls);
    CHECK_EQ(in.count, calls);
    CHECK_EQ(both.count, calls + inside);
    CHECK_EQ(out.active + in.active + both.active, 0);
    CHECK_EQ(faults_of(shared).unwound + faults_of(shared).unbalanced, 0);
    struct scope_thread *block = recorder_block(shared, 0);
    uint64_t nodes = 0, self = 0, roots = 0;
    for (uint32_t i = 1; i < atomic_load(&block->node_count); i++) {
        nodes += block->nodes[i].count, self += block->nodes[i].self;
        roots += block->nodes[i].parent == 0 ? block->nodes[i].total : 0;
    }
    CHECK_EQ(nodes, 3 * calls + inside);
    CHECK_EQ(self, out.self + in.self + both.self);
    /* But for what handlers ran between an outermost instance's clock and its place in the chain: of that instance they are not. */
    CHECK(self >= roots && self - roots <= both.sum);
}

TEST(handlers_interrupt_begin_and_end_and_all_adds_up) {
    RECORD(recorder, run_storm);
    check_storm(shared);
    recorder_close(&recorder);
}

TEST(handlers_on_an_alternate_stack_end_nothing_of_the_interrupted) {
    RECORD(recorder, run_storm_on_alternate_stack);
    check_storm(shared);
    recorder_close(&recorder);
}

static sigjmp_buf out_of_handler;

static void jump_out(int number) {
    (void)number;
    CPROF_SCOPE("handler left");
    siglongjmp(out_of_handler, 1);
}

static void run_jump_out(void) {
    static char alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = jump_out, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (volatile unsigned i = 0; i < 1000; i++) {
        CPROF_SCOPE("around");
        if (sigsetjmp(out_of_handler, 1) == 0)
            raise(SIGUSR1);
    }
}

TEST(handlers_left_by_siglongjmp_are_ended_later) {
    RECORD(recorder, run_jump_out);
    CHECK_EQ(recorder_sum(shared, "around").count, 1000);
    CHECK_EQ(recorder_sum(shared, "around").unwound, 0);
    CHECK_EQ(recorder_sum(shared, "handler left").count, 1000);
    CHECK_EQ(recorder_sum(shared, "handler left").unwound, 1000);
    recorder_close(&recorder);
}

TEST_MAIN()
