/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/blocking-threads.h"
#include "tests/check.h"

static void burn(uint64_t ns) {
    uint64_t end = clock_read(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (clock_read(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
}

static uint64_t written;

/* This thread, asked about itself. */
static void look(struct blocking_threads *blocking) {
    blocking_threads_look(blocking, (uint32_t)getpid(), (uint32_t)gettid(), written);
}

TEST(only_what_runs_with_the_signal_blocked_and_pending_is_unseen) {
    struct blocking_threads blocking = {.signal = SIGUSR1};
    char text[200];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    look(&blocking);
    burn(40000000);
    look(&blocking);
    CHECK(!blocking_threads_put(&blocking, text, sizeof text));
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    look(&blocking);
    burn(40000000);
    look(&blocking);
    CHECK(!blocking_threads_put(&blocking, text, sizeof text));
    CHECK(raise(SIGUSR1) == 0);
    look(&blocking);
    CHECK(!blocking_threads_put(&blocking, text, sizeof text));
    burn(40000000);
    look(&blocking);
    CHECK(blocking_threads_put(&blocking, text, sizeof text));
    CHECK(strstr(text, "test-sampler-bl (0.0"));
    CHECK(blocking.threads.items[0].unseen >= 40000000);
    uint64_t so_far = blocking.threads.items[0].unseen;
    written += 16; /* it was not blocked all the time */
    burn(40000000);
    look(&blocking);
    CHECK(blocking.threads.items[0].unseen == so_far);
    int got;
    CHECK(sigwait(&set, &got) == 0 && got == SIGUSR1);
    uint64_t before = blocking.threads.items[0].unseen;
    look(&blocking);
    burn(40000000);
    look(&blocking);
    CHECK(blocking.threads.items[0].unseen == before);
    blocking_threads_free(&blocking);
}

TEST(those_with_most_come_first_and_the_rest_is_counted) {
    struct blocking_threads blocking = {.signal = SIGUSR1};
    char text[400];
    for (unsigned i = 0; i < 7; i++) {
        struct blocking_thread *thread = vec_push(&blocking.threads);
        thread->name[0] = (char)('a' + i);
        thread->unseen = (i + 1) * UINT64_C(100000000);
    }
    blocking.threads.items[0].unseen = 1000000; /* too little to be told */
    CHECK(blocking_threads_put(&blocking, text, sizeof text));
    CHECK_STR(text, "g (0.700 s of CPU time), f (0.600 s of CPU time), e (0.500 s of CPU time), d (0.400 s of CPU time), "
                    "c (0.300 s of CPU time) and 1 more");
    CHECK(blocking_threads_put(&blocking, text, 20));
    CHECK(strlen(text) == 19);
    blocking_threads_free(&blocking);
}

TEST(a_thread_that_is_gone_tells_nothing) {
    struct blocking_threads blocking = {.signal = SIGUSR1};
    blocking_threads_look(&blocking, UINT32_MAX, UINT32_MAX, 0);
    CHECK(!blocking.threads.count);
}

TEST_MAIN()
