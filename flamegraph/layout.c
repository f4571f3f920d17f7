/* SPDX-License-Identifier: MIT */
#include "flamegraph/layout.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

struct layout_name {
    uint64_t prefix; /* the name's first bytes, big endian, so that most comparisons end here */
    const struct strings_entry *entry;
};

static int layout_compare_names(const void *left, const void *right) {
    const struct layout_name *a = left, *b = right;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int order = memcmp(a->entry->data, b->entry->data, MIN(a->entry->length, b->entry->length));
    return order ? order : (a->entry->length > b->entry->length) - (a->entry->length < b->entry->length);
}

static int layout_rank_names(struct layout *layout) {
    const struct strings *names = &layout->graph->names;
    size_t count = names->entries.count;
    struct layout_name *sorted = malloc(count * sizeof *sorted);
    layout->rank = malloc(count * sizeof *layout->rank);
    if (!sorted || !layout->rank) {
        free(sorted);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct strings_entry *entry = &names->entries.items[i];
        uint64_t prefix = 0;
        memcpy(&prefix, entry->data, MIN(entry->length, 8));
        sorted[i] = (struct layout_name){.prefix = be64toh(prefix), .entry = entry};
    }
    qsort(sorted, count, sizeof *sorted, layout_compare_names);
    for (size_t i = 0; i < count; i++)
        layout->rank[sorted[i].entry - names->entries.items] = (uint32_t)i;
    free(sorted);
    return 0;
}

struct layout_child {
    uint32_t rank;
    uint32_t node;
};

