/* SPDX-License-Identifier: MIT */
#include "report/folded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Lines must come sorted by bytes, but comparing long lines that share most of their bytes is slow. So the tree is walked in that order
 * instead: below one node every child c stands for two items,
 *
 *     "c"     the line that ends at c            (key: the name)
 *     "c;"    all lines that go on below c       (key: the name and a semicolon)
 *
 * and the items are visited by key. Names hold no semicolon, so no key "c;" is the beginning of another: the items' order is that of all
 * lines below them. All names are ranked once, as such keys; siblings are then sorted by numbers. Siblings of one name are walked as one.
 */
enum { DRAIN_BYTES = 256 << 10 }; /* stays in the cache, and few calls */

struct item {
    uint32_t rank;
    uint32_t node;
    bool goes_on; /* "c;" */
};

/* One node on the way down: its items lie in `items` from `at` (the next one) to `end`. */
struct visit {
    size_t first, at, end;
    size_t line_length; /* of the stack above the items */
    size_t frames;      /* and its length in frames */
};

/* What is written of a place, close at hand: names are asked for at every node. */
struct name {
    const char *data;
    uint32_t length, text;
};

struct folder {
    const struct tree *tree;
    const struct places *places;
    bool by_weight;
    uint32_t *ranks;    /* by 2 * text id + goes_on */
    struct name *names; /* by place */
    VEC(struct item) items;
    VEC(struct visit) visits;
    VEC(size_t) frame_ends; /* where each frame of `line` ends */
    struct buffer line;     /* the stack walked so far, "comm;main;" */
    struct buffer *out;
    const struct folded_drain *drain; /* NULL: all stays in `out` */
    struct folded_counts counts;
};

/* ---- the order of names ---------------------------------------------------------------------------------------------------------- */

struct ranked_name {
    const char *data;
    uint32_t length;
    uint32_t id;
    bool goes_on;
};

static uint8_t key_byte(const struct ranked_name *name, size_t i) {
    return i < name->length ? (uint8_t)name->data[i] : i == name->length && name->goes_on ? ';' : 0;
}

static int compare_names(const void *left, const void *right) {
    const struct ranked_name *a = left, *b = right;
    size_t shared = MIN(a->length, b->length);
    int order = memcmp(a->data, b->data, shared);
    return order ? order : (int)key_byte(a, shared) - (int)key_byte(b, shared);
}

static int rank_names(struct folder *f) {
    size_t count = f->places->texts.entries.count;
    struct ranked_name *names = calloc(2 * count + 1, sizeof *names);
    f->ranks = calloc(2 * count + 1, sizeof *f->ranks);
    if (names && f->ranks) {
        for (uint32_t i = 0; i < 2 * count; i++) {
            const struct strings_entry *text = place_text(f->places, i / 2);
            names[i] = (struct ranked_name){.data = text->data, .length = text->length, .id = i, .goes_on = i % 2};
        }
        qsort(names, 2 * count, sizeof *names, compare_names);
        for (uint32_t i = 0; i < 2 * count; i++)
            f->ranks[names[i].id] = i;
    }
    free(names);
    return names && f->ranks ? 0 : -ENOMEM;
}

