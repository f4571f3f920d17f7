/* SPDX-License-Identifier: MIT */
/*
 * From the tree to what is drawn where. Private to flamegraph/.
 *
 *     frame:  |......................... total .........................|
 *     over it |.. self ..|.. child 1 (first by name) ..|.. child 2 .....|
 *
 * A row's frames are visited from left to right, a frame before those over it (depth first), so a cursor per depth is all the state.
 */
#pragma once

#include "flamegraph/graph.h"

enum { LAYOUT_MARGIN = 10 }; /* px left and right of the frames */

struct layout {
    struct flamegraph *graph;
    struct graph_node *nodes; /* the graph's */
    uint32_t *rank;           /* by name id: its place among the names in byte order */
    double all;               /* weight of the whole width */
    double min_drawn;         /* narrower frames are not in the static picture */
    double min_kept;          /* narrower frames are not in the data either */
    uint64_t drawn, kept;     /* nodes that reach these; gaps not counted */
    uint32_t drawn_depth;     /* rows of the static picture, the root's included */
};

/* Sorts the graph's lists of children and sets its totals. -ENODATA if it weighs nothing. */
int layout_make(struct flamegraph *graph, const struct flamegraph_options *options, struct layout *ret);
void layout_free(struct layout *layout);

/* A walk over the nodes of total >= least: depth first, left to right, gaps included.
 *
 *     struct layout_walk walk = {0};
 *     for (r = layout_first(&walk, layout, least); r > 0; r = layout_next(&walk)) use(walk.node, walk.depth, walk.x);
 *
 * 1: there is a node; 0: the end; -ENOMEM. */
struct layout_walk {
    const struct layout *layout;
    double least;
    uint32_t node;
    uint32_t depth;      /* 0: the root */
    double x;            /* weight to the left of the node's left edge */
    VEC(double) cursors; /* by depth: where the next child of the open node of that depth begins */
};

int layout_first(struct layout_walk *walk, const struct layout *layout, double least);
int layout_next(struct layout_walk *walk);
void layout_end(struct layout_walk *walk);
