/* SPDX-License-Identifier: MIT */
#include "report/compare-stats.h"

#include <complex.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/loglinear.h"
#include "base/macros.h"

void stats_bucket_bounds(uint32_t bucket, double min, double max, double *ret_low, double *ret_high) {
    double low = (double)loglinear_low(bucket), high = bucket + 1 < LOGLINEAR_BUCKETS ? (double)loglinear_low(bucket + 1) : max;
    *ret_low = fmin(fmax(low, min), max);
    *ret_high = fmax(fmin(high, max), *ret_low);
}

/* ---- variance -------------------------------------------------------------------------------------------------------------------- */

struct spread {
    double middle, half, share; /* durations within middle +- half periods, and how many of all they are */
};

/* E exp(i w d), the durations of a bucket spread evenly over it. */
static double complex characteristic(const struct spread *spreads, size_t count, double w) {
    double complex sum = 0;
    for (size_t i = 0; i < count; i++) {
        double x = w * spreads[i].half;
        sum += spreads[i].share * (x > 1e-6 ? sin(x) / x : 1) * cexp(I * w * spreads[i].middle);
    }
    return sum;
}

double stats_duty(const uint64_t *durations, double min, double max, double scale, double gap, double period) {
    enum { TERMS = 500 };
    struct spread spreads[LOGLINEAR_BUCKETS];
    size_t count = 0;
    double total = 0, some = 0, all = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
        total += (double)durations[i];
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++) {
        double low, high;
        if (!durations[i])
            continue;
        stats_bucket_bounds(i, min, max, &low, &high);
        spreads[count++] =
            (struct spread){(low + high) / 2 * scale / period, (high - low) / 2 * scale / period, (double)durations[i] / total};
    }
    for (unsigned m = 1; m <= TERMS; m++) {
        double w = 2 * M_PI * m;
        double complex a = characteristic(spreads, count, w), b = 1 / (1 - I * w * gap / period);
        all += creal(1 - a) / ((double)m * m);
        some += creal((1 - a) * (1 - b) / (1 - a * b)) / ((double)m * m);
    }
    return all > 0 && isfinite(some) ? fmin(fmax(some / all, 0), 1) : 1;
}

double stats_samples_needed(double expected, double variance, double share) {
    double z = 1.96 / share;
    return expected > 0 ? ceil(z * z * variance / expected) : INFINITY;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------------------- */

double stats_difference_p(double difference, double variance) {
    enum { NORMAL_FROM = 25 };
    double size = fabs(difference);
    if (variance >= NORMAL_FROM)
        return erfc(size / sqrt(2 * variance));
    /* A number of samples is whole; an expected one is not: differences below 1 are no difference. */
    if (size < 1)
        return 1;
    if (variance <= 0)
        return 0;
    double u = size / variance;
    return fmin(1, 2 * exp(-variance * ((1 + u) * log1p(u) - u)));
}

struct ranked_p {
    double p;
    size_t index;
};

static int compare_p(const void *left, const void *right) {
    const struct ranked_p *a = left, *b = right;
    return a->p < b->p ? -1 : a->p > b->p;
}

int stats_holm(double *p, size_t count) {
    struct ranked_p *ranked = calloc(count + 1, sizeof *ranked);
    size_t asked = 0;
    if (!ranked)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (p[i] >= 0)
            ranked[asked++] = (struct ranked_p){p[i], i};
    qsort(ranked, asked, sizeof *ranked, compare_p);
    double least = 0;
    for (size_t i = 0; i < asked; i++) {
        least = fmax(least, fmin(1, ranked[i].p * (double)(asked - i)));
        p[ranked[i].index] = least;
    }
    free(ranked);
    return 0;
}
