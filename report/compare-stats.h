/* SPDX-License-Identifier: MIT */
/*
 * The statistics behind --compare: how far a periodic sampler may stray from the exact figure, and whether it ran in step with the program.
 * Pure functions, any thread.
 *
 * Glossary
 *   period      D: on-CPU time between two samples of a thread
 *   variance    of a scope's number of samples, given how long each of its instances took
 *   elapsed     how long an instance had been running when a sample was taken in it
 *
 * An instance of on-CPU time d, at a phase that is independent of the sampler's, holds floor(d/D) or floor(d/D) + 1 samples: d/D on the
 * mean, with variance f(1-f), f = frac(d/D). The recorder adds that up over the instances. (A binomial variance is up to ten times too wide
 * for long scopes: see docs/COMPARE.md.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How much of the sum of f(1-f) is left when instances follow one another closely: the time between them, with mean `gap`, then does not
 * make their phases independent (a scope that is always open has no variance at all). With the gaps taken as exponential, the variance of
 * an alternating renewal process sampled each D is, by Poisson's summation of its spectrum,
 *
 *     Var = M/pi^2 * sum_m 1/m^2 Re[(1-a)(1-b)/(1-ab)],   a = E exp(2 pi i m d/D), b = the same of the gaps
 *
 * which for b = 0 is the sum of f(1-f), and for d, gap << D is the binomial n(1-p). (Cox, Renewal Theory, 1962, ch. 7 for the spectrum.)
 *
 * `durations`: buckets of base/loglinear.h in units of 1/`scale` (scale * value is in units of `period`'s); min and max bound them.
 * 0..1; 1 for gap = infinity.
 */
double stats_duty(const uint64_t *durations, double min, double max, double scale, double gap, double period);

/*
 * The variance that one instance adds, of a sampler that draws one moment in each cell of a period: what is left of it when the gap is
 * `gap` on the mean. d of one instance alone gives d - d^2 + d^3/3 (d < 1, in periods) or 1/3. Arguments as above. 0..1/3.
 */
double stats_jittered_variance(const uint64_t *durations, double min, double max, double scale, double gap, double period);

/* Where the values of a bucket may lie, knowing the least and the greatest of all. */
void stats_bucket_bounds(uint32_t bucket, double min, double max, double *ret_low, double *ret_high);

/* The probability of a difference from the mean of at least this size, in either direction. Where the variance is small, a bound instead,
 * because the normal distribution has too thin tails there (Bennett's inequality, for sums of independent terms that differ by at most 1).
 */
double stats_difference_p(double difference, double variance);

/* Holm's correction for many questions asked at once: afterwards p[i] < alpha keeps the chance of any false alarm below alpha. Negative
 * ones stand for questions not asked. 0 or -ENOMEM. */
int stats_holm(double *p, size_t count);

/* How many samples a scope needs for the 95 % interval to be `share` of the figure to each side, if its variance grows as it did. */
double stats_samples_needed(double expected, double variance, double share);

struct stats_phase {
    uint64_t samples;
    double distance; /* the greatest, between what was seen and what might be, as shares of the samples */
    double p;
};

struct stats_phase_slack {
    double early, late; /* by how much an elapsed time may be told too short or too long, in the unit of the buckets */
    double share;       /* differences between the two distributions that do not count */
};

/*
 * Were the samples at phases independent of the instances? Then the elapsed time is distributed as the age of a renewal process,
 *
 *     F(x) = int_0^x (1 - H(y)) dy / mean = sum_i min(d_i, x) / sum_i d_i
 *
 * with H the distribution of durations. The buckets bound it from both sides at their edges (exactly, where no duration lies below), and
 * what the samples' distribution lies outside of these bounds is put to Kolmogorov and Smirnov's test, which errs to the safe side for
 * grouped data and for several samples in one instance.
 *
 * `sum`, `min`, `max`: of the durations, in the unit of the buckets. False: fewer than STATS_PHASE_SAMPLES samples, or no durations.
 */
enum { STATS_PHASE_SAMPLES = 20 };
bool stats_phase_test(const uint64_t *durations, double sum, double min, double max, const uint64_t *elapsed,
                      const struct stats_phase_slack *slack, struct stats_phase *ret);
