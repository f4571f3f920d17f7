/* SPDX-License-Identifier: MIT */
/* How the stacks of the samples end, and which of them rest on no guess. */
#pragma once

#include "report/counts.h"
#include "report/place.h"

struct stacks {
    uint64_t samples;
    uint64_t by_end[STACK_END_COUNT];
    uint64_t proved; /* complete, every frame's class a proof */
    uint64_t elided; /* frames were cut from the middle */

    /* Frames of all samples, each as often as it was sampled: */
    uint64_t frames, unnamed_frames;
};

/* Of the samples that passed the filter, whose frames `places` has resolved. 0 or -ENOMEM. */
int stacks_classify(const struct recording *r, const struct counts *counts, const struct places *places, struct stacks *ret);
