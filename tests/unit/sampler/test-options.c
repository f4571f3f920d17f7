/* SPDX-License-Identifier: MIT */
#include "sampler/options.h"
#include "tests/check.h"

enum { ARGUMENTS_MAX = 16 };

/* A command line split at blanks. */
static enum options_result parse(const char *line, struct options *ret) {
    static char text[256];
    static char *argv[ARGUMENTS_MAX];
    snprintf(text, sizeof text, "%s", line);
    int argc = 0;
    char *rest;
    for (char *word = strtok_r(text, " ", &rest); word && argc < ARGUMENTS_MAX - 1; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, ret);
}

TEST(defaults) {
    struct options options;
    CHECK_EQ(parse("cprof-record ls -l", &options), OPTIONS_RUN);
    CHECK_EQ(options.hz, 997);
    CHECK_STR(options.output, "cprof.data");
    CHECK_STR(options.event, "cpu-clock");
    CHECK_EQ(options.stack_size, 0);
    CHECK(options.inherit && !options.wait_all && !options.quiet && !options.verbose);
    CHECK_STR(options.command[0], "ls");
    CHECK_STR(options.command[1], "-l"); /* the command's options are its own */
    CHECK(!options.command[2]);
}

TEST(all_options) {
    struct options options;
    CHECK_EQ(parse("cprof-record -F 49 -o x -e cycles --stack-size 65528 --no-inherit --wait-all -q -v -- -odd", &options), OPTIONS_RUN);
    CHECK_EQ(options.hz, 49);
    CHECK_STR(options.output, "x");
    CHECK_STR(options.event, "cycles");
    CHECK_EQ(options.stack_size, 65528);
    CHECK(!options.inherit && options.wait_all && options.quiet && options.verbose);
    CHECK_STR(options.command[0], "-odd");
    CHECK_EQ(parse("cprof-record -F 0 ls", &options), OPTIONS_RUN); /* scopes alone */
    CHECK_EQ(options.hz, 0);
}

TEST(engines) {
    struct options options;
    CHECK_EQ(parse("cprof-record ls", &options), OPTIONS_RUN);
    CHECK_EQ(options.engine, ENGINE_AUTO);
    CHECK_EQ(parse("cprof-record --engine signal ls", &options), OPTIONS_RUN);
    CHECK_EQ(options.engine, ENGINE_SIGNAL);
    CHECK_EQ(parse("cprof-record --engine perf ls", &options), OPTIONS_RUN);
    CHECK_EQ(options.engine, ENGINE_PERF);
}

TEST(what_is_refused) {
    static const char *const lines[] = {
        "cprof-record",
        "cprof-record --",
        "cprof-record -F 100001 ls",
        "cprof-record -F 99x ls",
        "cprof-record -F -5 ls",
        "cprof-record --stack-size 0 ls",
        "cprof-record --stack-size 1001 ls",
        "cprof-record --stack-size 65536 ls",
        "cprof-record -e no-such-event ls",
        "cprof-record --no-such-option ls",
        "cprof-record --engine magic ls",
        "cprof-record --signal-clock sun ls",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct options options;
        if (parse(lines[i], &options) != OPTIONS_BAD)
            CHECK_FAIL("\"%s\" was taken", lines[i]);
    }
}

TEST_MAIN()
