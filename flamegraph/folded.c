/* SPDX-License-Identifier: MIT */
/*
 * Folded text into the tree.
 *
 * Three facts make it fast. Neighbouring lines share most of their stack: a line resumes at the node where it leaves the previous one, and
 * only the frames behind that point are looked at. And a caller mostly calls what it called last: that name is compared with first, so
 * most frames are neither searched for their end nor hashed. And where a stack leaves the tree, all the rest of it is new: its names are
 * looked up together, so that the waits for memory overlap.
 */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "flamegraph/graph.h"

/* flamegraph.pl's \s without LF, which ends the line */
static bool folded_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The weight that ends [text, *end): whitespace, digits, and perhaps a point and digits. On success *end is where the whitespace
 * character before it was, so that a second call sees what flamegraph.pl's second match sees. */
static bool folded_weight(const char *text, const char **end, double *ret) {
    const char *at = *end;
    bool point = false;
    while (at > text && (unsigned char)(at[-1] - '0') <= 9)
        at--;
    if (at > text && at[-1] == '.') {
        point = true;
        at--;
        while (at > text && (unsigned char)(at[-1] - '0') <= 9)
            at--;
    }
    if (at == text || at == *end || *at == '.' || !folded_is_space(at[-1]))
        return false;

    double value = 0;
    uint64_t whole = 0;
    const char *digit = at;
    for (; digit < *end && *digit != '.' && digit - at < 18; digit++)
        whole = whole * 10 + (uint64_t)(*digit - '0');
    value = (double)whole;
    for (; digit < *end && *digit != '.'; digit++)
        value = value * 10 + (*digit - '0');
    if (point) {
        double fraction = 0, scale = 1;
        for (digit++; digit < *end && scale < 1e15; digit++, scale *= 10)
            fraction = fraction * 10 + (*digit - '0');
        value += fraction / scale;
    }
    if (value > FLAMEGRAPH_WEIGHT_MAX)
        return false;
    *end = at - 1;
    *ret = value;
    return true;
}

/* How many bytes two texts have in common at their beginning. */
static size_t folded_common(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t length = MIN(a_length, b_length), i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return i + (size_t)__builtin_ctzll(x ^ y) / 8;
    }
    while (i < length && a[i] == b[i])
        i++;
    return i;
}

/* How many whole frames the stack shares with the memo's: frame i is shared if its text is and ends there in both. */
static size_t folded_shared(const struct graph_memo *memo, const char *stack, size_t length) {
    size_t common = folded_common(memo->text, memo->length, stack, length);
    size_t low = 0, high = memo->ends.count; /* the first frame that ends behind `common` */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memo->ends.items[middle] > common)
            high = middle;
        else
            low = middle + 1;
    }
    if (low && memo->ends.items[low - 1] == common && common < length && stack[common] != ';')
        low--;
    return low;
}

/* The end of the frame that begins at `at`. */
static size_t folded_frame_end(const char *stack, size_t at, size_t length) {
    const char *semicolon = memchr(stack + at, ';', length - at);
    return semicolon ? (size_t)(semicolon - stack) : length;
}

static int folded_step(struct flamegraph *graph, const char *name, size_t length, uint32_t hash, uint32_t *node) {
    uint32_t id;
    int r = strings_intern_hashed(&graph->names, name, length, hash, &id);
    return r < 0 ? r : graph_child(graph, *node, id, node);
}

static int folded_remember(struct graph_memo *memo, uint32_t node, size_t end) {
    if (!vec_reserve(&memo->path, memo->path.count + 1) || !vec_reserve(&memo->ends, memo->ends.count + 1))
        return -ENOMEM;
    memo->path.items[memo->path.count++] = node;
    memo->ends.items[memo->ends.count++] = (uint32_t)end;
    return 0;
}

/* The likely next node's name, if the text goes on with it: saves the search for the frame's end, the hash and the look-up. */
static bool folded_guess(const struct flamegraph *graph, const char *text, size_t length, uint32_t *node, size_t *ret_size) {
    uint32_t child = graph->nodes.items[*node].first;
    if (child == GRAPH_NONE || graph->nodes.items[child].name == GRAPH_NAME_GAP)
        return false;
    const struct strings_entry *name = &graph->names.entries.items[graph->nodes.items[child].name];
    if (name->length > length || (name->length < length && text[name->length] != ';') || memcmp(text, name->data, name->length))
        return false;
    *node = child;
    *ret_size = name->length;
    return true;
}

