/* SPDX-License-Identifier: MIT */
/* The views of scopes, from made recordings: figures, verdicts, filters, and frames that other views must not see. */
#include "base/cleanup.h"
#include "report/scope-rows.h"
#include "tests/unit/report/make.h"

enum { CALLS = 1000, EACH = 4500000, N = 4500, STILL = 7000000 }; /* 4.5 ms each: 4.5 samples, f = 1/2 */

static uint32_t make_scope_node(struct make *m, uint32_t parent, uint32_t site) {
    struct recording_frame frame = {.kind = FRAME_SCOPE, .module = RECORDING_NONE, .address = site};
    uint32_t id = recording_add_frame(m->writer, &frame);
    return recording_add_node(m->writer, &(struct recording_node){parent, id});
}

struct scene {
    unsigned samples;
    uint64_t off_cpu, each;
    const char *switches;
    unsigned lost;       /* samples, of those outside */
    const char *missing; /* a counter that is 300 */
    bool waits;          /* another scope is off a CPU as often as this one is entered */
    unsigned late;       /* samples that the machine left out at once, before the last one */
    enum { INDEPENDENT, NOT_TOLD, IN_STEP, NEARLY_IN_STEP, STOOD_STILL } phases;
    const char *overhead; /* of begin and end, ns */
};

/* An instance whose first sample was taken at that moment. */
static void add_instance(struct make *m, const struct scene *s, uint32_t site, unsigned number) {
    double span = s->each < MAKE_PERIOD ? (double)s->each : MAKE_PERIOD, turns = 0.618034 * number;
    if (s->phases == IN_STEP || s->phases == NEARLY_IN_STEP)
        turns = s->phases == IN_STEP ? 0.3 : number / 300.0;
    uint64_t begin = m->now - (uint64_t)((turns - (unsigned)turns) * span), end = begin + s->each;
    if (s->phases == STOOD_STILL && number % 100 == 0)
        begin -= STILL;
    if (s->phases != NOT_TOLD)
        recording_add_instance(m->writer, &(struct recording_instance){.site = site, .begin = begin, .end = end});
}

static void add_waiting(struct make *m) {
    uint32_t site = recording_add_site(m->writer, &(struct recording_site){"wait", "f", "a.c", 9, SITE_SCOPE});
    recording_add_scope(m->writer, &(struct recording_scope){.site = site,
                                                             .count = CALLS,
                                                             .primitive = CALLS,
                                                             .total = CALLS * 1000,
                                                             .self = CALLS * 1000,
                                                             .sum = CALLS * 1000,
                                                             .min = 1000,
                                                             .max = 1000,
                                                             .off_cpu = CALLS * 1000});
}

/* One thread that runs "work" CALLS times, with samples in it and 500 outside. */
static struct recording *scene(const struct scene *s) {
    struct make m = make_start();
    recording_set(m.writer, "scope clock", "ns");
    recording_set(m.writer, "scope off-cpu", s->switches ? s->switches : "yes");
    recording_set(m.writer, "scope event ns", "5000");
    if (s->overhead)
        recording_set(m.writer, "scope overhead ns", s->overhead);
    uint32_t task = make_task(&m, "app", 10, 10),
             site = recording_add_site(m.writer, &(struct recording_site){"work\x1b[1m", "f", "a.c", 3, SITE_SCOPE});
    uint32_t main = recording_add_node(m.writer, &(struct recording_node){STACK_COMPLETE, make_frame(&m, "main")});
    uint32_t scope = make_scope_node(&m, main, site);
    for (unsigned i = 0; i < 500 + s->samples; i++) {
        uint64_t weight = MAKE_PERIOD * (i + 1 == 500 + s->samples && s->late ? s->late + 3 : 1);
        if (s->phases == STOOD_STILL && i >= 500 && i % 100 == 0)
            m.now += STILL;
        recording_add_sample(m.writer, &(struct recording_sample){
                                           .time = m.now += weight, .task = task, .node = i < 500 ? main : scope, .weight = {weight}});
        if (i >= 500 && i % 5 == 0)
            add_instance(&m, s, site, i);
    }
    uint64_t total = s->each * CALLS;
    struct recording_bucket bucket = {loglinear_bucket(s->each), CALLS};
    recording_add_scope(m.writer, &(struct recording_scope){.site = site,
                                                            .count = CALLS,
                                                            .primitive = CALLS,
                                                            .total = total,
                                                            .self = total,
                                                            .sum = total,
                                                            .min = s->each,
                                                            .max = s->each,
                                                            .variance = (UINT64_C(1) << 28) * CALLS,
                                                            .off_cpu = s->off_cpu,
                                                            .buckets = &bucket,
                                                            .bucket_count = 1});
    recording_end_thread(m.writer, &(struct recording_thread_end){0, true, true, s->switches || s->missing ? 2 * m.now : m.now,
                                                                  (500 + (uint64_t)s->samples + s->lost + s->late) * MAKE_PERIOD});
    recording_set_counter(m.writer, "samples lost", s->lost);
    if (s->missing)
        recording_set_counter(m.writer, s->missing, 300);
    if (s->waits)
        add_waiting(&m);
    strings_free(&m.modules);
    return make_finish(&m);
}

