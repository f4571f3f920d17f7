/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/folded.h"

/* The slow way, for output with lines that were cut: those may have lost their place in the order, or what told them apart. */

struct line {
    const uint8_t *data;
    size_t stack; /* its length without the count */
};

static int compare_lines(const void *left, const void *right) {
    const struct line *a = left, *b = right;
    int order = memcmp(a->data, b->data, MIN(a->stack, b->stack));
    return order ? order : a->stack < b->stack ? -1 : a->stack > b->stack;
}

static uint64_t line_count(const struct line *l) {
    return strtoull((const char *)l->data + l->stack, NULL, 10); /* ends at the newline */
}

static void put_merged(const struct line *lines, size_t count, struct buffer *out, uint64_t *stacks) {
    *stacks = 0;
    for (size_t i = 0, next; i < count; i = next) {
        uint64_t sum = 0;
        for (next = i; next < count && !compare_lines(&lines[i], &lines[next]); next++)
            sum += line_count(&lines[next]);
        buffer_put(out, lines[i].data, lines[i].stack);
        buffer_printf(out, " %llu\n", (unsigned long long)sum);
        ++*stacks;
    }
}

int folded_sort_lines(struct buffer *b, size_t start, uint64_t *ret_stacks) {
    VEC(struct line) lines = {0};
    struct buffer sorted = {0};
    int r = 0;
    for (const uint8_t *at = b->data + start, *end = b->data + b->length; r == 0 && at < end;) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        struct line *line = vec_push(&lines);
        if (!line)
            r = -ENOMEM;
        else
            *line = (struct line){.data = at, .stack = (size_t)((const uint8_t *)memrchr(at, ' ', (size_t)(newline - at)) - at)};
        at = newline + 1;
    }
    if (r == 0) {
        qsort(lines.items, lines.count, sizeof *lines.items, compare_lines);
        put_merged(lines.items, lines.count, &sorted, ret_stacks);
        b->length = start;
        buffer_put(b, sorted.data, sorted.length);
        r = sorted.failed || b->failed ? -ENOMEM : 0;
    }
    buffer_free(&sorted);
    vec_free(&lines);
    return r;
}
