/* SPDX-License-Identifier: MIT */
/* The line through the clock pairs, against lines that are known. */
#include <errno.h>
#include <math.h>

#include "report/scope-clock.h"
#include "tests/check.h"

enum { PAIRS = 60 };
static const double RATE = 0.385177; /* ns a tick */

static struct recording_clock_pair pairs[PAIRS];

/* One a second, `noise` ns off the line at most, from counters of any size. */
static struct recording make(size_t count, uint64_t ticks, uint64_t ns, double noise) {
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t passed = (uint64_t)(i * 1e9 / RATE);
        double off = noise * ((double)(random % 2001) / 1000 - 1);
        pairs[i] = (struct recording_clock_pair){.tsc = ticks + passed,
                                                 .monotonic_raw = ns + (uint64_t)(int64_t)llround((double)passed * RATE + off)};
    }
    return (struct recording){.clock_pairs = {.items = pairs, .count = count}};
}

static double off_at(const struct scope_clock *clock, uint64_t ticks, uint64_t ns, double passed) {
    return (double)(int64_t)(scope_clock_ns(clock, ticks + (uint64_t)(int64_t)passed) - ns) - passed * RATE;
}

TEST(a_line_is_found_whatever_the_counters_stand_at) {
    static const uint64_t starts[] = {1, UINT64_C(1) << 40, UINT64_C(1) << 62, UINT64_MAX - 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        struct recording r = make(PAIRS, starts[i], 12345678901234567u, 0);
        struct scope_clock clock;
        CHECK_EQ(scope_clock_fit(&r, &clock), 0);
        CHECK_EQ(clock.pairs, PAIRS);
        CHECK(fabs(clock.ns_per_tick / RATE - 1) < 1e-10 && clock.residual < 2);
        CHECK(fabs(clock.span_ns - (PAIRS - 1) * 1e9) < 10);
        for (double passed = -1e9; passed < 2e11; passed += 7e9) /* before the first and behind the last, too */
            CHECK(fabs(off_at(&clock, starts[i], 12345678901234567u, passed)) < 3);
    }
}

/* Of 60 pairs that are 1 us off at most the line is off by less, and says by how much they are. */
TEST(pairs_that_are_told_late_hardly_bend_the_line) {
    struct recording r = make(PAIRS, 1000, 1000, 1000);
    struct scope_clock clock;
    CHECK_EQ(scope_clock_fit(&r, &clock), 0);
    CHECK(fabs(clock.ns_per_tick / RATE - 1) < 2e-8);
    CHECK(clock.residual > 700 && clock.residual < 1500);
    CHECK(fabs(off_at(&clock, 1000, 1000, 7e10)) < 500);
}

TEST(a_pair_without_a_counter_is_none) {
    struct recording r = make(3, 1000, 1000, 0);
    struct scope_clock clock;
    pairs[1].tsc = 0;
    CHECK_EQ(scope_clock_fit(&r, &clock), 0);
    CHECK_EQ(clock.pairs, 2);
    CHECK(fabs(clock.ns_per_tick / RATE - 1) < 1e-8);
    pairs[0].tsc = 0;
    CHECK_EQ(scope_clock_fit(&r, &clock), -ENODATA);
}

TEST(what_is_no_clock_is_refused) {
    struct recording r = make(1, 1000, 1000, 0), none = make(0, 0, 0, 0);
    struct scope_clock clock;
    CHECK_EQ(scope_clock_fit(&r, &clock), -ENODATA);
    CHECK_EQ(scope_clock_fit(&none, &clock), -ENODATA);
    r = make(10, 1000, 1000, 0);
    for (size_t i = 0; i < 10; i++)
        pairs[i].tsc = 5000; /* it stood still */
    CHECK_EQ(scope_clock_fit(&r, &clock), -ENODATA);
    for (size_t i = 0; i < 10; i++)
        pairs[i].tsc = 5000000 - i; /* it ran backwards */
    CHECK_EQ(scope_clock_fit(&r, &clock), -ENODATA);
}

TEST(ticks_may_be_nanoseconds) {
    struct recording_fact fact = {"scope clock", "ns"};
    struct recording r = {.facts = {.items = &fact, .count = 1}};
    struct scope_clock clock;
    CHECK_EQ(scope_clock_fit(&r, &clock), 0);
    CHECK(clock.ns_per_tick == 1 && clock.pairs == 0);
    CHECK_EQ(scope_clock_ns(&clock, 1234567890123u), 1234567890123u);
}

TEST_MAIN()
