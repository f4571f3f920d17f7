/* SPDX-License-Identifier: MIT */
#include "flamegraph/data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/macros.h"

enum { NODES_A_PIECE = 64 * 1024, NUMBER_MAX = 13, NODE_MAX = 4 * NUMBER_MAX };

static char *data_number(char *to, uint64_t value) {
    static const char digits[] = DATA_DIGITS;
    for (; value >= 32; value >>= 5)
        *to++ = digits[32 | (value & 31)];
    *to++ = digits[value];
    return to;
}

struct data_use {
    uint32_t uses;
    uint32_t name;
    uint32_t rank;
};

static int data_compare_uses(const void *left, const void *right) {
    const struct data_use *a = left, *b = right;
    if (a->uses != b->uses)
        return a->uses < b->uses ? 1 : -1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* The names that kept nodes have, the most used first, so that their numbers are short. */
static size_t data_count_uses(const struct layout *layout, struct data_use *uses) {
    const struct graph_node *nodes = layout->nodes;
    size_t names = layout->graph->names.entries.count, used = 0;
    for (size_t i = 0; i < names; i++)
        uses[i] = (struct data_use){.name = (uint32_t)i, .rank = layout->rank[i]};
    for (size_t i = 0; i < layout->graph->nodes.count; i++) {
        if (nodes[i].name != GRAPH_NAME_GAP && layout->nodes[i].total >= layout->min_kept)
            uses[nodes[i].name].uses++;
    }
    qsort(uses, names, sizeof *uses, data_compare_uses);
    while (used < names && uses[used].uses)
        used++;
    return used;
}

static void data_put_names(struct xml_output *output, const struct layout *layout, const struct data_use *uses, size_t used,
                           const uint32_t *colors) {
    static const char digits[] = DATA_DIGITS;
    xml_puts(output, "<metadata id=\"names\">");
    for (size_t i = 0; i < used; i++) {
        const struct strings_entry *entry = &layout->graph->names.entries.items[uses[i].name];
        char *to = xml_reserve(output, 4);
        if (!to)
            return;
        for (int shift = 18; shift >= 0; shift -= 6)
            *to++ = digits[colors[uses[i].name] >> shift & 63];
        xml_advance(output, to);
        xml_put_escaped(output, entry->data, entry->length);
        xml_put(output, "\n", 1);
    }
    xml_puts(output, "</metadata>\n");
}

/* Self, and what the dropped children weighed. */
static double data_self(const struct layout *layout, uint32_t node) {
    const struct graph_node *nodes = layout->nodes;
    double self = nodes[node].self;
    for (uint32_t id = layout->min_kept > 0 ? nodes[node].first : GRAPH_NONE; id != GRAPH_NONE; id = nodes[id].next) {
        if (layout->nodes[id].total < layout->min_kept)
            self += layout->nodes[id].total;
    }
    return self;
}

static uint64_t data_scaled(double value, double scale) {
    double scaled = value * scale;
    return scaled >= 0x1p53 ? (uint64_t)1 << 53 : (uint64_t)(scaled + 0.5); /* the script's numbers end there */
}

static char *data_node(char *to, const struct layout *layout, uint32_t node, uint32_t up, const uint32_t *ids, double scale) {
    const struct flamegraph *graph = layout->graph;
    uint32_t name = graph->nodes.items[node].name;
    uint64_t self = data_scaled(data_self(layout, node), scale);
    double delta = graph->differential ? graph->delta.items[node] : 0;
    uint64_t magnitude = data_scaled(fabs(delta), scale);
    bool gap = name == GRAPH_NAME_GAP;
    to = data_number(to, (uint64_t)up << 3 | (uint64_t)gap << 2 | (uint64_t)(magnitude != 0) << 1 | (self != 0));
    if (!gap)
        to = data_number(to, ids[name]);
    if (self)
        to = data_number(to, self);
    if (magnitude)
        to = data_number(to, delta > 0 ? magnitude << 1 : (magnitude << 1) - 1);
    return to;
}

static int data_put_nodes(struct xml_output *output, const struct layout *layout, const uint32_t *ids) {
    double scale = layout->graph->fractional ? 1000 : 1;
    struct layout_walk walk = {0};
    uint64_t count = 0;
    uint32_t expected = 0;
    int r;
    for (r = layout_first(&walk, layout, layout->min_kept); r > 0; r = layout_next(&walk)) {
        if (count++ % NODES_A_PIECE == 0)
            xml_puts(output, count == 1 ? "<metadata class=\"nodes\">" : "</metadata>\n<metadata class=\"nodes\">");
        char *to = xml_reserve(output, NODE_MAX);
        if (!to)
            break;
        xml_advance(output, data_node(to, layout, walk.node, expected - walk.depth, ids, scale));
        expected = walk.depth + 1;
    }
    layout_end(&walk);
    xml_puts(output, "</metadata>\n");
    return r < 0 ? r : 0;
}

int data_put(struct xml_output *output, const struct layout *layout, const uint32_t *colors) {
    size_t names = layout->graph->names.entries.count;
    struct data_use *uses = malloc(names * sizeof *uses);
    uint32_t *ids = malloc(names * sizeof *ids);
    int r = uses && ids ? 0 : -ENOMEM;
    if (r == 0) {
        size_t used = data_count_uses(layout, uses);
        for (size_t i = 0; i < names; i++)
            ids[uses[i].name] = (uint32_t)i;
        data_put_names(output, layout, uses, used, colors);
        r = data_put_nodes(output, layout, ids);
    }
    free(uses);
    free(ids);
    return r;
}
