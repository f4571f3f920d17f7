/* SPDX-License-Identifier: MIT */
#include "flamegraph/graph.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

enum { WIDE_SCAN = 8 };

static int graph_new_node(struct flamegraph *graph, uint32_t parent, uint32_t name, uint32_t *ret) {
    if (graph->nodes.count >= GRAPH_NONE || !vec_reserve(&graph->nodes, graph->nodes.count + 1))
        return -ENOMEM;
    if (graph->differential && !vec_push(&graph->delta))
        return -ENOMEM;
    uint32_t id = (uint32_t)graph->nodes.count++;
    uint32_t next = GRAPH_NONE;
    if (parent != GRAPH_NONE) {
        next = graph->nodes.items[parent].first;
        graph->nodes.items[parent].first = id;
    }
    graph->nodes.items[id] = (struct graph_node){.name = name, .parent = parent, .first = GRAPH_NONE, .next = next};
    *ret = id;
    return 0;
}

static uint64_t graph_child_key(uint32_t parent, uint32_t name) {
    return (uint64_t)parent << 32 | name;
}

static int graph_widen(struct flamegraph *graph, uint32_t parent) {
    const struct graph_node *nodes = graph->nodes.items;
    for (uint32_t id = nodes[parent].first; id != GRAPH_NONE; id = nodes[id].next) {
        bool new;
        uint64_t *value = map_put(&graph->children, graph_child_key(parent, nodes[id].name), &new);
        if (!value)
            return -ENOMEM;
        *value = id;
    }
    graph->nodes.items[parent].wide = 1;
    return 0;
}

/* In a chart only the newest child may grow on: the others are in the past. */
static int graph_child_chart(struct flamegraph *graph, uint32_t parent, uint32_t name, uint32_t *ret) {
    uint32_t newest = graph->nodes.items[parent].first;
    if (newest != GRAPH_NONE && graph->nodes.items[newest].name == name) {
        *ret = newest;
        return 0;
    }
    return graph_new_node(graph, parent, name, ret);
}

static int graph_child_wide(struct flamegraph *graph, uint32_t parent, uint32_t name, uint32_t *ret) {
    bool new;
    uint64_t *value = map_put(&graph->children, graph_child_key(parent, name), &new);
    if (!value)
        return -ENOMEM;
    if (!new) {
        *ret = (uint32_t)*value;
        return 0;
    }
    uint32_t id;
    if (graph_new_node(graph, parent, name, &id) < 0) {
        map_remove(&graph->children, graph_child_key(parent, name));
        return -ENOMEM;
    }
    *value = *ret = id;
    return 0;
}

int graph_child(struct flamegraph *graph, uint32_t parent, uint32_t name, uint32_t *ret) {
    if (graph->flags & FLAMEGRAPH_CHART)
        return graph_child_chart(graph, parent, name, ret);
    if (graph->nodes.items[parent].wide)
        return graph_child_wide(graph, parent, name, ret);

    struct graph_node *nodes = graph->nodes.items;
    unsigned scanned = 0;
    for (uint32_t id = nodes[parent].first, left = GRAPH_NONE; id != GRAPH_NONE; left = id, id = nodes[id].next, scanned++) {
        if (nodes[id].name != name)
            continue;
        if (left != GRAPH_NONE) { /* to the front: what was seen is likely to be seen again */
            nodes[left].next = nodes[id].next;
            nodes[id].next = nodes[parent].first;
            nodes[parent].first = id;
        }
        *ret = id;
        return 0;
    }
    if (scanned >= WIDE_SCAN) {
        int r = graph_widen(graph, parent);
        return r < 0 ? r : graph_child_wide(graph, parent, name, ret);
    }
    return graph_new_node(graph, parent, name, ret);
}

/* A chart keeps self time where it happened: as a gap among the children. A weight next to a gap widens it. */
static int graph_gap(struct flamegraph *graph, uint32_t node, uint32_t *ret) {
    if (!(graph->flags & FLAMEGRAPH_CHART)) {
        *ret = node;
        return 0;
    }
    return graph_child_chart(graph, node, GRAPH_NAME_GAP, ret);
}