/* The rest of a stack from a node without children on: all of it is new, and its names can be looked up together. */
static int folded_walk_new(struct flamegraph *graph, const char *stack, size_t length, size_t at, uint32_t *node) {
    enum { BATCH = 32 };
    size_t ends[BATCH];
    uint32_t hashes[BATCH];
    while (at < length) {
        size_t begin = at, count = 0;
        for (; at < length && count < BATCH; at = ends[count++] + 1) {
            ends[count] = folded_frame_end(stack, at, length);
            hashes[count] = strings_hash(stack + at, ends[count] - at);
            strings_hint_slot(&graph->names, hashes[count]);
        }
        for (size_t i = 0; i < count; i++)
            strings_hint_entry(&graph->names, hashes[i]);
        for (size_t i = 0; i < count; i++)
            strings_hint_data(&graph->names, hashes[i]);
        for (size_t i = 0; i < count; begin = ends[i++] + 1) {
            int r = folded_step(graph, stack + begin, ends[i] - begin, hashes[i], node);
            if (r == 0)
                r = folded_remember(&graph->memo, *node, ends[i]);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int folded_walk(struct flamegraph *graph, const char *stack, size_t length, uint32_t *ret) {
    struct graph_memo *memo = &graph->memo;
    size_t shared = length ? folded_shared(memo, stack, length) : 0;
    size_t at = shared ? memo->ends.items[shared - 1] + (size_t)1 : 0;
    uint32_t node = shared ? memo->path.items[shared - 1] : 0;
    memo->path.count = memo->ends.count = shared;
    memo->text = stack;
    memo->length = length;

    int r = 0;
    while (r == 0 && at < length && graph->nodes.items[node].first != GRAPH_NONE) {
        size_t size;
        if (!folded_guess(graph, stack + at, length - at, &node, &size)) {
            size = folded_frame_end(stack, at, length) - at;
            r = folded_step(graph, stack + at, size, strings_hash(stack + at, size), &node);
        }
        if (r == 0)
            r = folded_remember(memo, node, at + size);
        at += size + 1;
    }
    if (r == 0 && at < length)
        r = folded_walk_new(graph, stack, length, at, &node);
    *ret = node;
    return r;
}

static int folded_walk_reversed(struct flamegraph *graph, const char *stack, size_t length, uint32_t *ret) {
    uint32_t node = 0;
    for (size_t end = length; length;) {
        const char *semicolon = memrchr(stack, ';', end);
        size_t at = semicolon ? (size_t)(semicolon - stack) + 1 : 0;
        int r = folded_step(graph, stack + at, end - at, strings_hash(stack + at, end - at), &node);
        if (r < 0)
            return r;
        if (!semicolon)
            break;
        end = at - 1;
    }
    *ret = node;
    return 0;
}

static int folded_line(struct flamegraph *graph, const char *line, const char *end) {
    double before, weight;
    if (end > line && end[-1] == '\r')
        end--;
    if (!folded_weight(line, &end, &weight) || end - line > UINT32_MAX) {
        graph->ignored++;
        return 0;
    }
    int r = 0;
    if (folded_weight(line, &end, &before))
        r = graph_make_differential(graph);
    else
        before = weight;
    while (end > line && end[-1] == ';') /* as split() drops empty fields at the end */
        end--;

    uint32_t node = 0;
    size_t length = (size_t)(end - line);
    if (r == 0)
        r = graph->flags & FLAMEGRAPH_REVERSE ? folded_walk_reversed(graph, line, length, &node) : folded_walk(graph, line, length, &node);
    return r < 0 ? r : graph_add(graph, node, before, weight);
}

int flamegraph_push_folded(struct flamegraph *graph, const char *text, size_t length) {
    const char *end = text + length;
    int r = 0;
    while (text < end && r == 0) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        r = folded_line(graph, text, newline ? newline : end);
        text = newline ? newline + 1 : end;
    }
    /* The text is the caller's: it may be gone when the next one comes. */
    graph->memo.text = NULL;
    graph->memo.length = graph->memo.path.count = graph->memo.ends.count = 0;
    return r;
}
