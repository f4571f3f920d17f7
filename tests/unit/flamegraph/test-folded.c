/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>

#include "flamegraph/graph.h"
#include "tests/check.h"

static struct flamegraph *graph;
static char shown[4096];

/* snprintf at the end of the text, within its size. */
static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

static const char *name_of(uint32_t node) {
    uint32_t name = graph->nodes.items[node].name;
    return name == GRAPH_NAME_GAP ? "~" : strings_get(&graph->names, name);
}

static int compare_names(const void *left, const void *right) {
    return strcmp(name_of(*(const uint32_t *)left), name_of(*(const uint32_t *)right));
}

static void show_node(uint32_t node) {
    append(shown, sizeof shown, "%s%g", node ? name_of(node) : "", graph->nodes.items[node].self);
    if (graph->differential)
        append(shown, sizeof shown, "%+g", graph->delta.items[node]);
    uint32_t children[600];
    size_t count = 0;
    for (uint32_t child = graph->nodes.items[node].first; child != GRAPH_NONE; child = graph->nodes.items[child].next)
        children[count++] = child;
    if (!(graph->flags & FLAMEGRAPH_CHART))
        qsort(children, count, sizeof *children, compare_names);
    for (size_t i = 0; i < count; i++) {
        append(shown, sizeof shown, i ? " " : "(");
        show_node(children[i]);
    }
    if (count)
        append(shown, sizeof shown, ")");
}

/* The tree of the text, children by name, or newest first in a chart: "self(name self(...) ...)". */
static const char *tree(unsigned flags, const char *text, size_t length) {
    flamegraph_free(graph);
    graph = NULL;
    *shown = '\0';
    if (flamegraph_new(flags, &graph) == 0 && flamegraph_push_folded(graph, text, length) == 0)
        show_node(0);
    return shown;
}

#define TREE(text) tree(0, text, sizeof(text) - 1)

TEST(weights_whose_sum_could_be_infinite_are_no_weights) {
    char text[1024], nines[309];
    memset(nines, '9', sizeof nines - 1);
    nines[sizeof nines - 1] = '\0';
    snprintf(text, sizeof text, "a %s\nb %s\nc 1000000000000000000000000\n", nines, nines);
    CHECK_STR(tree(0, text, strlen(text)), "0(c1e+24)");
    CHECK_EQ(flamegraph_count(graph).ignored, 2);
}

TEST(merges_by_frame_not_by_text) {
    CHECK_STR(TREE("main;foo 100\nmain;foo.part.0 50\nmain;foo;bar 70\nmain;foo(int) 1\nmain;foo 2\n"),
              "0(main0(foo102(bar70) foo(int)1 foo.part.050))");
    CHECK_EQ(graph->nodes.count, 6);
}

TEST(resumes_where_lines_part) {
    CHECK_STR(TREE("a;b;c 1\na;b;cd 2\na;b 4\na;bc 8\na;b;c;d 16\nab 32\na 64\n"), "0(a64(b4(c1(d16) cd2) bc8) ab32)");
}

TEST(order_of_lines_does_not_matter) {
    CHECK_STR(TREE("b 1\na;x 1\nb 1\na;x 1\n"), "0(a0(x2) b2)");
}

TEST(grammar_of_weights) {
    CHECK_STR(TREE("a 0\nb\t3\nc  4\nd 5.5\ne 6.\nf 7 \n g 8\nh8\ni -9\nj 1e3\nk .5\nl 1.2.3\nm 10\r\nn 12"),
              "0( g8 a0 b3 c 4 d5.5 e6 m10 n12)");
    CHECK_EQ(graph->ignored, 6);
    CHECK_EQ(graph->stacks, 8);
    CHECK(graph->fractional);
}

TEST(lines_without_a_stack) {
    CHECK_STR(TREE("\n\n5\n 6\n;;; 7\n"), "13");
    CHECK_EQ(graph->ignored, 3);
}

TEST(empty_fields) {
    CHECK_STR(TREE("a;;b 1\n;c 2\na;b;; 3\n"), "0(0(c2) a0(0(b1) b3))");
    CHECK_STR(TREE(";c 2\n; 3\n;c 4\n"), "3(0(c6))");
}

TEST(two_weights_are_a_difference) {
    CHECK_STR(TREE("a;b 5 8\na;c 7 3\nd 2\n"), "0+0(a0+0(b8+3 c3-4) d2+0)");
    CHECK_EQ(graph->total, 13);
    CHECK_EQ(graph->total_before, 14);
}

TEST(huge_weights_do_not_wrap) {
    CHECK_STR(TREE("a 18446744073709551615\na 18446744073709551615\n"), "0(a3.68935e+19)");
    char digits[1002];
    memset(digits, '9', sizeof digits);
    memcpy(digits, "a ", 2);
    CHECK_STR(tree(0, digits, sizeof digits), "0"); /* no double holds it */
    CHECK_EQ(graph->ignored, 1);
}

TEST(reversed_stacks_start_at_the_leaf) {
    CHECK_STR(tree(FLAMEGRAPH_REVERSE, "a;b;c 1\nx;c 2\nc 4\n", 18), "0(c4(b0(a1) x2))");
}

TEST(chart_keeps_the_order_of_time) {
    const char *text = "a;b 1\na;b 1\na 5\na;b 2\nc 1\na 1\n";
    CHECK_STR(tree(FLAMEGRAPH_CHART, text, strlen(text)), "0(a0(~1) c0(~1) a0(b0(~2) ~5 b0(~2)))");
}

TEST(wide_nodes_still_find_their_children) {
    char text[20000] = "";
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++)
            append(text, sizeof text, "root;f%d 1\n", i);
    }
    TREE("");
    CHECK_EQ(flamegraph_push_folded(graph, text, strlen(text)), 0);
    CHECK_EQ(graph->nodes.count, 502);
    for (uint32_t node = graph->nodes.items[1].first; node != GRAPH_NONE; node = graph->nodes.items[node].next)
        CHECK_EQ(graph->nodes.items[node].self, 2);
}

TEST(pieces_make_the_same_tree) {
    const char *text = "a;b;c 1\na;b;d 2\na;e 3\n";
    CHECK_STR(TREE(""), "0");
    CHECK_EQ(flamegraph_push_folded(graph, text, 8), 0);
    CHECK_EQ(flamegraph_push_folded(graph, text + 8, 14), 0);
    show_node(0);
    CHECK_STR(shown, "00(a0(b0(c1 d2) e3))");
}

TEST(pushed_frames_and_folded_text_meet) {
    const struct flamegraph_frame frames[] = {{.name = "a", .length = 1},
                                              {.name = "b", .length = 1, .kind = FLAMEGRAPH_KIND_KERNEL, .module = "vmlinux"}};
    CHECK_STR(TREE("a;b 1\n"), "0(a0(b1))");
    CHECK_EQ(flamegraph_push(graph, frames, 2, 4), 0);
    CHECK_EQ(flamegraph_push(graph, frames, 2, -1), -EINVAL);
    CHECK_EQ(flamegraph_push(graph, frames, 0, 3), 0);
    *shown = '\0';
    show_node(0);
    CHECK_STR(shown, "3(a0(b5))");
    CHECK_EQ(flamegraph_push_difference(graph, frames, 1, 10, 4), 0);
    *shown = '\0';
    show_node(0);
    CHECK_STR(shown, "3+0(a4-6(b5+0))");
    flamegraph_free(graph);
    graph = NULL;
}

TEST_MAIN()