TEST(the_table_has_exact_figures_and_no_hostile_bytes) {
    _cleanup_free_ char *out = REPORT(scene(&(struct scene){N, 0, EACH, NULL}), "--scopes", "--no-header");
    CHECK_STR(out,
              "      1000    4.500s    4.500s   4.500ms   4.500ms   4.500ms   4.500ms   4.500ms   4.500ms  90.0%  work\\x1b[1m  (a.c:3)\n");
    _cleanup_free_ char *none = REPORT(scene(&(struct scene){N, 0, EACH, NULL}), "--scopes=^play", "--no-header");
    CHECK_STR(none, "");
}

TEST(the_cost_of_begin_and_end_is_the_recorders_or_else_ours) {
    _cleanup_free_ char *ours = REPORT(scene(&(struct scene){N, 0, 1000, NULL}), "--scopes");
    CHECK(strstr(ours, "# begin and end take 20 ns\n") && !strstr(ours, "[instrumentation"));
    _cleanup_free_ char *told = REPORT(scene(&(struct scene){N, 0, 1000, NULL, .overhead = "250.4"}), "--scopes");
    CHECK(strstr(told, "# begin and end take 250 ns\n") && strstr(told, "[instrumentation 25%]"));
    _cleanup_free_ char *nonsense = REPORT(scene(&(struct scene){N, 0, 1000, NULL, .overhead = "-1"}), "--scopes");
    CHECK(strstr(nonsense, "# begin and end take 20 ns\n"));
}

/* Wherever in its bucket the instance lies that a percentile names: here at the lower end, and at the upper one. */
TEST(percentiles_are_within_what_they_promise) {
    static const uint64_t values[] = {17, 1024, 1151, 1 << 20, (9 << 17) - 1};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        uint64_t buckets[LOGLINEAR_BUCKETS] = {0};
        double value = (double)values[i];
        buckets[loglinear_bucket(1)] = 5;
        buckets[loglinear_bucket(values[i])] = 990;
        buckets[loglinear_bucket(UINT64_C(1) << 40)] = 5;
        const struct scope_rows rows = {.clock = {.ns_per_tick = 1}};
        const struct scope_row row = {.count = 1000, .buckets = buckets, .min = 1, .max = 0x1p40};
        for (double q = 0.01; q < 0.99; q += 0.01) {
            double got = scope_row_quantile(&rows, &row, q, false);
            if (got < value * 0.9375 || got > value * 1.0625)
                CHECK_FAIL("p%.0f of %.0f: %.1f", 100 * q, value, got);
        }
        CHECK(scope_row_quantile(&rows, &row, 0.001, false) < 2 && scope_row_quantile(&rows, &row, 0.999, false) > 0x1p39);
    }
}