static int gather_names(struct folder *f, uint32_t *ret_longest) {
    size_t count = f->places->items.count;
    f->names = malloc((count + 1) * sizeof *f->names);
    for (size_t i = 0; f->names && i < count; i++) {
        uint32_t id = f->places->items.items[i].function;
        const struct strings_entry *text = place_text(f->places, id);
        f->names[i] = (struct name){text->data, text->length, id};
        *ret_longest = MAX(*ret_longest, text->length);
    }
    return f->names ? 0 : -ENOMEM;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------------------- */

#define COUNT_MAX " 18446744073709551615\n"

static uint64_t node_value(const struct folder *f, uint32_t node) {
    const struct tree_count *own = tree_count(f->tree, &f->tree->nodes.items[node]);
    return f->by_weight ? own->weight : own->samples;
}

static void put_count(struct buffer *b, uint64_t value) {
    char digits[sizeof COUNT_MAX - 1];
    size_t at = sizeof digits;
    digits[--at] = '\n';
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    digits[--at] = ' ';
    buffer_put(b, digits + at, sizeof digits - at);
}

/* A stack too long for a line: the outer frames up to half of it, the inner ones for the rest, "[...]" between. */
static void put_cut_stack(struct folder *f, const char *leaf, size_t leaf_length) {
    static const char mark[] = "[...];";
    size_t budget = FOLDED_LINE_MAX - sizeof mark - sizeof COUNT_MAX;
    size_t frames = f->frame_ends.count, head = 1, tail = frames;
    while (head < frames && f->frame_ends.items[head] < budget / 2)
        head++;
    size_t used = f->frame_ends.items[head - 1] + leaf_length;
    while (tail > head && used + f->line.length - f->frame_ends.items[tail - 2] <= budget)
        tail--;
    buffer_put(f->out, f->line.data, f->frame_ends.items[head - 1]);
    buffer_put(f->out, mark, sizeof mark - 1);
    buffer_put(f->out, f->line.data + f->frame_ends.items[tail - 1], f->line.length - f->frame_ends.items[tail - 1]);
    buffer_put(f->out, leaf, leaf_length);
    f->counts.cut++;
}

static int put_line(struct folder *f, const struct name *name, uint64_t value) {
    if (f->line.length + name->length + sizeof COUNT_MAX > FOLDED_LINE_MAX)
        put_cut_stack(f, name->data, name->length);
    else {
        buffer_put(f->out, f->line.data, f->line.length);
        buffer_put(f->out, name->data, name->length);
    }
    put_count(f->out, value);
    f->counts.stacks++;
    return f->drain && f->out->length >= DRAIN_BYTES ? f->drain->write(f->drain->context, f->out) : 0;
}

/* ---- the walk -------------------------------------------------------------------------------------------------------------------- */

static int compare_items(const void *left, const void *right) {
    const struct item *a = left, *b = right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static const struct name *node_name(const struct folder *f, uint32_t node) {
    return &f->names[f->tree->nodes.items[node].place];
}

static bool has_children(const struct tree *t, uint32_t node) {
    return t->nodes.items[node].first_child != 0;
}

static int add_items(struct folder *f, uint32_t node) {
    uint32_t text = node_name(f, node)->text;
    for (unsigned goes_on = 0; goes_on < 2; goes_on++) {
        if (goes_on ? !has_children(f->tree, node) : !node_value(f, node))
            continue;
        struct item *item = vec_push(&f->items);
        if (!item)
            return -ENOMEM;
        *item = (struct item){.rank = f->ranks[2 * text + goes_on], .node = node, .goes_on = goes_on};
    }
    return 0;
}

/* Begins a visit of the items from `first` on. */
static int enter(struct folder *f, size_t first) {
    size_t sorted = first + 1;
    while (sorted < f->items.count && f->items.items[sorted - 1].rank <= f->items.items[sorted].rank)
        sorted++;
    if (sorted < f->items.count) /* often there is but one child */
        qsort(f->items.items + first, f->items.count - first, sizeof *f->items.items, compare_items);
    struct visit *visit = vec_push(&f->visits);
    if (!visit)
        return -ENOMEM;
    *visit =
        (struct visit){.first = first, .at = first, .end = f->items.count, .line_length = f->line.length, .frames = f->frame_ends.count};
    return 0;
}

static int enter_roots(struct folder *f) {
    for (uint32_t i = 0; i < f->tree->nodes.count; i++)
        if (f->tree->nodes.items[i].parent == RECORDING_NONE && add_items(f, i) < 0)
            return -ENOMEM;
    return enter(f, 0);
}

/* Appends "name;" to the line. */
static int put_frame(struct folder *f, uint32_t node) {
    const struct name *name = node_name(f, node);
    uint8_t *to = buffer_reserve(&f->line, name->length + 1);
    size_t *end = to ? vec_push(&f->frame_ends) : NULL;
    if (!end)
        return -ENOMEM;
    memcpy(to, name->data, name->length);
    to[name->length] = ';';
    *end = f->line.length += name->length + 1;
    return 0;
}

/* Does nothing but one stretch of lines go on below this node? Most nodes are so, and need no items and no sorting. */
static bool has_one_way(const struct folder *f, uint32_t node, uint32_t *ret_child) {
    const struct tree *t = f->tree;
    uint32_t child = t->nodes.items[node].first_child;
    if (t->nodes.items[child].next_sibling || node_value(f, child) || !has_children(t, child))
        return false;
    *ret_child = child;
    return true;
}

/* Goes on below the items from..to, which have one name. */
static int enter_children(struct folder *f, size_t from, size_t to) {
    const struct tree *t = f->tree;
    size_t first = f->items.count;
    if (put_frame(f, f->items.items[from].node) < 0)
        return -ENOMEM;
    for (uint32_t child; to == from + 1 && has_one_way(f, f->items.items[from].node, &child); f->items.items[from].node = child)
        if (put_frame(f, child) < 0)
            return -ENOMEM;
    for (size_t i = from; i < to; i++) {
        uint32_t child = t->nodes.items[f->items.items[i].node].first_child;
        for (; child; child = t->nodes.items[child].next_sibling)
            if (add_items(f, child) < 0)
                return -ENOMEM;
    }
    return enter(f, first);
}

static void leave(struct folder *f) {
    f->items.count = f->visits.items[--f->visits.count].first;
}

/* Takes the next items of one rank: one line, or one subtree. */
static int advance(struct folder *f, struct visit *visit) {
    size_t from = visit->at, to = from;
    struct item item = f->items.items[from];
    uint64_t value = 0;
    for (; to < visit->end && f->items.items[to].rank == item.rank; to++)
        value += node_value(f, f->items.items[to].node);
    visit->at = to;
    if (item.goes_on)
        return enter_children(f, from, to);
    return put_line(f, node_name(f, item.node), value);
}

static int walk(struct folder *f) {
    int r = enter_roots(f);
    while (r == 0 && f->visits.count) {
        struct visit *visit = &f->visits.items[f->visits.count - 1];
        f->line.length = visit->line_length;
        f->frame_ends.count = visit->frames;
        if (visit->at == visit->end)
            leave(f);
        else
            r = advance(f, visit);
    }
    return r == 0 && f->out->failed ? -ENOMEM : r;
}

/* Lines that are cut must be sorted once more, all of them. Do all lines of the tree fit? A parent comes before its children. */
static bool lines_fit(const struct folder *f, uint32_t longest_name) {
    const struct tree *t = f->tree;
    if ((t->depth + 1) * (longest_name + (uint64_t)1) + sizeof COUNT_MAX <= FOLDED_LINE_MAX)
        return true; /* most programs' stacks need no closer look */
    uint32_t *lengths = malloc((t->nodes.count + 1) * sizeof *lengths), longest = 0;
    for (uint32_t i = 0; lengths && i < t->nodes.count; i++) {
        uint32_t parent = t->nodes.items[i].parent, above = parent == RECORDING_NONE ? 0 : lengths[parent];
        lengths[i] = (uint32_t)MIN(above + (size_t)node_name(f, i)->length + 1, (size_t)FOLDED_LINE_MAX);
        longest = MAX(longest, lengths[i]);
    }
    bool fit = lengths && longest + sizeof COUNT_MAX <= FOLDED_LINE_MAX;
    free(lengths);
    return fit;
}

int folded_write(const struct tree *tree, const struct places *places, bool by_weight, struct buffer *out, const struct folded_drain *drain,
                 struct folded_counts *ret) {
    struct folder f = {.tree = tree, .places = places, .by_weight = by_weight, .out = out};
    size_t start = out->length;
    uint32_t longest_name = 0;
    int r = rank_names(&f);
    if (r == 0)
        r = gather_names(&f, &longest_name);
    if (r == 0 && drain && lines_fit(&f, longest_name))
        f.drain = drain;
    if (r == 0)
        r = walk(&f);
    if (r == 0 && f.counts.cut)
        r = folded_sort_lines(out, start, &f.counts.stacks);
    free(f.ranks);
    free(f.names);
    vec_free(&f.items);
    vec_free(&f.visits);
    vec_free(&f.frame_ends);
    buffer_free(&f.line);
    if (r == 0)
        *ret = f.counts;
    return r;
}
