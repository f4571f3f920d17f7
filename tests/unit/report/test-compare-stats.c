/* SPDX-License-Identifier: MIT */
/*
 * The statistics of --compare against brute force: programs of scopes and gaps, with every sample placed by hand. All seeds are fixed, so
 * that a failure is a change of the code and never chance.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/loglinear.h"
#include "base/macros.h"
#include "report/compare-stats.h"
#include "tests/check.h"

/* ---- a program and its sampler, in ns --------------------------------------------------------------------------------------------------
 */

static uint64_t random_state;

static double uniform(void) { /* xorshift64*, [0, 1) */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
}

struct program {
    double duration, duration_spread; /* uniform within +- spread */
    double gap, gap_spread;
    double period, length;
};

enum { HITS_MAX = 40000 };

struct run {
    uint64_t durations[LOGLINEAR_BUCKETS];
    double sum, min, max, variance, instances;
    uint64_t samples;
    size_t hit_count;
    struct stats_hit hits[HITS_MAX];
};

static double around(double middle, double spread) {
    return middle + spread * (2 * uniform() - 1);
}

static void put_instance(struct run *run, double begin, double duration, double phase, double period) {
    double fraction = duration / period - floor(duration / period);
    run->durations[loglinear_bucket((uint64_t)duration)]++;
    run->min = run->instances > 0 ? fmin(run->min, duration) : duration;
    run->max = fmax(run->max, duration);
    run->sum += duration;
    run->variance += fraction * (1 - fraction);
    run->instances++;
    double first = phase + ceil((begin - phase) / period) * period - begin;
    if (first >= duration)
        return;
    run->samples += 1 + (uint64_t)((duration - first) / period);
    if (run->hit_count < HITS_MAX)
        run->hits[run->hit_count++] = (struct stats_hit){first / fmin(duration, period), first / fmin(duration, period)};
}

static struct run run; /* the one at hand: it is large */

static void run_program(const struct program *p) {
    memset(&run, 0, offsetof(struct run, hits));
    double phase = uniform() * p->period;
    for (double now = p->gap * uniform(); now < p->length;) {
        double duration = around(p->duration, p->duration_spread);
        put_instance(&run, now, duration, phase, p->period);
        now += duration + around(p->gap, p->gap_spread);
    }
}

static double variance_of(const struct program *p) {
    double gap = (p->length - run.sum) / run.instances;
    return run.variance * stats_duty(run.durations, run.min, run.max, 1, fmax(gap, 0), p->period);
}

static double z_of(const struct program *p) {
    return ((double)run.samples - run.sum / p->period) / sqrt(variance_of(p));
}

/* 1 if nothing can be said. */
static double phase_p(double share, double least) {
    struct stats_phase phase;
    return stats_phase_test(run.hits, run.hit_count, share, least, &phase) == 0 ? phase.p : 1;
}

/* Standard deviation of z over many runs, and how often a phase test at 1 in 100 raised an alarm. */
static void measure(const struct program *p, unsigned runs, double *ret_sd, double *ret_alarms) {
    double sum = 0, squares = 0, alarms = 0;
    random_state = 88172645463325252ULL;
    for (unsigned i = 0; i < runs; i++) {
        run_program(p);
        double z = z_of(p);
        sum += z;
        squares += z * z;
        alarms += phase_p(0, sqrt(variance_of(p))) < 0.01;
    }
    double mean = sum / runs;
    *ret_sd = sqrt(squares / runs - mean * mean);
    *ret_alarms = alarms / runs;
    printf("# %.0f ns each %.0f: mean z %.3f, sd %.3f, alarms at 1 %%: %.4f\n", p->duration, p->duration + p->gap, mean, *ret_sd,
           *ret_alarms);
}

#define US 1e3
#define MS 1e6

/* The four regimes: two far below the period, one about it, one far above. */
static const struct program regimes[] = {
    {10 * US, 2 * US, 490 * US, 480 * US, MS, 10e9},
    {100 * US, 20 * US, 1400 * US, 1300 * US, MS, 10e9},
    {1 * MS, 0.3 * MS, 7 * MS, 5 * MS, MS, 10e9},
    {50 * MS, 5 * MS, 60 * MS, 30 * MS, MS, 20e9},
};

