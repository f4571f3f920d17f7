/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>

#include "flamegraph/layout.h"
#include "tests/check.h"

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

/* The walk over the text's tree: "depth:name@x+total ...". */
static const char *walked(const char *text, const struct flamegraph_options *options, double least) {
    struct flamegraph *graph = NULL;
    struct layout layout = {0};
    struct layout_walk walk = {0};
    *shown = '\0';
    if (flamegraph_new(0, &graph) == 0 && flamegraph_push_folded(graph, text, strlen(text)) == 0 &&
        layout_make(graph, options, &layout) == 0) {
        for (int r = layout_first(&walk, &layout, least < 0 ? layout.min_kept : least); r > 0; r = layout_next(&walk))
            append(shown, sizeof shown, "%u:%s@%g+%g ", walk.depth, strings_get(&graph->names, layout.nodes[walk.node].name), walk.x,
                   layout.nodes[walk.node].total);
    }
    layout_end(&walk);
    layout_free(&layout);
    flamegraph_free(graph);
    return shown;
}

TEST(children_by_name_behind_self) {
    struct flamegraph_options options = flamegraph_defaults();
    CHECK_STR(walked("m;b;x 3\nm;a 1\nm 5\nm;b 2\n", &options, 0), "0:all@0+11 1:m@0+11 2:a@5+1 2:b@6+5 3:x@8+3 ");
}

TEST(narrow_subtrees_are_stepped_over) {
    struct flamegraph_options options = flamegraph_defaults();
    CHECK_STR(walked("a;x 1\nb;x 10\nc;x;y 1\nd 5\n", &options, 2), "0:all@0+17 1:b@1+10 2:x@1+10 1:d@12+5 ");
}

TEST(byte_order_of_names) {
    struct flamegraph_options options = flamegraph_defaults();
    CHECK_STR(walked("foo.part.0 1\nfoo 1\nfoo(int) 1\n\xc3\xa9 1\nlongname1 1\nlongname10 1\nlongname 1\n", &options, 0),
              "0:all@0+7 1:foo@0+1 1:foo(int)@1+1 1:foo.part.0@2+1 1:longname@3+1 1:longname1@4+1 1:longname10@5+1 1:\xc3\xa9@6+1 ");
}

TEST(many_children_are_sorted) {
    struct flamegraph_options options = flamegraph_defaults();
    char text[4096] = "", wanted[4096] = "0:all@0+100 ";
    for (int i = 0; i < 100; i++)
        append(text, sizeof text, "f%02d 1\n", i * 37 % 100);
    for (int i = 0; i < 100; i++)
        append(wanted, sizeof wanted, "1:f%02d@%d+1 ", i, i);
    CHECK_STR(walked(text, &options, 0), wanted);
}

TEST(limit_drops_the_narrowest) {
    struct flamegraph_options options = flamegraph_defaults();
    options.min_width = 100;
    options.max_nodes = 4;
    CHECK_STR(walked("a 100\nb 1\nc 2\nd 1\ne 3\n", &options, -1), "0:all@0+107 1:a@0+100 1:c@101+2 1:e@104+3 ");
    CHECK_STR(walked("a 100\nb 1\nc 1\nd 1\ne 3\n", &options, -1), "0:all@0+106 1:a@0+100 1:e@103+3 ");
    options.min_width = 0.001; /* what shows is never dropped */
    CHECK_STR(walked("a 2\nb 1\nc 1\nd 1\ne 1\n", &options, -1), "0:all@0+6 1:a@0+2 1:b@2+1 1:c@3+1 1:d@4+1 1:e@5+1 ");
}

TEST(nothing_to_draw) {
    struct flamegraph_options options = flamegraph_defaults();
    struct flamegraph *graph = NULL;
    struct layout layout = {0};
    CHECK_EQ(flamegraph_new(0, &graph), 0);
    CHECK_EQ(flamegraph_push_folded(graph, "a 0\n", 4), 0);
    CHECK_EQ(layout_make(graph, &options, &layout), -ENODATA);
    flamegraph_free(graph);
}

TEST_MAIN()
