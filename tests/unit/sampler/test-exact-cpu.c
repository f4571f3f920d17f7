/* SPDX-License-Identifier: MIT */
#include "sampler/exact-cpu.h"
#include "tests/check.h"

static struct exact_cpu exact;

static void hear(enum raw_task_change change, uint32_t tid, uint64_t cpu_time) {
    struct raw_task task = {.change = change, .pid = 1, .tid = tid, .cpu_time = cpu_time};
    exact_cpu_hear(&exact, &task, 1000 + tid);
}

TEST(the_rest_is_that_of_the_one_who_did_not_tell) {
    struct raw_task rest;
    uint64_t exit;
    exact_cpu_init(&exact, 2);
    hear(RAW_TASK_FORK, 2, 0);
    hear(RAW_TASK_FORK, 3, 0);
    hear(RAW_TASK_EXIT, 2, 0);
    hear(RAW_TASK_CPU, 2, 10);
    hear(RAW_TASK_CPU, 2, 0);
    hear(RAW_TASK_CPU, 1, 5); /* before its exit: another ring */
    CHECK(!exact_cpu_rest(&exact, 100, &rest, &exit));
    hear(RAW_TASK_EXIT, 3, 0);
    CHECK(!exact_cpu_rest(&exact, 100, &rest, &exit)); /* thread 1 lives */
    hear(RAW_TASK_EXIT, 1, 0);
    hear(RAW_TASK_CPU, 1, 5);
    CHECK(exact_cpu_rest(&exact, 100, &rest, &exit));
    CHECK_EQ(rest.tid, 3);
    CHECK_EQ(rest.change, RAW_TASK_CPU);
    CHECK_EQ(rest.cpu_time, 80);
    CHECK_EQ(exit, 1003);
    CHECK_EQ(exact.threads, 2);
    CHECK(!exact_cpu_rest(&exact, 19, &rest, &exit)); /* less than was told: something is wrong */
    exact_cpu_free(&exact);
}

TEST(a_thread_that_tells_zeros_is_none_of_the_program) {
    exact_cpu_init(&exact, 2);
    hear(RAW_TASK_CPU, 9, 0);
    hear(RAW_TASK_CPU, 9, 0);
    hear(RAW_TASK_CPU, 1, 0);
    hear(RAW_TASK_CPU, 1, 5);
    CHECK_EQ(exact.threads, 1);
    exact_cpu_free(&exact);
}

TEST(two_silent_threads_leave_it_open) {
    struct raw_task rest;
    uint64_t exit;
    exact_cpu_init(&exact, 1);
    hear(RAW_TASK_FORK, 2, 0);
    hear(RAW_TASK_EXIT, 2, 0);
    hear(RAW_TASK_EXIT, 1, 0);
    CHECK(!exact_cpu_rest(&exact, 100, &rest, &exit));
    exact_cpu_free(&exact);
}

TEST(a_loss_leaves_it_open) {
    struct raw_task rest;
    uint64_t exit;
    exact_cpu_init(&exact, 1);
    hear(RAW_TASK_EXIT, 1, 0);
    CHECK(exact_cpu_rest(&exact, 100, &rest, &exit));
    exact.is_unsure = true;
    CHECK(!exact_cpu_rest(&exact, 100, &rest, &exit));
    exact_cpu_free(&exact);
}

TEST(threads_that_told_everything_take_no_memory) {
    exact_cpu_init(&exact, 2);
    for (uint32_t tid = 2; tid < 10000; tid++) {
        hear(RAW_TASK_FORK, tid, 0);
        hear(RAW_TASK_CPU, tid, 1);
        hear(RAW_TASK_EXIT, tid, 0);
        hear(RAW_TASK_CPU, tid, 0);
    }
    CHECK_EQ(exact.reads.used, 0);
    CHECK_EQ(exact.ended.used, 0);
    exact_cpu_free(&exact);
}

TEST_MAIN()
