/* SPDX-License-Identifier: MIT */
#include "report/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Stacks of one group are put into the tree one after another. Where a node of the recording went is remembered, so that a shared stretch
 * of stacks is walked once: the work is by distinct nodes, not by stacks times depth. Groups come one after another, so node_of[n] belongs
 * to the group at hand if it lies behind that group's root.
 */
struct builder {
    const struct recording *recording;
    const struct groups *groups;
    struct places *places;
    const struct tree_options *options;
    struct tree *tree;
    uint32_t *node_of;  /* by recording node: the tree's node + 1 */
    VEC(uint32_t) path; /* recording nodes still to be put, innermost first */
    uint32_t end_place[STACK_END_COUNT];
    uint32_t empty_place; /* "[no stack]" */
    /* Of the group at hand: */
    uint32_t group, root, end_root[STACK_END_COUNT];
};

static int add_node(struct builder *b, uint32_t parent, uint32_t place, uint32_t *ret) {
    struct tree *t = b->tree;
    struct tree_node *node = vec_push(&t->nodes);
    if (!node)
        return -ENOMEM;
    *ret = (uint32_t)(t->nodes.count - 1);
    node->parent = parent;
    node->place = place;
    if (parent == RECORDING_NONE)
        return 0;
    struct tree_node *above = &t->nodes.items[parent];
    node->depth = above->depth + 1;
    node->next_sibling = above->first_child;
    above->first_child = *ret;
    t->depth = MAX(t->depth, node->depth);
    return 0;
}

/* Where stacks with this end begin: the group, or a place below it that says why they do not begin at the root. */
static int get_root(struct builder *b, uint32_t end, uint32_t *ret) {
    int r = 0;
    if (b->end_place[end] == RECORDING_NONE)
        b->end_root[end] = b->root;
    else if (b->end_root[end] == RECORDING_NONE)
        r = add_node(b, b->root, b->end_place[end], &b->end_root[end]);
    *ret = b->end_root[end];
    return r;
}

/* Puts one recording node, whose parent went to *at, into the tree; *at follows. */
static int put_node(struct builder *b, uint32_t node, uint32_t *at) {
    const uint32_t *places;
    uint32_t count, frame = b->recording->nodes.items[node].frame;
    if (b->recording->frames.items[frame].kind == FRAME_SCOPE && !b->options->show_scopes)
        return 0;
    int r = places_of_frame(b->places, frame, &places, &count);
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = add_node(b, *at, places[i], at);
    return r;
}

static int put_stack(struct builder *b, uint32_t node, uint32_t *ret) {
    vec_clear(&b->path);
    while (node >= STACK_END_COUNT && b->node_of[node] <= b->root) {
        uint32_t *new = vec_push(&b->path);
        if (!new)
            return -ENOMEM;
        *new = node;
        node = b->recording->nodes.items[node].parent;
    }
    uint32_t at = b->node_of[node] - 1;
    int r = node < STACK_END_COUNT ? get_root(b, node, &at) : 0;
    while (r == 0 && b->path.count) {
        node = b->path.items[--b->path.count];
        r = put_node(b, node, &at);
        b->node_of[node] = at + 1;
    }
    *ret = at;
    return r;
}

static int add_count(struct tree *t, struct tree_node *node, const struct counts_entry *entry) {
    if (!node->count) {
        if (!vec_push(&t->counts))
            return -ENOMEM;
        node->count = (uint32_t)(t->counts.count - 1);
    }
    t->counts.items[node->count].samples += entry->samples;
    t->counts.items[node->count].weight += entry->weight;
    return 0;
}

static int put_entry(struct builder *b, const struct counts_entry *entry) {
    uint32_t at;
    int r = put_stack(b, entry->node, &at);
    if (r == 0 && b->tree->nodes.items[at].parent == RECORDING_NONE)
        r = add_node(b, at, b->empty_place, &at);
    return r < 0 ? r : add_count(b->tree, &b->tree->nodes.items[at], entry);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------- */

/* The indices of the entries by group, in their own order within one: a counting sort. NULL when memory is out. */
static uint32_t *order_entries(const struct counts *counts, size_t groups) {
    uint32_t *order = calloc(counts->entries.count + 1, sizeof *order), *starts = calloc(groups + 1, sizeof *starts);
    if (order && starts) {
        for (size_t i = 0; i < counts->entries.count; i++)
            starts[counts->entries.items[i].group + 1]++;
        for (size_t g = 1; g < groups; g++)
            starts[g] += starts[g - 1];
        for (size_t i = 0; i < counts->entries.count; i++)
            order[starts[counts->entries.items[i].group]++] = (uint32_t)i;
    } else {
        free(order);
        order = NULL;
    }
    free(starts);
    return order;
}

static int name_ends(struct builder *b) {
    int r = places_of_label(b->places, "[no stack]", &b->empty_place);
    for (unsigned end = 0; end < STACK_END_COUNT; end++) {
        b->end_place[end] = RECORDING_NONE;
        if (!b->options->show_ends || end == STACK_COMPLETE || end == STACK_KERNEL_ONLY)
            continue; /* a kernel thread's stack is all there is */
        char label[64];
        snprintf(label, sizeof label, "[%s]", stack_end_name(end));
        r = r < 0 ? r : places_of_label(b->places, label, &b->end_place[end]);
    }
    return r;
}

static int enter_group(struct builder *b, uint32_t group) {
    uint32_t place = group;
    int r = b->options->comm_places ? places_of_comm(b->places, b->groups->items.items[group].comm, &place) : 0;
    b->group = group;
    memset(b->end_root, 0xff, sizeof b->end_root);
    return r < 0 ? r : add_node(b, RECORDING_NONE, place, &b->root);
}

static int build(struct builder *b, const struct counts *counts) {
    uint32_t *order = order_entries(counts, b->groups->items.count);
    int r = order && vec_push(&b->tree->counts) ? name_ends(b) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < counts->entries.count; i++) {
        const struct counts_entry *entry = &counts->entries.items[order[i]];
        if (i == 0 || entry->group != b->group)
            r = enter_group(b, entry->group);
        if (r == 0)
            r = put_entry(b, entry);
    }
    free(order);
    return r;
}

int tree_build(const struct recording *r, const struct counts *counts, const struct groups *groups, struct places *places,
               const struct tree_options *options, struct tree *ret) {
    struct tree tree = {0};
    struct builder b = {.recording = r, .groups = groups, .places = places, .options = options, .tree = &tree};
    b.node_of = calloc(r->nodes.count + 1, sizeof *b.node_of);
    int error = b.node_of ? build(&b, counts) : -ENOMEM;
    free(b.node_of);
    vec_free(&b.path);
    if (error < 0)
        tree_free(&tree);
    else
        *ret = tree;
    return error;
}

void tree_free(struct tree *t) {
    vec_free(&t->nodes);
    vec_free(&t->counts);
    *t = (struct tree){0};
}