int graph_add(struct flamegraph *graph, uint32_t node, double before, double weight) {
    uint32_t at;
    int r = graph_gap(graph, node, &at);
    if (r < 0)
        return r;
    graph->nodes.items[at].self += weight;
    if (graph->differential)
        graph->delta.items[at] += weight - before;
    if (unlikely(weight != floor(weight) || before != floor(before)))
        graph->fractional = true;
    graph->total += weight;
    graph->total_before += before;
    graph->stacks++;
    return 0;
}

int flamegraph_new(unsigned flags, struct flamegraph **ret) {
    struct flamegraph *graph = calloc(1, sizeof *graph);
    uint32_t root, all;
    if (!graph)
        return -ENOMEM;
    graph->flags = flags;
    if (strings_intern(&graph->names, "all", 3, &all) < 0 || graph_new_node(graph, GRAPH_NONE, all, &root) < 0) {
        flamegraph_free(graph);
        return -ENOMEM;
    }
    *ret = graph;
    return 0;
}

void flamegraph_free(struct flamegraph *graph) {
    if (!graph)
        return;
    vec_free(&graph->nodes);
    vec_free(&graph->delta);
    vec_free(&graph->attributes);
    vec_free(&graph->memo.path);
    vec_free(&graph->memo.ends);
    strings_free(&graph->names);
    strings_free(&graph->modules);
    map_free(&graph->children);
    free(graph);
}

int graph_make_differential(struct flamegraph *graph) {
    if (graph->differential)
        return 0;
    if (!vec_reserve(&graph->delta, graph->nodes.count))
        return -ENOMEM;
    memset(graph->delta.items, 0, graph->nodes.count * sizeof *graph->delta.items);
    graph->delta.count = graph->nodes.count;
    graph->differential = true;
    return 0;
}

static int graph_set_attributes(struct flamegraph *graph, uint32_t name, const struct flamegraph_frame *frame) {
    size_t old = graph->attributes.count;
    if (name >= old) {
        if (!vec_reserve(&graph->attributes, name + (size_t)1))
            return -ENOMEM;
        memset(&graph->attributes.items[old], 0, (name + 1 - old) * sizeof *graph->attributes.items);
        graph->attributes.count = name + (size_t)1;
    }
    struct graph_name *attribute = &graph->attributes.items[name];
    if (attribute->kind || attribute->module)
        return 0; /* the first push decides */
    uint32_t module;
    attribute->kind = (uint8_t)frame->kind;
    if (frame->module) {
        if (strings_intern(&graph->modules, frame->module, strlen(frame->module), &module) < 0)
            return -ENOMEM;
        attribute->module = module + 1;
    }
    return 0;
}

static int graph_push(struct flamegraph *graph, const struct flamegraph_frame *frames, size_t count, double before, double weight) {
    if (!(before >= 0 && before <= FLAMEGRAPH_WEIGHT_MAX && weight >= 0 && weight <= FLAMEGRAPH_WEIGHT_MAX)) /* NaN too */
        return -EINVAL;
    uint32_t node = 0;
    for (size_t i = 0; i < count; i++) {
        const struct flamegraph_frame *frame = &frames[graph->flags & FLAMEGRAPH_REVERSE ? count - 1 - i : i];
        uint32_t name;
        int r = strings_intern(&graph->names, frame->name, frame->length, &name);
        if (r == 0 && (frame->kind || frame->module))
            r = graph_set_attributes(graph, name, frame);
        if (r == 0)
            r = graph_child(graph, node, name, &node);
        if (r < 0)
            return r;
    }
    return graph_add(graph, node, before, weight);
}

int flamegraph_push(struct flamegraph *graph, const struct flamegraph_frame *frames, size_t count, double weight) {
    return graph_push(graph, frames, count, weight, weight);
}

int flamegraph_push_difference(struct flamegraph *graph, const struct flamegraph_frame *frames, size_t count, double before,
                               double weight) {
    int r = graph_make_differential(graph);
    return r < 0 ? r : graph_push(graph, frames, count, before, weight);
}

struct flamegraph_counts flamegraph_count(const struct flamegraph *graph) {
    return (struct flamegraph_counts){
        .stacks = graph->stacks,
        .ignored = graph->ignored,
        .nodes = graph->nodes.count,
        .names = graph->names.entries.count,
        .total = graph->total,
        .before = graph->total_before,
    };
}
