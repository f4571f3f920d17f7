/* SPDX-License-Identifier: MIT */
/* Other people's unwinders, each asked about the same sample and shown the same bytes. */
#pragma once

#include "tests/oracle/replay.h"

enum { WITNESS_FRAMES_MAX = 2048 };

struct witness_frame {
    uint64_t pc;
    struct unwind_registers registers; /* as the witness has them in this frame */
};

struct testimony {
    size_t count;
    bool is_at_end; /* says that there is no caller; false: knew no further */
    struct witness_frame frames[WITNESS_FRAMES_MAX];
};

/* libunwind, remote: its own parser and evaluator of .eh_frame, through .eh_frame_hdr. */
struct witness_libunwind;
int witness_libunwind_new(struct witness_libunwind **ret);
void witness_libunwind_free(struct witness_libunwind *w);
void witness_libunwind_ask(struct witness_libunwind *w, const struct replay_scene *scene, struct testimony *ret);

/* elfutils' libdwfl: opens the files itself, .eh_frame and .debug_frame, frame pointers where there is neither. */
struct witness_dwfl;
int witness_dwfl_new(struct witness_dwfl **ret);
void witness_dwfl_free(struct witness_dwfl *w);
void witness_dwfl_ask(struct witness_dwfl *w, const struct replay_scene *scene, struct testimony *ret);

/* Whoever answers in the form of snapshot.h: framehop, perf. Knows pcs alone. A sample of which the file says nothing has no frames. */
struct witness_answers;
int witness_answers_open(const char *path, struct witness_answers **ret);
void witness_answers_free(struct witness_answers *w);
void witness_answers_ask(struct witness_answers *w, const struct replay_scene *scene, struct testimony *ret);