TEST(z_has_a_standard_deviation_of_one_in_every_regime) {
    for (size_t i = 0; i < ARRAY_SIZE(regimes); i++) {
        double sd, alarms;
        measure(&regimes[i], 1000, &sd, &alarms);
        CHECK(fabs(sd - 1) < 0.05);
        CHECK(alarms <= 0.01);
    }
}

TEST(instances_that_stand_close_together_have_less_variance) {
    /* Nine tenths of the time in the scope: a sum of f(1-f) alone would be wrong by a factor of ten. */
    static const struct program close[] = {
        {90 * US, 30 * US, 10 * US, 9 * US, MS, 2e9},
        {40 * US, 30 * US, 40 * US, 30 * US, MS, 2e9},
    };
    for (size_t i = 0; i < ARRAY_SIZE(close); i++) {
        double sd, alarms;
        measure(&close[i], 500, &sd, &alarms);
        CHECK(sd > 0.8 && sd < 1.1);
        CHECK(alarms <= 0.01);
    }
}

TEST(a_scope_that_is_always_open_has_no_variance) {
    uint64_t durations[LOGLINEAR_BUCKETS] = {0};
    durations[loglinear_bucket(100000)] = 1000;
    CHECK(stats_duty(durations, 100000, 100000, 1, 0, 1e6) < 0.001);
    CHECK(stats_duty(durations, 100000, 100000, 1, 1e12, 1e6) > 0.99);
    CHECK(stats_duty(durations, 100000, 100000, 1, INFINITY, 1e6) == 1);
}

/* ---- a sampler that draws a moment in each period ------------------------------------------------------------------------------------
 */

/* A sample's moment, drawn once for each cell and kept while an instance may still ask for it. */
struct drawn {
    double cell, at;
};

static double moment_in(struct drawn *drawn, double cell, double period) {
    if (drawn->cell != cell)
        *drawn = (struct drawn){cell, (cell + uniform()) * period};
    return drawn->at;
}

static void run_drawn(const struct program *p) {
    memset(&run, 0, offsetof(struct run, hits));
    struct drawn drawn = {.cell = -1};
    double origin = uniform() * p->period; /* of the cells */
    for (double now = origin; now < p->length;) {
        double duration = around(p->duration, p->duration_spread), end = now + duration;
        run.durations[loglinear_bucket((uint64_t)duration)]++;
        run.min = run.instances > 0 ? fmin(run.min, duration) : duration;
        run.max = fmax(run.max, duration);
        run.sum += duration;
        run.instances++;
        for (double cell = floor(now / p->period); cell * p->period < end; cell++) {
            double at = moment_in(&drawn, cell, p->period);
            run.samples += at >= now && at < end;
        }
        now = end + (p->gap_spread < 0 ? -p->gap * log(1 - uniform()) : around(p->gap, p->gap_spread));
    }
}

/* z's standard deviation over many runs, of what is predicted for drawn moments. */
static double drawn_sd(const struct program *p, unsigned runs) {
    double squares = 0, sum = 0;
    random_state = 1181783497276652981ULL;
    for (unsigned i = 0; i < runs; i++) {
        run_drawn(p);
        double gap = fmax((p->length - run.sum) / run.instances, 0);
        double variance = run.instances * stats_jittered_variance(run.durations, run.min, run.max, 1, gap, p->period);
        double z = ((double)run.samples - run.sum / p->period) / sqrt(variance);
        sum += z;
        squares += z * z;
    }
    double sd = sqrt(squares / runs - sum * sum / runs / runs);
    printf("# drawn, %.0f ns each %.0f: sd of z %.3f\n", p->duration, p->duration + p->gap, sd);
    return sd;
}

TEST(drawn_moments_stray_as_predicted) {
    static const struct program close[] = {
        {200 * US, 60 * US, 200 * US, -1, MS, 2e9}, /* -1: exponential gaps, as the prediction takes them to be */
        {900 * US, 300 * US, 100 * US, -1, MS, 2e9}, {10 * US, 3 * US, 10 * US, -1, MS, 0.5e9},
        {3 * US, 1 * US, 30 * US, -1, MS, 0.5e9},    {3 * MS, 1 * MS, 300 * US, -1, MS, 4e9},
    };
    for (size_t i = 0; i < ARRAY_SIZE(regimes); i++)
        CHECK(fabs(drawn_sd(&regimes[i], 1000) - 1) < 0.06);
    for (size_t i = 0; i < ARRAY_SIZE(close); i++)
        CHECK(fabs(drawn_sd(&close[i], 1000) - 1) < 0.08);
}

