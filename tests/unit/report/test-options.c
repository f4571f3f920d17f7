/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "report/options.h"
#include "tests/check.h"

static struct report_options options;
static char error[256];

static int parse(const char *const *arguments) {
    const char *argv[32] = {"cprof-report"};
    int argc = 1;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = arguments[argc - 1];
    return options_parse(argc, (char **)argv, &options, error);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

TEST(without_arguments_there_are_defaults) {
    CHECK_EQ(PARSE(NULL), 0);
    CHECK_STR(options.input, "cprof.data");
    CHECK_EQ(options.view, VIEW_TABLE);
    CHECK_EQ(options.keys, KEY_MODULE | KEY_FUNCTION);
    CHECK_EQ(options.order, ORDER_SELF);
    options_free(&options);
}

TEST(lists_are_split_and_add_up) {
    CHECK_EQ(PARSE("--comm", "a,b c", "--comm=d", "--pid", "1,2", "--tid=4294967295", "--dso", "libc.so.6"), 0);
    CHECK_EQ(options.comms.count, 3);
    CHECK_STR(options.comms.items[1], "b c");
    CHECK_STR(options.comms.items[2], "d");
    CHECK_EQ(options.pids.count, 2);
    CHECK_EQ(options.pids.items[1], 2);
    CHECK_EQ(options.tids.items[0], UINT32_MAX);
    CHECK_STR(options.modules.items[0], "libc.so.6");
    options_free(&options);
}

TEST(sort_says_what_a_row_is_and_its_order) {
    CHECK_EQ(PARSE("--sort", "comm,dso,total"), 0);
    CHECK_EQ(options.keys, KEY_COMM | KEY_MODULE);
    CHECK_EQ(options.order, ORDER_TOTAL);
    options_free(&options);
    CHECK_EQ(PARSE("-s", "samples,self"), 0);
    CHECK_EQ(options.keys, KEY_MODULE | KEY_FUNCTION);
    CHECK_EQ(options.order, ORDER_SAMPLES);
    options_free(&options);
}

TEST(nonsense_is_refused_and_quoted) {
    static const struct {
        const char *arguments[3], *quotes;
    } cases[] = {
        {{"--pid", "abc"}, "'abc'"},
        {{"--pid", "-1"}, "'-1'"},
        {{"--tid", "4294967296"}, "42949672"},
        {{"--sort", "colour"}, "'colour'"},
        {{"--percent-limit", "x"}, "'x'"},
        {{"--percent-limit", "nan"}, "'nan'"},
        {{"--percent-limit", "101"}, "'101'"},
        {{"--percentage", "x"}, "'x'"},
        {{"--annotate", "k,z"}, "'z'"},
        {{"-i", "-"}, "standard input"},
        {{"file.data"}, "'file.data'"},
        {{"--nonsense"}, "--nonsense"},
        {{"-i"}, "missing"},
        {{"-x"}, "-x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQ(parse(cases[i].arguments), -EINVAL);
        if (!strstr(error, cases[i].quotes))
            CHECK_FAIL("\"%s\" does not quote %s", error, cases[i].quotes);
    }
}

TEST(help_wins_over_what_follows) {
    CHECK_EQ(PARSE("--help", "--nonsense"), 0);
    CHECK_EQ(options.view, VIEW_HELP);
    options_free(&options);
}

TEST_MAIN()