TEST(verdicts) {
    static const struct {
        struct scene scene;
        const char *wanted;
    } rows[] = {
        {{N, 0, EACH, NULL}, "  agrees "},
        {{N + 500, 0, EACH, NULL}, "  biased (p "},
        {{N + 500, 0, EACH, NULL, .phases = NOT_TOLD}, "  cannot tell: it may keep step with the sampler (p "},
        {{N + 500, 0, EACH, NULL, .phases = IN_STEP}, "  phase-locked (p "},
        {{N + 500, 0, EACH, NULL, .phases = NEARLY_IN_STEP}, "  phase-locked (p "},
        {{N, 0, EACH, NULL, .phases = NOT_TOLD}, "  agrees "},
        {{N, 0, EACH, NULL, .phases = IN_STEP}, "  phase-locked (p "},
        {{N, 0, EACH, NULL, .phases = STOOD_STILL}, "  agrees "},
        {{N - 500, 0, EACH, NULL}, "  biased (p "},
        {{N - 400, 0, EACH, NULL, .late = 400}, "  agrees "},
        {{N, 0, EACH, NULL, 400}, "  agrees "},
        {{N + 500, 0, EACH, NULL, 100}, "  biased (p "},
        {{3 * N / 4, 0, EACH, NULL, N / 4}, "  cannot tell: only "},
        {{N / 10, 0, EACH / 10, NULL, 95}, "  cannot tell: too many samples were lost or late"},
        {{N / 10 - 80, 0, EACH / 10, NULL}, "  biased (p "},
        {{N / 10 - 80, 0, EACH / 10, NULL, .late = 80}, "  cannot tell: too many samples were lost or late"},
        {{50, 4450000000, EACH, NULL}, "  off-CPU 98.9 % ("},
        {{50, 0, 50, NULL}, "  instrumentation-dominated "},
        {{N, 0, EACH, "no: forbidden"}, "  cannot tell: when it waited is not known"},
        {{N, 0, EACH, NULL, 0, "scope events lost"}, "  cannot tell: when it waited is not known"},
        {{N, 0, EACH, NULL, 0, "context switches lost"}, "  cannot tell: when it waited is not known"},
        {{N, 0, EACH, NULL, 0, "span events lost"}, "  agrees "}, /* none of the losses is this one's */
        {{N + 78, 0, EACH, NULL, 0, NULL, false}, "  biased (p "},
        {{N + 78, 0, EACH, NULL, 0, NULL, true}, "  agrees "}, /* what waits leaves late samples to what follows */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *out = REPORT(scene(&rows[i].scene), "--compare", "--no-header");
        if (!strstr(out, rows[i].wanted))
            CHECK_FAIL("row %zu: no \"%s\" in \"%s\"", i, rows[i].wanted, out);
    }
}

TEST(time_off_a_cpu_is_withdrawn_when_what_tells_it_was_lost) {
    _cleanup_free_ char *out = REPORT(scene(&(struct scene){N, 450000000, EACH, NULL, 0, "scope events lost"}), "--scopes");
    CHECK(strstr(out, "# CPU cannot be told: 300 instances were not told one by one\n"));
    _cleanup_free_ char *compared = REPORT(scene(&(struct scene){N, 450000000, EACH, NULL, 0, "context switches lost"}), "--compare");
    CHECK(strstr(compared, "# On-CPU includes waiting: 300 records of context switches were lost\n"));
    CHECK(strstr(compared, "      1000    4.500s")); /* and not 4.05 */
}

TEST(scopes_are_frames_only_where_they_are_asked_for) {
    static const struct scene s = {N, 0, EACH, NULL};
    _cleanup_free_ char *plain = REPORT(scene(&s), "--folded"), *shown = REPORT(scene(&s), "--folded", "--scopes", "--annotate=s");
    CHECK_STR(plain, "app;main 5000\n");
    CHECK_STR(shown, "app;main 500\napp;main;[work [1m]_[s] 4500\n");
    _cleanup_free_ char *table = REPORT(scene(&s), "--no-header", "--dso=app");
    CHECK_STR(table, " 100.00%  100.00%     5000  app  main\n");
    _cleanup_free_ char *inside = REPORT(scene(&s), "--folded", "--in-scope=work\x1b[1m");
    CHECK_STR(inside, "app;main 4500\n");
    _cleanup_free_ char *absent = REPORT(scene(&s), "--folded", "--in-scope=play");
    CHECK(strstr(absent, "error: "));
}

TEST_MAIN()