TEST(one_instance_among_drawn_moments_has_the_variance_of_the_formula) {
    for (double d = 0.005; d < 3; d *= 1.7) {
        uint64_t durations[LOGLINEAR_BUCKETS] = {0};
        durations[loglinear_bucket((uint64_t)(d * MS))] = 7;
        double wanted = d < 1 ? d - d * d + d * d * d / 3 : 1.0 / 3,
               got = stats_jittered_variance(durations, d * MS, d * MS, 1, INFINITY, MS);
        if (fabs(got / wanted - 1) > 0.01)
            CHECK_FAIL("d %.3f: %.4f, not %.4f", d, got, wanted);
    }
    uint64_t always[LOGLINEAR_BUCKETS] = {0};
    always[loglinear_bucket(100000)] = 1000;
    CHECK(stats_jittered_variance(always, 100000, 100000, 1, 0, MS) < 1e-6);
    always[0] = 1;
    CHECK(stats_jittered_variance(always, 0, 0, 1, 0, MS) == 0);
}

/* ---- phases ----------------------------------------------------------------------------------------------------------------------- */

TEST(durations_of_many_sizes_do_not_look_locked) {
    unsigned alarms = 0, runs = 500;
    random_state = 42;
    for (unsigned i = 0; i < runs; i++) {
        memset(&run, 0, offsetof(struct run, hits));
        double phase_at = uniform() * MS;
        for (double now = 0; now < 10e9;) {
            double duration = 20 * US * exp(4 * uniform()), gap = MS * uniform();
            put_instance(&run, now, duration * (now < 5e9 ? 1 : 3), phase_at, MS); /* and not the same all the time */
            now += 3 * duration + gap;
        }
        alarms += phase_p(0, 0) < 0.01;
    }
    CHECK(alarms <= runs / 100);
}

TEST(a_program_in_step_with_the_sampler_is_found) {
    /* 3 ms each 10 ms, sampled each 10 ms: every sample at the same place. And where each of three samples, or each third one, is in it. */
    static const struct program locked[] = {
        {3 * MS, 0, 7 * MS, 0, 10 * MS, 10e9}, {3 * MS, 0, 12 * MS, 0, 10 * MS, 10e9}, {30.5 * MS, 0, 69.5 * MS, 0, MS, 100e9}};
    random_state = 7;
    for (size_t k = 0; k < ARRAY_SIZE(locked); k++) {
        unsigned found = 0, tested = 0;
        for (unsigned i = 0; i < 100; i++) {
            run_program(&locked[k]);
            tested += run.hit_count >= STATS_PHASE_HITS;
            found += run.hit_count >= STATS_PHASE_HITS && phase_p(0.03, sqrt(variance_of(&locked[k]))) < 1e-6;
        }
        CHECK(tested > 10);
        CHECK_EQ(found, tested);
    }
}

/* Whatever the period is, whatever the phase it begins at: either the figure is right, or the phases tell. */
TEST(a_program_nearly_in_step_is_never_called_biased) {
    static const double ratios[] = {1, 2, 3, 0.5, 1.5, 1.0 / 3, 2.0 / 3, 10};
    unsigned strays = 0, locked = 0, runs = 0;
    random_state = 11;
    for (size_t k = 0; k < ARRAY_SIZE(ratios); k++)
        for (double off = 1e-7; off < 0.05; off *= 2.7)
            for (double share = 0.1; share < 0.8; share += 0.2) {
                double each = MS * ratios[k] * (1 + off);
                struct program p = {share * each, 1 * US, (1 - share) * each, 0, MS, 10e9};
                run_program(&p);
                double variance = variance_of(&p), p_phase = phase_p(0.03, sqrt(variance));
                bool is_astray = stats_difference_p((double)run.samples - run.sum / MS, variance) < 1e-3 / 2;
                runs++;
                strays += is_astray;
                locked += p_phase < 1e-3 / 2;
                if (is_astray && p_phase >= 1e-3 / 2 && run.hit_count >= STATS_PHASE_HITS)
                    CHECK_FAIL("ratio %g, off by %g, share %g: %llu samples, %.1f expected, sd %.1f, phase p %.2g", ratios[k], off, share,
                               (unsigned long long)run.samples, run.sum / MS, sqrt(variance), p_phase);
            }
    printf("# of %u programs %u stray, %u are in step\n", runs, strays, locked);
    CHECK(strays > runs / 20 && locked < runs);
}

