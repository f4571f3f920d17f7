/* SPDX-License-Identifier: MIT */
/*
 * Samples inside scopes: for each (thread, site) how many samples were taken while it was open, however often it is on the stack; of spans,
 * which are on no stack, those between begin and end.
 */
#pragma once

#include "base/map.h"
#include "recording/recording.h"

struct scope_samples {
    struct map counts;  /* thread << 32 | site -> samples */
    uint64_t *threads;  /* by thread id: samples of the event */
    uint64_t *weights;  /* the same by weight */
    uint64_t *rootless; /* the same of stacks that end early and have no scope: one may be hidden in them */
    uint64_t late;      /* weight beyond what a sample has that was put off by a whole period: nothing was sampled for so long */
};

/* 0 or -ENOMEM. */
int scope_samples_collect(const struct recording *r, uint32_t event, struct scope_samples *ret);
void scope_samples_free(struct scope_samples *s);

/* Of one thread, or with RECORDING_NONE of all that are set in `threads`. */
uint64_t scope_samples_of(const struct scope_samples *s, const bool *threads, uint32_t thread, uint32_t site);

/* ---- intervals of instances ------------------------------------------------------------------------------------------------------- */

struct scope_window {
    uint32_t thread;
    uint64_t begin, end;
};

typedef VEC(struct scope_window) scope_windows;

/* Sorts by (thread, begin) and joins those that overlap. */
void scope_windows_join(scope_windows *windows);
/* Whether the moment lies in [begin, end) of a window of joined ones. */
bool scope_windows_hold(const scope_windows *windows, uint32_t thread, uint64_t time);
