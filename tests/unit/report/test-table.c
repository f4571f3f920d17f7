/* SPDX-License-Identifier: MIT */
/* The table and its header, as people see them. */
#include "base/cleanup.h"
#include "tests/unit/report/make.h"

static struct recording *typical(void) {
    struct make m = make_start();
    uint32_t a = make_task(&m, "app", 10, 10), b = make_task(&m, "worker", 10, 11);
    make_samples(&m, a, 1, STACK_COMPLETE, MAKE_STACK("_start", "main"));
    make_samples(&m, a, 2, STACK_COMPLETE, MAKE_STACK("_start", "main", "fib", "fib", "fib")); /* recursion */
    make_samples(&m, b, 5, STACK_COMPLETE, MAKE_STACK("_start", "/lib/libz.so.1!inflate(int)"));
    return make_finish(&m);
}

TEST(rows_have_self_and_total_and_recursion_counts_once) {
    _cleanup_free_ char *out = REPORT(typical(), "--no-header");
    CHECK_STR(out, "  62.50%   62.50%        5  libz.so.1  inflate\n"
                   "  25.00%   25.00%        2  app        fib\n"
                   "  12.50%   37.50%        1  app        main\n"
                   "   0.00%  100.00%        0  app        _start\n");
}

TEST(rows_are_what_sort_says) {
    _cleanup_free_ char *out = REPORT(typical(), "--no-header", "--sort=comm,tid,total");
    CHECK_STR(out, "  62.50%   62.50%        5  worker  11\n"
                   "  37.50%   37.50%        3  app     10\n");
    _cleanup_free_ char *modules = REPORT(typical(), "--no-header", "--sort=module");
    CHECK_STR(modules, "  62.50%   62.50%        5  libz.so.1\n"
                       "  37.50%  100.00%        3  app\n");
    _cleanup_free_ char *total = REPORT(typical(), "--no-header", "--sort=total,function", "--percent-limit=30");
    CHECK_STR(total, "   0.00%  100.00%        0  _start\n"
                     "  62.50%   62.50%        5  inflate\n"
                     "  12.50%   37.50%        1  main\n");
    _cleanup_free_ char *lines = REPORT(typical(), "--no-header", "--sort=line", "--full-names");
    CHECK_STR(lines, " 100.00%  100.00%        8  a.c:7\n");
}

TEST(percentages_are_of_everything_or_of_what_passes) {
    _cleanup_free_ char *absolute = REPORT(typical(), "--no-header", "--comm=app", "--sort=comm");
    CHECK_STR(absolute, "  37.50%   37.50%        3  app\n");
    _cleanup_free_ char *relative = REPORT(typical(), "--no-header", "--comm=app", "--sort=comm", "--percentage=relative");
    CHECK_STR(relative, " 100.00%  100.00%        3  app\n");
}

TEST(a_frame_and_its_inlined_functions_count_once_each) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("main", "small\1big", "small\1big"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--no-header", "--inlines", "--sort=function");
    CHECK_STR(out, " 100.00%  100.00%        1  small\n"
                   "   0.00%  100.00%        0  big\n"
                   "   0.00%  100.00%        0  main\n");
}