static int layout_compare_children(const void *left, const void *right) {
    const struct layout_child *a = left, *b = right;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* Children are few as a rule: insertion sort, and qsort for the rest. */
static void layout_sort_children(struct layout_child *children, size_t count) {
    if (count > 24) {
        qsort(children, count, sizeof *children, layout_compare_children);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct layout_child child = children[i];
        size_t at = i;
        for (; at && children[at - 1].rank > child.rank; at--)
            children[at] = children[at - 1];
        children[at] = child;
    }
}

/* Siblings by name, whatever order they came in: the same profile gives the same picture. A chart keeps the order of time. */
static int layout_order(struct layout *layout) {
    struct graph_node *nodes = layout->nodes;
    VEC(struct layout_child) children = {0};
    if (layout->graph->flags & FLAMEGRAPH_CHART)
        return 0;
    for (size_t i = 0; i < layout->graph->nodes.count; i++) {
        if (nodes[i].first == GRAPH_NONE || nodes[nodes[i].first].next == GRAPH_NONE)
            continue;
        vec_clear(&children);
        for (uint32_t id = nodes[i].first; id != GRAPH_NONE; id = nodes[id].next) {
            if (!vec_reserve(&children, children.count + 1)) {
                vec_free(&children); /* no list has been taken apart */
                return -ENOMEM;
            }
            children.items[children.count++] = (struct layout_child){.rank = layout->rank[nodes[id].name], .node = id};
        }
        layout_sort_children(children.items, children.count);
        nodes[i].first = children.items[0].node;
        for (size_t k = 0; k < children.count; k++)
            nodes[children.items[k].node].next = k + 1 < children.count ? children.items[k + 1].node : GRAPH_NONE;
    }
    vec_free(&children);
    return 0;
}

static void layout_sum(struct layout *layout) {
    struct graph_node *nodes = layout->nodes;
    size_t count = layout->graph->nodes.count;
    for (size_t i = 0; i < count; i++)
        nodes[i].total = nodes[i].self;
    for (size_t i = count; i-- > 1;)
        nodes[nodes[i].parent].total += nodes[i].total;
}

/* Totals are positive doubles, whose bits are in the order of their values: the first 16 make classes that differ by some 6 %, and the
 * whole numbers up to 16 have a class each. */
static uint32_t layout_class(double total) {
    uint64_t bits;
    memcpy(&bits, &total, sizeof bits);
    return (uint32_t)(bits >> 48);
}

static double layout_class_least(uint32_t class) {
    uint64_t bits = (uint64_t) class << 48;
    double least;
    memcpy(&least, &bits, sizeof least);
    return least;
}

/* The least total to keep so that no more than max_nodes are, but for those that show anyway. */
static int layout_limit(struct layout *layout, uint64_t max_nodes) {
    size_t count = layout->graph->nodes.count;
    layout->min_kept = 0;
    if (!max_nodes || count <= max_nodes)
        return 0;
    enum { CLASSES = 1 << 16 };
    uint64_t *classes = calloc(CLASSES, sizeof *classes);
    if (!classes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        classes[layout_class(layout->nodes[i].total)]++;
    uint64_t kept = 0;
    uint32_t least = CLASSES;
    while (least && kept + classes[least - 1] <= max_nodes)
        kept += classes[--least];
    layout->min_kept = least == CLASSES ? layout->min_drawn : MIN(layout_class_least(least), layout->min_drawn);
    free(classes);
    return 0;
}

static int layout_census(struct layout *layout) {
    struct layout_walk walk = {0};
    int r;
    for (r = layout_first(&walk, layout, layout->min_drawn); r > 0; r = layout_next(&walk)) {
        if (layout->nodes[walk.node].name == GRAPH_NAME_GAP)
            continue;
        layout->drawn++;
        layout->drawn_depth = MAX(layout->drawn_depth, walk.depth + 1);
    }
    layout_end(&walk);
    const struct graph_node *nodes = layout->nodes;
    for (size_t i = 0; i < layout->graph->nodes.count; i++)
        layout->kept += nodes[i].total >= layout->min_kept && nodes[i].name != GRAPH_NAME_GAP;
    return r;
}

int layout_make(struct flamegraph *graph, const struct flamegraph_options *options, struct layout *ret) {
    struct layout layout = {.graph = graph, .nodes = graph->nodes.items};
    layout_sum(&layout);
    if (layout.nodes[0].total <= 0)
        return -ENODATA;
    int r = layout_rank_names(&layout);
    if (r == 0)
        r = layout_order(&layout);
    if (r == 0) {
        layout.all = MAX(options->total, layout.nodes[0].total);
        layout.min_drawn = options->min_width_percent ? layout.all * options->min_width / 100
                                                      : layout.all * options->min_width / (options->width - 2 * LAYOUT_MARGIN);
        r = layout_limit(&layout, options->max_nodes);
    }
    if (r == 0)
        r = layout_census(&layout);
    if (r < 0) {
        layout_free(&layout);
        return r;
    }
    *ret = layout;
    return 0;
}

void layout_free(struct layout *layout) {
    free(layout->rank);
    *layout = (struct layout){0};
}

/* Goes to the first of `node` and its siblings to the right that is wide enough. */
static bool layout_settle(struct layout_walk *walk, uint32_t node, uint32_t depth) {
    const struct layout *layout = walk->layout;
    for (; node != GRAPH_NONE; node = layout->nodes[node].next) {
        double x = depth ? walk->cursors.items[depth - 1] : 0;
        if (depth)
            walk->cursors.items[depth - 1] += layout->nodes[node].total;
        if (layout->nodes[node].total < walk->least)
            continue;
        walk->node = node;
        walk->depth = depth;
        walk->x = x;
        return true;
    }
    return false;
}

int layout_first(struct layout_walk *walk, const struct layout *layout, double least) {
    walk->layout = layout;
    walk->least = least;
    return layout_settle(walk, 0, 0);
}

int layout_next(struct layout_walk *walk) {
    const struct layout *layout = walk->layout;
    uint32_t child = layout->nodes[walk->node].first;
    if (child != GRAPH_NONE) {
        if (!vec_reserve(&walk->cursors, walk->depth + (size_t)1))
            return -ENOMEM;
        walk->cursors.items[walk->depth] = walk->x + layout->nodes[walk->node].self;
        if (layout_settle(walk, child, walk->depth + 1))
            return 1;
    }
    uint32_t node = walk->node, depth = walk->depth;
    for (; depth; depth--, node = layout->nodes[node].parent) {
        if (layout_settle(walk, layout->nodes[node].next, depth))
            return 1;
    }
    return 0;
}

void layout_end(struct layout_walk *walk) {
    vec_free(&walk->cursors);
}
