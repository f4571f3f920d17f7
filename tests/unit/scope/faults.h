/* SPDX-License-Identifier: MIT */
/* Programs whose scopes end badly, each recorded in a process of its own, and what libcprof then counted as amiss. */
#pragma once

#include "tests/unit/scope/recorder.h"

#define RECORD(recorder, body)                      \
    struct recorder recorder;                       \
    CHECK(recorder_open(&recorder, UINT64_MAX, 0)); \
    recorder.keeps_blocks = true;                   \
    CHECK_EQ(recorder_run(&recorder, body), 0);     \
    CHECK(recorder.count > 0);                      \
    struct scope_shared *shared = recorder.memories[0]

/* Over all threads. */
struct faults {
    uint64_t unwound, unfinished, unbalanced, ended;
};

static inline struct faults faults_of(const struct scope_shared *shared) {
    struct faults sum = {0};
    for (uint32_t i = 0; i < atomic_load(&shared->thread_count); i++) {
        struct scope_thread *block = recorder_block(shared, i);
        sum.unwound += block->unwound, sum.unfinished += block->unfinished, sum.unbalanced += block->unbalanced;
        sum.ended += atomic_load(&block->state) == SCOPE_THREAD_ENDED;
    }
    return sum;
}
