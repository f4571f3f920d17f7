/* SPDX-License-Identifier: MIT */
/*
 * The aggregate every view takes: a call tree of places with counts.
 *
 *     group (comm, pid, tid as far as the view tells them apart)
 *       └─ place └─ place ...          a node's counts are its own (self); what is below adds up to the total
 *
 * A sample without any frame counts at a place "[no stack]".
 *
 * Invariants: a node comes after its parent; the sum of all samples is that of the counts. Children of one node may have the same place,
 * where the recording told frames apart that the view does not: views that show nodes merge those as they go.
 */
#pragma once

#include "report/counts.h"
#include "report/place.h"

/* Small, for there are many and most are only passed through: what few of them have stands elsewhere. */
struct tree_node {
    uint32_t parent; /* RECORDING_NONE: a group's root; its `place` is the group's index or, with comm_places, its comm */
    uint32_t place;
    uint32_t count;                     /* index in `counts` */
    uint32_t first_child, next_sibling; /* 0: none, for node 0 is a root */
    uint32_t depth;                     /* 0: a root */
};

struct tree_count {
    uint64_t samples, weight;
};

struct tree {
    VEC(struct tree_node) nodes;
    VEC(struct tree_count) counts; /* the first is that of all nodes without samples of their own: zeros */
    uint32_t depth;                /* the greatest */
};

static inline const struct tree_count *tree_count(const struct tree *t, const struct tree_node *node) {
    return &t->counts.items[node->count];
}

struct tree_options {
    bool comm_places; /* a root's place is that of its group's comm, and not the index of the group */
    bool show_scopes; /* open scopes are places; else they are passed over */
    bool show_ends;   /* stacks that do not reach their root get a place that says why, below the root */
};

/* 0 or -ENOMEM. */
int tree_build(const struct recording *r, const struct counts *counts, const struct groups *groups, struct places *places,
               const struct tree_options *options, struct tree *ret);
void tree_free(struct tree *t);
