/* SPDX-License-Identifier: MIT */
#include "report/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * One walk down and up the tree. `active[place]` counts how often the place is on the path from the root; its total grows only where it
 * comes up from one to none. Groups are walked one after another, so `row_of[place]` belongs to the group at hand if it lies at or behind
 * the first row of that group.
 */
struct step {
    uint32_t node, next_child; /* 0: none */
    uint64_t samples, weight;  /* of what is below and was left already, and of the node itself */
};

struct collector {
    const struct tree *tree;
    row_list *rows;
    size_t group_start;
    uint32_t group;
    uint32_t *active, *row_of; /* by place */
    VEC(struct step) path;
};

static struct row *get_row(struct collector *c, uint32_t place) {
    if (c->row_of[place] != RECORDING_NONE && c->row_of[place] >= c->group_start)
        return &c->rows->items[c->row_of[place]];
    struct row *row = vec_push(c->rows);
    if (!row)
        return NULL;
    row->group = c->group;
    row->place = place;
    c->row_of[place] = (uint32_t)(c->rows->count - 1);
    return row;
}

static int enter(struct collector *c, uint32_t node) {
    const struct tree_node *n = &c->tree->nodes.items[node];
    const struct tree_count *own = tree_count(c->tree, n);
    struct step *step = vec_push(&c->path);
    struct row *row = step && n->parent != RECORDING_NONE ? get_row(c, n->place) : NULL;
    if (!step || (!row && n->parent != RECORDING_NONE))
        return -ENOMEM;
    *step = (struct step){.node = node, .next_child = n->first_child, .samples = own->samples, .weight = own->weight};
    if (row) {
        row->self_samples += own->samples;
        row->self_weight += own->weight;
        c->active[n->place]++;
    }
    return 0;
}

static void leave(struct collector *c) {
    struct step step = c->path.items[--c->path.count];
    const struct tree_node *n = &c->tree->nodes.items[step.node];
    if (c->path.count) {
        c->path.items[c->path.count - 1].samples += step.samples;
        c->path.items[c->path.count - 1].weight += step.weight;
    }
    if (n->parent == RECORDING_NONE || --c->active[n->place])
        return;
    struct row *row = &c->rows->items[c->row_of[n->place]];
    row->total_samples += step.samples;
    row->total_weight += step.weight;
}

static int walk_group(struct collector *c, uint32_t root) {
    c->group = c->tree->nodes.items[root].place;
    c->group_start = c->rows->count;
    int r = enter(c, root);
    while (r == 0 && c->path.count) {
        struct step *step = &c->path.items[c->path.count - 1];
        uint32_t child = step->next_child;
        if (child) {
            step->next_child = c->tree->nodes.items[child].next_sibling;
            r = enter(c, child);
        } else
            leave(c);
    }
    return r;
}

int rows_collect(const struct tree *tree, const struct places *places, row_list *ret) {
    size_t count = places->items.count;
    row_list collected = {0};
    struct collector c = {.tree = tree, .rows = &collected};
    c.active = calloc(count + 1, sizeof *c.active);
    c.row_of = malloc((count + 1) * sizeof *c.row_of);
    int r = c.active && c.row_of ? 0 : -ENOMEM;
    if (c.row_of)
        memset(c.row_of, 0xff, (count + 1) * sizeof *c.row_of);
    for (uint32_t i = 0; r == 0 && i < tree->nodes.count; i++)
        if (tree->nodes.items[i].parent == RECORDING_NONE)
            r = walk_group(&c, i);
    free(c.active);
    free(c.row_of);
    vec_free(&c.path);
    if (r < 0)
        vec_free(&collected);
    else
        *ret = collected;
    return r;
}

/* ---- order ----------------------------------------------------------------------------------------------------------------------- */

struct comparison {
    enum report_order order;
    const struct groups *groups;
    const struct places *places;
};

static int compare_numbers(uint64_t a, uint64_t b) {
    return a > b ? -1 : a < b;
}

static int compare_texts(const struct places *p, uint32_t a, uint32_t b) {
    return a == b ? 0 : strcmp(place_text(p, a)->data, place_text(p, b)->data);
}

static int compare_places(const struct comparison *c, const struct row *a, const struct row *b) {
    const struct group *ga = &c->groups->items.items[a->group], *gb = &c->groups->items.items[b->group];
    const struct place *pa = &c->places->items.items[a->place], *pb = &c->places->items.items[b->place];
    int order = compare_texts(c->places, pa->function, pb->function);
    if (!order)
        order = compare_texts(c->places, pa->module, pb->module);
    if (!order)
        order = compare_texts(c->places, pa->line, pb->line);
    if (!order)
        order = strcmp(ga->comm, gb->comm);
    if (!order)
        order = compare_numbers(gb->pid, ga->pid);
    return order ? order : compare_numbers(gb->tid, ga->tid);
}

static int compare_rows(const void *left, const void *right, void *context) {
    const struct row *a = left, *b = right;
    const struct comparison *c = context;
    int order = c->order == ORDER_TOTAL     ? compare_numbers(a->total_weight, b->total_weight)
                : c->order == ORDER_SAMPLES ? compare_numbers(a->self_samples, b->self_samples)
                                            : 0;
    if (!order)
        order = compare_numbers(a->self_weight, b->self_weight);
    if (!order)
        order = compare_numbers(a->self_samples, b->self_samples);
    if (!order)
        order = compare_numbers(a->total_weight, b->total_weight);
    if (!order)
        order = compare_numbers(a->total_samples, b->total_samples);
    return order ? order : compare_places(c, a, b);
}

void rows_sort(row_list *rows, enum report_order order, const struct groups *groups, const struct places *places) {
    struct comparison c = {order, groups, places};
    if (rows->count)
        qsort_r(rows->items, rows->count, sizeof *rows->items, compare_rows, &c);
}