TEST(hostile_names_do_not_reach_the_terminal) {
    struct make m = make_start();
    recording_set(m.writer, "command", "evil \x1b]0;title\a");
    recording_set_counter(m.writer, "ring\nfull", 3);
    uint32_t task = make_task(&m, "co\x1b[2Jmm", 1, 1);
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK("/tmp/\x1b[31m.so!f\x9bq\n"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--sort=comm,module,function");
    for (const char *c = out; *c; c++)
        CHECK(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
    CHECK(strstr(out, "co\\x1b[2Jmm"));
    CHECK(strstr(out, "\\x1b[31m.so"));
    CHECK(strstr(out, "f\\x9bq\\x0a"));
    CHECK(strstr(out, "ring\\x0afull"));
}

TEST(long_names_leave_the_other_columns_alone) {
    static char name[1001];
    memset(name, 'x', 1000);
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 2, STACK_COMPLETE, MAKE_STACK("main"));
    make_samples(&m, task, 1, STACK_COMPLETE, MAKE_STACK(name));
    struct recording *r = make_finish(&m);
    struct report_options options;
    char error[256];
    CHECK_EQ(options_parse(2, (char **)MAKE_STACK("cprof-report", "--no-header"), &options, error), 0);
    struct buffer piped = {0}, terminal = {0};
    struct view_notes notes;
    CHECK_EQ(view_write(r, &options, 0, &piped, NULL, &notes), 0);
    CHECK(memmem(piped.data, piped.length, name, 1000));
    CHECK_EQ(view_write(r, &options, 60, &terminal, NULL, &notes), 0);
    buffer_put_u8(&terminal, 0);
    CHECK_STR((char *)terminal.data, "  66.67%   66.67%        2  app  main\n"
                                     "  33.33%   33.33%        1  app  xxxxxxxxxxxxxxxxxxxxxxxx...\n");
    options_free(&options);
    recording_free(r);
    buffer_free(&piped);
    buffer_free(&terminal);
}

static struct recording *eventful(bool left_open) {
    struct make m = make_start();
    m.left_open = left_open;
    recording_set(m.writer, "command", "./app --fast");
    recording_set(m.writer, "hostname", "box");
    recording_set(m.writer, "hz asked", "997");
    recording_add_clock_pair(m.writer, 1000000000, 1700000001000000000, 0);
    uint32_t a = make_task(&m, "app", 10, 10);
    make_samples(&m, a, 96, STACK_COMPLETE, MAKE_STACK("_start", "main"));
    make_samples(&m, a, 1, STACK_TRUNCATED, MAKE_STACK("main"));
    for (uint32_t i = 0; i < 3; i++) { /* threads 1..3: never sampled */
        make_task(&m, "true", 20 + i, 20 + i);
        recording_end_thread(m.writer, &(struct recording_thread_end){i + 1, true, true, m.now, 500000});
    }
    recording_end_thread(m.writer, &(struct recording_thread_end){0, true, true, m.now, 98500000});
    recording_set_counter(m.writer, "ring full", 7);
    recording_set_counter(m.writer, "malformed", 0);
    return make_finish(&m);
}

TEST(the_header_tells_what_was_recorded_and_what_was_lost) {
    _cleanup_free_ char *out = REPORT(eventful(false), "--comm=app,true");
    CHECK_STR(out, "# command: ./app --fast\n"
                   "# host: box\n"
                   "# duration: 0.097 s, from 2023-11-14 22:13:21 +0000\n"
                   "# event: cpu-clock, one sample every 1000000 ns of on-CPU time (test)\n"
                   "# samples: 97, of which 97 (100.00 %) pass the filters; rate: 997 Hz asked, 970.0 Hz of CPU time achieved\n"
                   "# threads: 4 in 4 processes\n"
                   "# coverage: 97.00 %: 0.097 s sampled of 0.100 s exact CPU time\n"
                   "# stacks: 98.97 % complete, 98.97 % complete without any guess; 1.03 % truncated (1)\n"
                   "# lost or bent: ring full 7\n"
                   "#\n"
                   "#  Self    Total   Samples  Module  Function\n"
                   " 100.00%  100.00%       97  app     main\n"
                   "   0.00%   98.97%        0  app     _start\n"
                   "       -        -        0  true: too short to sample: 3 tasks, 0.002 s\n");
}

TEST(a_killed_recorder_is_said_so) {
    _cleanup_free_ char *out = REPORT(eventful(true), "--comm=app");
    CHECK(strstr(out, "# incomplete: the recorder was still running or died"));
    CHECK(strstr(out, " 100.00%  100.00%       97  app     main\n"));
    CHECK(!strstr(out, "too short"));
}

TEST(frames_without_a_name_are_counted_as_often_as_they_were_sampled) {
    struct make m = make_start();
    uint32_t task = make_task(&m, "app", 1, 1);
    make_samples(&m, task, 3, STACK_COMPLETE, MAKE_STACK("main", "/lib/libx.so!@"));
    make_samples(&m, task, 1, STACK_TRUNCATED, MAKE_STACK("main", "...", "?"));
    _cleanup_free_ char *out = REPORT(make_finish(&m), "--percent-limit=0");
    CHECK(strstr(out, "# names: 44.44 % of all frames are in code without a function name (4 of 9)\n"));
    CHECK(strstr(out, "# deep stacks: 1 with frames cut from their middle"));
    CHECK(strstr(out, "  75.00%   75.00%        3  libx.so    [unknown]\n"));
    CHECK(strstr(out, "  25.00%   25.00%        1  [unknown]  [unknown]\n"));
}

TEST(an_empty_recording_has_a_header_and_no_rows) {
    struct make m = make_start();
    struct view_notes notes;
    _cleanup_free_ char *out = make_report_noting(make_finish(&m), MAKE_STACK("-s", "comm,self"), &notes);
    CHECK(strstr(out, "# samples: 0\n"));
    CHECK(notes.is_empty && !notes.is_filtered);
}

TEST_MAIN()
