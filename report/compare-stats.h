/* SPDX-License-Identifier: MIT */
/*
 * The statistics behind --compare: how far a periodic sampler may stray from the exact figure, and whether it ran in step with the program.
 * Pure functions, any thread.
 *
 * Glossary
 *   period      D: on-CPU time between two samples of a thread
 *   variance    of a scope's number of samples, given how long each of its instances took
 *   hit         an instance in which a sample was taken
 *
 * An instance of on-CPU time d, at a phase that is independent of the sampler's, holds floor(d/D) or floor(d/D) + 1 samples: d/D on the
 * mean, with variance f(1-f), f = frac(d/D). The recorder adds that up over the instances. (A binomial variance is up to ten times too wide
 * for long scopes: see docs/COMPARE.md.)
 */
#pragma once

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

struct stats_hit {
    double low, high; /* the phase, 0..1, lies between: how far into an instance its first sample fell, as a share of where it may fall */
};

struct stats_phase {
    uint64_t hits;
    double p;
};

/*
 * Were the samples at phases independent of the instances? Then the hits are uniform: together, and in any stretch of the recording. A
 * program whose period is not quite the sampler's shows all phases in the end, each for a while. So the hits, in order of time, are put to
 * Kolmogorov and Smirnov's test as a whole, in halves, in quarters, ..., as long as a piece has STATS_PHASE_HITS hits and `least`; the
 * p of a division's pieces become one by Fisher's method, and the p of all divisions by Bonferroni's. What is within the bounds of each
 * hit, and `share` of the distribution, counts for nothing.
 *
 * `least`: the standard deviation of the number of samples. In step for fewer hits than that, a program moves its figure by no more.
 *
 * -ENODATA: fewer than STATS_PHASE_HITS hits. -ENOMEM.
 */
enum { STATS_PHASE_HITS = 20 };
int stats_phase_test(const struct stats_hit *hits, size_t count, double share, double least, struct stats_phase *ret);
