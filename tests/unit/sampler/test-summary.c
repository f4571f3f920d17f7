/* SPDX-License-Identifier: MIT */
#include "sampler/summary.h"
#include "tests/check.h"

static struct options options;
static struct engine_facts engine;
static struct engine_totals totals;
static struct facts_coverage coverage;
static struct pipeline_counts counts;

static struct summary quiet_run(void) {
    options = (struct options){.hz = 997, .output = "cprof.data"};
    engine = (struct engine_facts){.name = "perf", .event = {.unit = "ns"}, .has_kernel = true, .ring_size = 2 << 20, .cpus = 2};
    totals = (struct engine_totals){.has_exact_cpu = true, .exact_cpu = 2000000000};
    counts = (struct pipeline_counts){.samples = 1990, .weight = 1990000000};
    counts.stacks_by_end[STACK_COMPLETE] = 1990;
    coverage = facts_coverage(&engine, &totals, &(struct rusage){0}, counts.samples, counts.weight);
    return (struct summary){
        .options = &options, .engine = &engine, .totals = &totals, .coverage = &coverage, .counts = &counts, .file_size = 20480};
}

static const char *written(const struct summary *summary) {
    static char text[2048];
    struct buffer b = {0};
    summary_write(summary, &b);
    snprintf(text, sizeof text, "%.*s", (int)b.length, (const char *)b.data);
    buffer_free(&b);
    return text;
}

TEST(nothing_lost_is_one_line) {
    struct summary summary = quiet_run();
    CHECK_STR(written(&summary), "1990 samples, 995 a second of CPU time (997 asked), 20 KiB; look at it with: cprof-report\n");
}

TEST(another_file_is_named) {
    struct summary summary = quiet_run();
    options.output = "x.data";
    counts.samples = 1;
    summary.file_size = 3 << 20;
    CHECK_STR(written(&summary), "1 sample, 995 a second of CPU time (997 asked), 3.0 MiB; look at it with: cprof-report -i x.data\n");
}

TEST(scopes_are_mentioned_with_the_views_that_show_them) {
    struct summary summary = quiet_run();
    counts.scope_places = 7;
    CHECK_STR(written(&summary), "1990 samples, 995 a second of CPU time (997 asked), scopes of 7 places, 20 KiB; look at it with: "
                                 "cprof-report [--scopes | --compare]\n");
    options.hz = 0;
    counts.samples = 0;
    counts.scope_places = 1;
    coverage = (struct facts_coverage){0};
    counts.switches_lost = 2;
    counts.scope_events_lost = 3;
    counts.scopes_refused = 4;
    CHECK_STR(written(&summary), "0 samples, scopes of 1 place, 20 KiB; look at it with: cprof-report --scopes\n"
                                 "not whole: 2 context switches lost, 3 scopes not told one by one, 4 scopes without room\n");
}

TEST(losses_and_remarks_have_a_line_each_and_no_more) {
    struct summary summary = quiet_run();
    counts.lost_samples = 12;
    counts.stacks_by_end[STACK_TRUNCATED] = 3;
    counts.frames_by_class[FRAME_GUESSED] = 4;
    counts.frames_by_class[FRAME_FRAME_POINTER] = 5;
    summary.is_unsymbolised = true;
    engine.remark = "user mode only";
    const char *text = written(&summary);
    const char *second = strchr(text, '\n') + 1;
    CHECK_STR(second, "not whole: 12 samples lost (ring full), 3 stacks truncated, 9 frames without proof, names not looked up\n"
                      "user mode only\n");
}

TEST(coverage_is_measured_against_what_the_event_may_see) {
    struct rusage usage = {.ru_utime = {.tv_sec = 3}, .ru_stime = {.tv_sec = 1}};
    struct engine_facts user_only = {.event = {.unit = "ns"}};
    struct engine_totals four_seconds = {.exact_cpu = 4000000000};
    struct facts_coverage c = facts_coverage(&user_only, &four_seconds, &usage, 2970, 2970000000);
    CHECK_EQ(c.visible, 3000000000);
    CHECK_EQ(c.hz_achieved, 990);
    CHECK(c.coverage > 0.989 && c.coverage < 0.991);
    CHECK(c.visible_error > 40000000 && c.visible_error < 180000000); /* sqrt(.75 * .25 / ticks) of 4 s, at 100 to 1,000 ticks a second */
    usage.ru_stime.tv_sec = 0;
    c = facts_coverage(&user_only, &four_seconds, &usage, 2970, 2970000000);
    usage.ru_stime.tv_sec = 1;
    CHECK(c.visible_error > 0); /* no tick fell into the kernel, which does not mean that no time did */
    struct engine_facts all_seen = {.event = {.unit = "ns"}, .has_kernel = true};
    CHECK_EQ(facts_coverage(&all_seen, &four_seconds, &usage, 2970, 2970000000).visible_error, 0);

    struct engine_facts faults = {.event = {.unit = "events"}, .has_kernel = true};
    c = facts_coverage(&faults, &four_seconds, &usage, 40, 5000);
    CHECK_EQ(c.visible, 4000000000);
    CHECK_EQ(c.sampled, 0); /* faults are no time */
    CHECK_EQ(c.hz_achieved, 10);

    struct engine_totals none = {0};
    c = facts_coverage(&faults, &none, &usage, 0, 0);
    CHECK_EQ(c.hz_achieved, 0);
    CHECK_EQ(c.coverage, 0);
}

TEST_MAIN()
