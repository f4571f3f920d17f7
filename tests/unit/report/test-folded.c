/* SPDX-License-Identifier: MIT */
/* The folded view: its grammar, its order, its sums, whatever the names are. */
#include <errno.h>
#include <regex.h>

#include "base/cleanup.h"
#include "report/folded.h"
#include "tests/unit/report/make.h"

TEST(stacks_are_sorted_and_counted) {
    struct make m = make_start();
    uint32_t a = make_task(&m, "app", 1, 1), b = make_task(&m, "app", 1, 2), c = make_task(&m, "my tool", 3, 3);
    make_samples(&m, a, 2, STACK_COMPLETE, MAKE_STACK("_start", "main", "work"));
    make_samples(&m, c, 1, STACK_COMPLETE, MAKE_STACK("_start", "main"));
    make_samples(&m, b, 3, STACK_COMPLETE, MAKE_STACK("_start", "main", "work"));
    make_samples(&m, a, 1, STACK_COMPLETE, MAKE_STACK("_start", "main", "k!do_syscall"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--folded");
    CHECK_STR(out, "app;_start;main;do_syscall 1\n"
                   "app;_start;main;work 5\n"
                   "my_tool;_start;main 1\n");
}

TEST(lines_are_in_the_order_of_bytes_not_of_frames) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("foo", "bar"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("foo-part-0", "x"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("foo-part-0"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("foo"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("foozle"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--folded");
    CHECK_STR(out, "app;foo 1\napp;foo-part-0 1\napp;foo-part-0;x 1\napp;foo;bar 1\napp;foozle 1\n");
}

TEST(what_is_written_alike_becomes_one_stack) {
    struct make m = make_start();
    uint32_t a = make_task(&m, "a b", 1, 1), b = make_task(&m, "a_b", 2, 2);
    make_samples(&m, a, 1, STACK_COMPLETE, MAKE_STACK("f;g", "x"));
    make_samples(&m, b, 2, STACK_COMPLETE, MAKE_STACK("f:g", "x"));
    make_samples(&m, b, 4, STACK_COMPLETE, MAKE_STACK("/lib/other.so!f:g", "x"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--folded");
    CHECK_STR(out, "a_b;f:g;x 7\n");
}

TEST(unknown_functions_are_named_by_what_is_known) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("main", "/lib/libx.so.1!@"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("main", "?"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("main", "k!@"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--folded");
    CHECK_STR(out, "app;main;[kernel] 1\napp;main;[libx.so.1] 1\napp;main;[unknown] 1\n");
}

static struct recording *incomplete_stacks(void) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_TRUNCATED, MAKE_STACK("work", "..."));
    make_samples(&m, task, 2, STACK_NO_RULE, MAKE_STACK("work"));
    make_samples(&m, task, 4, STACK_KERNEL_ONLY, MAKE_STACK("k!idle"));
    make_samples(&m, task, 8, STACK_DROPPED_INPUT, MAKE_STACK(NULL));
    make_samples(&m, task, 16, STACK_COMPLETE, MAKE_STACK(NULL));
    return make_finish(&m);
}

TEST(stacks_that_miss_their_root_say_why) {
    _cleanup_free_ char *out = REPORT(incomplete_stacks(), "--folded");
    CHECK_STR(out, "app;[no stack from the source] 8\n"
                   "app;[no stack] 16\n"
                   "app;[no unwind rule];work 2\n"
                   "app;[truncated];work;[frames cut] 1\n"
                   "app;idle 4\n");
    _cleanup_free_ char *bare = REPORT(incomplete_stacks(), "--folded", "--no-show-ends");
    CHECK_STR(bare, "app;[no stack] 24\napp;idle 4\napp;work 2\napp;work;[frames cut] 1\n");
}

static struct recording *annotated_stacks(void) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("main", "small\1big", "k!write"));
    return make_finish(&m);
}

TEST(inlined_and_kernel_frames_are_options) {
    _cleanup_free_ char *plain = REPORT(annotated_stacks(), "--folded");
    CHECK_STR(plain, "app;main;big;write 1\n");
    _cleanup_free_ char *full = REPORT(annotated_stacks(), "--folded", "--inlines", "--annotate=k,i");
    CHECK_STR(full, "app;main;big;small_[i];write_[k] 1\n");
}

TEST(weights_replace_counts_on_demand) {
    _cleanup_free_ char *out = REPORT(annotated_stacks(), "--folded", "--weight");
    CHECK_STR(out, "app;main;big;write 1000000\n");
}

static struct recording *tasks_to_filter(void) {
    struct make m = make_start();
    uint32_t a = make_task(&m, "aa", 1, 1), b = make_task(&m, "bb", 2, 3);
    make_samples(&m, a, 1, STACK_COMPLETE, MAKE_STACK("main"));
    make_samples(&m, b, 2, STACK_COMPLETE, MAKE_STACK("main", "/lib/libz.so.1!inflate"));
    make_samples(&m, b, 4, STACK_COMPLETE, MAKE_STACK("/lib/libz.so.1!inflate", "crc"));
    return make_finish(&m);
}

TEST(filters_keep_samples_out) {
    static const struct {
        const char *arguments[4], *wanted;
    } cases[] = {
        {{"--folded", "--comm=aa"}, "aa;main 1\n"},
        {{"--folded", "--pid=2"}, "bb;inflate;crc 4\nbb;main;inflate 2\n"},
        {{"--folded", "--tid=3,9"}, "bb;inflate;crc 4\nbb;main;inflate 2\n"},
        {{"--folded", "--dso=libz.so.1"}, "bb;main;inflate 2\n"}, /* by the innermost frame */
        {{"--folded", "--dso=/lib/libz.so.1", "--pid=1"}, ""},
        {{"--folded", "--event=cycles"}, "error: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *out = make_report(tasks_to_filter(), cases[i].arguments);
        CHECK_STR(out, cases[i].wanted);
    }
}

/* ---- hostile names --------------------------------------------------------------------------------------------------------------- */

/* Holds each line to the grammars of the consumers, each pattern written after its parser. Returns the sum of the counts. */
static unsigned long long checked_sum(char *out) {
    regex_t speedscope, differential;
    if (regcomp(&speedscope, "^.* [0-9]+$", REG_EXTENDED | REG_NOSUB) ||
        regcomp(&differential, "[[:space:]][0-9]+(\\.[0-9]*)?[[:space:]]+[0-9]+(\\.[0-9]*)?$", REG_EXTENDED | REG_NOSUB))
        abort();
    unsigned long long sum = 0;
    const char *previous = "";
    size_t previous_length = 0;
    for (char *line = out; *line;) {
        char *end = strchr(line, '\n');
        size_t length = (size_t)(end - line);
        *end = 0;
        char *count = strrchr(line, ' ');
        bool is_ok = end && length + 1 <= FOLDED_LINE_MAX && count && memchr(line, ';', (size_t)(count - line)) && count[1] != '0' &&
                     line[0] != '#' && !strpbrk(line, "\r\t\x1b\x7f") && !strstr(line, ";;") &&
                     regexec(&speedscope, line, 0, NULL, 0) == 0 && regexec(&differential, line, 0, NULL, 0) == REG_NOMATCH;
        if (!is_ok)
            printf("# bad line: %.200s\n", line);
        size_t stack = (size_t)(count - line);
        int order = memcmp(previous, line, previous_length < stack ? previous_length : stack);
        bool is_sorted = order < 0 || (order == 0 && previous_length < stack);
        if (!is_sorted)
            printf("# not sorted: %.200s\n", line);
        sum += is_ok && is_sorted ? strtoull(count + 1, NULL, 10) : 0;
        previous = line;
        previous_length = stack;
        line = end + 1;
    }
    regfree(&speedscope);
    regfree(&differential);
    return sum;
}

static const char *const hostile[] = {"a;b",         "std::map<int, 3",    "foo 3",     "cr\rlf\n",    "tab\there", "<>&\"'",
                                      "\xff\xfe",    "\x1b[31mred\x1b[0m", " leading",  "trailing ",   " ",         "-",
                                      "--",          "# comment",          "5",         "100.5",       "foo 1.",    "x_[k]",
                                      "foo",         "foo.part.0",         "foo(int)",  "foo-",        "a 1 2",     "\xe2\x80\xa8 9",
                                      "\xc2\xa0 77", "operator<(A,B) 1",   "f\x01\x02", "very; long 2"};

TEST(hostile_names_keep_the_grammar_and_the_sum) {
    struct make m = make_start();
    unsigned long long sum = 0;
    const size_t count = sizeof hostile / sizeof *hostile;
    for (size_t i = 0; i < count; i++) {
        uint32_t task = make_task(&m, hostile[i], (uint32_t)i, (uint32_t)i);
        for (size_t j = 0; j < count; j++) {
            make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK(hostile[j]));
            make_samples(&m, task, 1, STACK_TRUNCATED, MAKE_STACK(hostile[j], hostile[i]));
            make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK(hostile[i], hostile[j], hostile[(i + j) % count]));
            sum += 3;
        }
    }
    struct recording *r = make_finish(&m);
    _cleanup_free_ char *out = REPORT(r, "--folded", "--full-names");
    CHECK_EQ(checked_sum(out), sum);
}

TEST(huge_names_and_deep_stacks_stay_below_64_kib) {
    enum { DEPTH = 3000, NAME = 80000 };
    static char name[NAME + 1], names[DEPTH][40];
    static const char *deep[DEPTH + 2];
    memset(name, 'n', NAME);
    for (int i = 0; i < DEPTH; i++) {
        snprintf(names[i], sizeof names[i], "function_with_a_long_name_%d", i);
        deep[i] = names[i];
    }
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1), big = make_task(&m, name, 2, 2);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK(name, "leaf"));
    make_samples(&m, big, 1, STACK_TRUNCATED, MAKE_STACK(name, name, "x", name, name, name, name));
    make_samples(&m, task, 1, STACK_COMPLETE, deep);
    deep[DEPTH] = "leaf";
    make_samples(&m, task, 2, STACK_COMPLETE, deep);
    struct view_notes notes;
    _cleanup_free_ char *out = make_report_noting(make_finish(&m), MAKE_STACK("--folded"), &notes);
    CHECK(strstr(out, "app;function_with_a_long_name_0;"));
    CHECK(strstr(out, ";[...];"));
    CHECK(strstr(out, ";function_with_a_long_name_2999;leaf 2\n"));
    CHECK_EQ(notes.cut, 3);
    CHECK_EQ(checked_sum(out), 5);
}

struct drained {
    struct buffer text;
    unsigned times;
    int error;
};

static int drain_into(void *context, struct buffer *ready) {
    struct drained *d = context;
    buffer_put(&d->text, ready->data, ready->length);
    buffer_clear(ready);
    d->times++;
    return d->error;
}

/* Some 2,000 stacks, 800 KB of lines. */
static struct recording *many_stacks(void) {
    static char names[200][40];
    const char *deep[12] = {0};
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        snprintf(names[i], sizeof names[i], "function_with_a_rather_long_name_%u", i);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned d = 0; d < ARRAY_SIZE(deep) - 1; d++)
            deep[d] = names[d < 9 ? d : d == 9 ? 10 + i / 100 : 100 + i % 100];
        make_samples(&m, task, 1, STACK_COMPLETE, deep);
    }
    return make_finish(&m);
}

TEST(a_drain_takes_the_same_lines_as_they_get_ready) {
    struct drained d = {0};
    struct folded_drain drain = {drain_into, &d};
    struct view_notes notes;
    _cleanup_free_ char *whole = REPORT(many_stacks(), "--folded");
    _cleanup_free_ char *rest = make_report_drained(many_stacks(), MAKE_STACK("--folded"), &drain, &notes);
    CHECK(d.times > 1);
    buffer_put(&d.text, rest, strlen(rest) + 1);
    CHECK_STR((char *)d.text.data, whole);
    buffer_free(&d.text);
}

TEST(a_drain_that_fails_ends_the_writing) {
    struct drained d = {.error = -ENOSPC};
    struct folded_drain drain = {drain_into, &d};
    struct view_notes notes;
    _cleanup_free_ char *rest = make_report_drained(many_stacks(), MAKE_STACK("--folded"), &drain, &notes);
    CHECK_EQ(d.times, 1);
    CHECK(strstr(rest, strerror(ENOSPC)));
    buffer_free(&d.text);
}

TEST(stacks_that_become_equal_by_the_cut_are_merged) {
    enum { DEPTH = 3000 };
    static char names[DEPTH][40];
    static const char *deep[DEPTH + 1];
    for (int i = 0; i < DEPTH; i++) {
        snprintf(names[i], sizeof names[i], "function_with_a_long_name_%d", i);
        deep[i] = names[i];
    }
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, deep);
    deep[DEPTH / 2] = "other"; /* in the part that is left out */
    make_samples(&m, task, 2, STACK_COMPLETE, deep);
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--folded");
    CHECK(strchr(out, '\n') && !strchr(out, '\n')[1]);
    CHECK_EQ(checked_sum(out), 3);
}

TEST(lines_that_are_cut_do_not_go_into_a_drain) {
    enum { DEPTH = 3000 };
    static char names[DEPTH][40];
    static const char *deep[DEPTH + 1];
    for (int i = 0; i < DEPTH; i++) {
        snprintf(names[i], sizeof names[i], "function_with_a_long_name_%d", i);
        deep[i] = names[i];
    }
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    for (int i = 0; i < 10; i++) { /* 640 KB of lines that are one in the end */
        deep[DEPTH / 2] = names[i];
        make_samples(&m, task, 1, STACK_COMPLETE, deep);
    }
    struct drained d = {0};
    struct folded_drain drain = {drain_into, &d};
    struct view_notes notes;
    _cleanup_free_ char *out = make_report_drained(make_finish(&m), MAKE_STACK("--folded"), &drain, &notes);
    CHECK_EQ(d.times, 0);
    CHECK(strchr(out, '\n') && !strchr(out, '\n')[1]);
    CHECK_EQ(checked_sum(out), 10);
}

TEST_MAIN()
