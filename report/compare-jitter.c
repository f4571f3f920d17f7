/* SPDX-License-Identifier: MIT */
/*
 * The variance of a sampler that draws one moment in each cell of a period, by integrating the process of a scope's being open.
 *
 * In units of the period: x(t) is 1 while the scope is open. Given x, a cell in which it is open for the share y holds one sample in it
 * with probability y, whatever other cells hold; so Var = sum over cells of E[y(1-y)], and y(1-y) is the probability that of two moments
 * drawn in the cell the scope is open at the one and not at the other:
 *
 *     Var = 2 M int_0^1 (1-t) int_0^t (1-H(s)) r(t-s) ds dt         H: distribution of durations
 *     r(t) = P(not open, t after an end),  q(t) = P(not open, t after a begin) = int dH(s) r(t-s),  r' = (q - r) / gap
 *
 * with gaps taken as exponential. If no other instance is near (r = 1), this is d - d^2 + d^3/3 for d < 1 and 1/3 above.
 *
 *     a[k]   the mean of r over step k, by the exact solution of r' for a q that is constant within it
 *     w[j]   the mass of H at j steps, split between two steps so that the mean is kept
 *     b[j]   the integral of 1-H over step j
 */
#include <math.h>

#include "base/loglinear.h"
#include "base/macros.h"
#include "report/compare-stats.h"

enum { STEPS = 256 };
static const double STEP = 1.0 / STEPS;

struct mass {
    double w[STEPS + 1], b[STEPS];
};

static void add_duration(struct mass *m, double d, double share) {
    double at = d / STEP;
    for (uint32_t j = 0; j < STEPS; j++)
        m->b[j] += share * fmin(fmax(d - j * STEP, 0), STEP);
    if (at >= STEPS)
        return; /* it ends in another cell */
    uint32_t low = (uint32_t)at;
    m->w[low] += share * (1 - (at - low));
    m->w[low + 1] += share * (at - low);
}

static double integrate(const struct mass *m, double gap) {
    double a[STEPS], r = 1, sum = 0;
    double decay = isfinite(gap) ? gap > 0 ? exp(-STEP / gap) : 0 : 1, kept = isfinite(gap) ? gap / STEP * (1 - decay) : 1;
    for (uint32_t k = 0; k < STEPS; k++) {
        double q = 0, both = 0;
        for (uint32_t j = 1; j <= k; j++)
            q += m->w[j] * a[k - j];
        a[k] = ((1 - kept) * q + kept * r) / (1 - (1 - kept) * m->w[0]);
        q += m->w[0] * a[k];
        r = q + (r - q) * decay;
        for (uint32_t j = 0; j <= k; j++)
            both += m->b[j] * a[k - j];
        sum += (1 - (k + 1) * STEP) * both;
    }
    return 2 * STEP * sum;
}

double stats_jittered_variance(const uint64_t *durations, double min, double max, double scale, double gap, double period) {
    enum { PARTS = 4 }; /* of a bucket: v is smooth, but a bucket may be an eighth of a period wide */
    struct mass m = {0};
    double total = 0;
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++)
        total += (double)durations[i];
    for (uint32_t i = 0; i < LOGLINEAR_BUCKETS; i++) {
        double low, high;
        if (!durations[i])
            continue;
        stats_bucket_bounds(i, min, max, &low, &high);
        for (int part = 0; part < PARTS; part++)
            add_duration(&m, (low + (high - low) * (part + 0.5) / PARTS) * scale / period, (double)durations[i] / total / PARTS);
    }
    /* All mass at 0 and no gap: never open, or always. */
    return m.w[0] < 1 || gap > 0 ? integrate(&m, gap / period) : 0;
}
