/* SPDX-License-Identifier: MIT */
/*
 * The tree behind struct flamegraph. Private to flamegraph/.
 *
 *     id 0 is the root; a child's id is greater than its parent's, so a loop over ids downwards sees children first.
 *
 *     node --first--> child --next--> child --next--> NONE
 *
 * A list is in no order but that its first child is the likely next one: the one last seen or, in a chart, the newest. layout_make sorts
 * the lists. A node with more than a few children is `wide`: its children are also in the map `children`, keyed by (parent, name), so
 * that finding one never takes longer than a short scan or one look-up.
 */
#pragma once

#include "base/map.h"
#include "base/strings.h"
#include "base/vec.h"
#include "flamegraph/flamegraph.h"

enum {
    GRAPH_NONE = UINT32_MAX,
    GRAPH_NAME_GAP = 0x7fffffff, /* a chart's node for the self time between two children: takes room, is not drawn */
};

struct graph_node {
    double self;
    double total;       /* set by layout_make */
    uint32_t name : 31; /* id in names, or GRAPH_NAME_GAP */
    uint32_t wide : 1;
    uint32_t parent;
    uint32_t first;
    uint32_t next;
};

/* What palettes know of a name beside its bytes. */
struct graph_name {
    uint8_t kind;    /* enum flamegraph_kind, AUTO if the name itself is to tell */
    uint32_t module; /* id in modules + 1; 0: the name itself is to tell */
};

/* Where the previous folded line left the tree: frame i of it is node path[i] and ends at byte ends[i] of its text. The next line
 * resumes behind their common prefix. */
struct graph_memo {
    const char *text;
    size_t length;
    VEC(uint32_t) path;
    VEC(uint32_t) ends;
};

struct flamegraph {
    unsigned flags;
    VEC(struct graph_node) nodes;
    VEC(double) delta; /* self after - self before, by node; as long as nodes once differential, else empty */
    bool differential;
    bool fractional; /* a weight was not a whole number */
    struct strings names;
    struct strings modules;
    VEC(struct graph_name) attributes; /* by name id; may be shorter than names: the rest is all AUTO */
    struct map children;               /* parent << 32 | name -> child, for wide parents */
    struct graph_memo memo;
    uint64_t stacks, ignored;
    double total, total_before;
};

/* The child of `parent` with that name, made if missing. 0 or -ENOMEM. */
int graph_child(struct flamegraph *graph, uint32_t parent, uint32_t name, uint32_t *ret);

/* Makes the graph a differential one. 0 or -ENOMEM. */
int graph_make_differential(struct flamegraph *graph);

/* Adds a weight to a node's self and to the sums; before == weight if the stack came with one weight. Weights have been checked. 0 or
 * -ENOMEM. */
int graph_add(struct flamegraph *graph, uint32_t node, double before, double weight);