TEST(a_biased_sampler_is_not_taken_for_one_in_step) {
    /* Each fifth hit is lost: the figure is wrong, the phases of the others are not. */
    unsigned locked = 0;
    random_state = 13;
    for (unsigned i = 0; i < 200; i++) {
        run_program(&regimes[1]);
        size_t kept = 0;
        for (size_t k = 0; k < run.hit_count; k++)
            if (uniform() > 0.2)
                run.hits[kept++] = run.hits[k];
        run.hit_count = kept;
        locked += phase_p(0, sqrt(variance_of(&regimes[1]))) < 0.01;
    }
    CHECK(locked <= 4);
}

TEST(times_told_a_little_late_are_no_lock_within_the_slack) {
    random_state = 9;
    memset(&run, 0, offsetof(struct run, hits));
    for (unsigned i = 0; i < 20000; i++)
        put_instance(&run, 0, 20 * US, -uniform() * MS, MS);
    for (size_t i = 0; i < run.hit_count; i++)
        run.hits[i].low = run.hits[i].high += 0.1; /* 2 us */
    CHECK(phase_p(0, 0) < 0.01);
    for (size_t i = 0; i < run.hit_count; i++)
        run.hits[i].low -= 0.2;
    CHECK(phase_p(0, 0) > 0.05);
}

TEST(small_numbers_have_no_phase) {
    static struct stats_hit hits[STATS_PHASE_HITS];
    struct stats_phase phase;
    CHECK_EQ(stats_phase_test(hits, STATS_PHASE_HITS - 1, 0, 0, &phase), -ENODATA);
    CHECK_EQ(stats_phase_test(hits, STATS_PHASE_HITS, 0, 0, &phase), 0);
    CHECK(phase.p < 1e-12);
}

TEST(probabilities_are_those_of_the_tables) {
    CHECK(fabs(stats_difference_p(19.6, 100) - 0.05) < 0.0002);
    CHECK(fabs(stats_difference_p(-32.905, 100) - 0.001) < 0.00002);
    CHECK(stats_difference_p(0.99, 0.001) == 1);
    CHECK(stats_difference_p(0, 100) == 1);
    CHECK(stats_difference_p(2, 0) == 0);
}

/* The bound for small variances, against what a sum of such terms does: it must not be below. */
TEST(small_variances_have_no_thinner_tails_than_they_should) {
    enum { TERMS = 20, RUNS = 200000 };
    unsigned beyond[4] = {0};
    double f = 0.02, variance = TERMS * f * (1 - f);
    random_state = 5;
    for (unsigned i = 0; i < RUNS; i++) {
        double sum = 0;
        for (unsigned k = 0; k < TERMS; k++)
            sum += uniform() < f;
        for (unsigned k = 0; k < ARRAY_SIZE(beyond); k++)
            beyond[k] += fabs(sum - TERMS * f) >= k + 1;
    }
    for (unsigned k = 0; k < ARRAY_SIZE(beyond); k++)
        CHECK((double)beyond[k] / RUNS <= stats_difference_p(k + 1, variance));
}

TEST(holm_steps_down) {
    double p[] = {0.01, -1, 0.04, 0.03, 0.005};
    CHECK_EQ(stats_holm(p, ARRAY_SIZE(p)), 0);
    static const double wanted[] = {0.03, -1, 0.06, 0.06, 0.02};
    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        CHECK(fabs(p[i] - wanted[i]) < 1e-12);
    CHECK_EQ(stats_holm(p, 0), 0);
}

TEST(samples_needed_grow_with_the_square_of_the_precision) {
    CHECK_EQ(stats_samples_needed(100, 100, 0.1), 385);
    CHECK_EQ(stats_samples_needed(100, 100, 0.05), 1537);
    CHECK_EQ(stats_samples_needed(100, 10, 0.1), 39); /* long scopes need fewer */
}

TEST_MAIN()
