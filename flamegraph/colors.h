/* SPDX-License-Identifier: MIT */
/* What each name of a graph looks like under the options: its colour, and the style given to it. Private to flamegraph/. */
#pragma once

#include "flamegraph/graph.h"

struct colors {
    uint32_t *by_name;                           /* 0xRRGGBB by name id */
    const struct flamegraph_name_style **styles; /* by name id; NULL: no style at all, or none for that name */
};

int colors_make(struct flamegraph *graph, const struct flamegraph_options *options, struct colors *ret);
void colors_free(struct colors *colors);
