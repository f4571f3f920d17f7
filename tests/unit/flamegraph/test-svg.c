/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/buffer.h"
#include "flamegraph/flamegraph.h"
#include "tests/check.h"

static int collect(void *context, const void *data, size_t length) {
    struct buffer *buffer = context;
    buffer_put(buffer, data, length);
    return buffer->failed ? -ENOMEM : 0;
}

/* The SVG of the text, to be freed; NULL and the error in *ret. */
static char *draw(const char *text, const struct flamegraph_options *options, struct flamegraph_drawn *drawn, int *ret) {
    struct flamegraph *graph = NULL;
    struct buffer buffer = {0};
    *ret = flamegraph_new(0, &graph);
    if (*ret == 0)
        *ret = flamegraph_push_folded(graph, text, strlen(text));
    if (*ret == 0)
        *ret = flamegraph_render(graph, options, collect, &buffer, drawn);
    flamegraph_free(graph);
    buffer_put_u8(&buffer, 0);
    if (*ret < 0) {
        buffer_free(&buffer);
        return NULL;
    }
    return (char *)buffer.data;
}

static size_t occurrences(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

TEST(frames_and_titles) {
    struct flamegraph_options options = flamegraph_defaults();
    struct flamegraph_drawn drawn;
    int r;
    char *svg = draw("main;foo 100\nmain;foo.part.0 50\nmain;foo;bar 1070\n", &options, &drawn, &r);
    CHECK_EQ(r, 0);
    CHECK_EQ(drawn.frames, 5);
    CHECK_EQ(drawn.pruned, 0);
    CHECK_EQ(occurrences(svg, "<g><title>"), 5);
    CHECK(strstr(svg, "<title>all (1,220 samples, 100%)</title>"));
    CHECK(strstr(svg, "<title>foo (1,170 samples, 95.90%)</title>"));
    CHECK(strstr(svg, "<title>foo.part.0 (50 samples, 4.10%)</title>"));
    CHECK(strstr(svg, "<rect x=\"10\" y=\"92\" width=\"1180\" height=\"15\""));
    free(svg);
}

TEST(hostile_names_stay_text) {
    struct flamegraph_options options = flamegraph_defaults();
    options.title = "<script>alert(1)</script>";
    options.notes = "a -- b --> c";
    options.count_name = "\"<b>\"";
    int r;
    char *svg = draw("</title><script>x;\"&';]]>;\x01\xff 10\n", &options, NULL, &r);
    CHECK_EQ(r, 0);
    CHECK_EQ(occurrences(svg, "<script"), 1);
    CHECK_EQ(occurrences(svg, "</script"), 1);
    CHECK(!strstr(svg, "\x01"));
    CHECK(!strstr(svg, "b -->"));
    CHECK(!strstr(svg, "\"<b>"));
    CHECK(strstr(svg, "]]&gt;"));
    free(svg);
}

TEST(equal_input_gives_equal_bytes) {
    struct flamegraph_options options = flamegraph_defaults();
    int r;
    char *one = draw("a;b 3\na;c 4\nd 1\n", &options, NULL, &r), *two = draw("d 1\na;c 4\na;b 1\na;b 2\n", &options, NULL, &r);
    CHECK_STR(one, two);
    free(one);
    free(two);
}

TEST(narrow_frames_are_not_drawn_and_that_is_said) {
    struct flamegraph_options options = flamegraph_defaults();
    struct flamegraph_drawn drawn;
    int r;
    char *svg = draw("wide 1000000\nnarrow;leaf 1\n", &options, &drawn, &r);
    CHECK_EQ(r, 0);
    CHECK_EQ(drawn.frames, 2);
    CHECK_EQ(drawn.kept, 4);
    CHECK(!strstr(svg, "<title>narrow"));
    CHECK(strstr(svg, "2 frames are too narrow to show at this scale"));
    free(svg);
    options.min_width = 0;
    svg = draw("wide 1000000\nnarrow;leaf 1\n", &options, &drawn, &r);
    CHECK_EQ(drawn.frames, 4);
    CHECK(strstr(svg, "<title>leaf (1 samples, 0.00%)"));
    free(svg);
}

TEST(difference_in_titles) {
    struct flamegraph_options options = flamegraph_defaults();
    int r;
    char *svg = draw("a 10 60\nb 60 20\nc 20 20\n", &options, NULL, &r);
    CHECK_EQ(r, 0);
    CHECK(strstr(svg, "a (60 samples, 60.00%; +50.00%)"));
    CHECK(strstr(svg, "b (20 samples, 20.00%; -40.00%)"));
    CHECK(strstr(svg, "c (20 samples, 20.00%; 0.00%)"));
    CHECK(strstr(svg, ">a +50.00%</text>"));
    CHECK(strstr(svg, ">c</text>"));
    CHECK(strstr(svg, "Red grew, blue shrank; 90 before, 100 after</text>"));
    free(svg);
    svg = draw("a 10 60\ngone;b 30 0\n", &options, NULL, &r);
    CHECK(strstr(svg, "40 before, 60 after; 75.00% of before is gone</text>"));
    free(svg);
}

TEST(labels_end_in_an_ellipsis) {
    struct flamegraph_options options = flamegraph_defaults();
    options.width = 50 + 20 + 6;
    int r;
    char *svg = draw("abcdefghijkl_[k] 1\n", &options, NULL, &r);
    CHECK_EQ(r, 0);
    CHECK(strstr(svg, ">abcde\xe2\x80\xa6</text>"));
    free(svg);
}

TEST(icicle_puts_the_root_on_top) {
    struct flamegraph_options options = flamegraph_defaults();
    options.icicle = true;
    int r;
    char *svg = draw("a;b 1\n", &options, NULL, &r);
    CHECK(strstr(svg, "<title>all (1 samples, 100%)</title><rect x=\"10\" y=\"44\""));
    CHECK(strstr(svg, "<title>b (1 samples, 100.00%)</title><rect x=\"10\" y=\"76\""));
    free(svg);
}

TEST(styles) {
    const struct flamegraph_name_style style = {
        .name = "a", .has_color = true, .color = 0x123456, .title = "T<", .href = "x?a&b", .class = "k"};
    struct flamegraph_options options = flamegraph_defaults();
    options.styles = &style;
    options.styles_count = 1;
    int r;
    char *svg = draw("a 1\n", &options, NULL, &r);
    CHECK(strstr(svg, "<g class=\"k\"><a target=\"_top\" href=\"x?a&amp;b\"><title>T&lt;</title><rect"));
    CHECK(strstr(svg, "fill=\"#123456\"/>"));
    free(svg);
}

TEST(what_cannot_be_drawn) {
    struct flamegraph_options options = flamegraph_defaults();
    int r;
    CHECK(!draw("", &options, NULL, &r));
    CHECK_EQ(r, -ENODATA);
    options.width = -1;
    CHECK(!draw("a 1\n", &options, NULL, &r));
    CHECK_EQ(r, -EINVAL);
    struct buffer buffer = {0};
    options.width = 1200;
    CHECK_EQ(flamegraph_render_error(&options, "ERROR: <none>", collect, &buffer), 0);
    buffer_put_u8(&buffer, 0);
    CHECK(strstr((char *)buffer.data, "ERROR: &lt;none&gt;</text>\n</svg>"));
    buffer_free(&buffer);
}

TEST_MAIN()
