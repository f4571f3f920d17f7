/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "report/compare-stats.h"

/* Q(x) = 2 sum (-1)^(k-1) exp(-2 k^2 x^2). */
static double kolmogorov(double x) {
    double sum = 0, sign = 1;
    if (x < 0.2)
        return 1;
    for (int k = 1; k <= 100; k++, sign = -sign)
        sum += sign * exp(-2.0 * k * k * x * x);
    return fmin(fmax(2 * sum, 0), 1);
}

static int compare_numbers(const void *left, const void *right) {
    const double *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* The greatest distance from the uniform distribution, for all that is known. `scratch`: room for `count`. */
static double distance_of(const struct stats_hit *hits, size_t count, double *scratch) {
    double distance = 0, n = (double)count;
    for (size_t i = 0; i < count; i++)
        scratch[i] = hits[i].low;
    qsort(scratch, count, sizeof *scratch, compare_numbers);
    for (size_t i = 0; i < count; i++)
        distance = fmax(distance, scratch[i] - (double)i / n);
    for (size_t i = 0; i < count; i++)
        scratch[i] = hits[i].high;
    qsort(scratch, count, sizeof *scratch, compare_numbers);
    for (size_t i = 0; i < count; i++)
        distance = fmax(distance, (double)(i + 1) / n - scratch[i]);
    return distance;
}

/* With Stephens' correction for few. */
static double piece_p(const struct stats_hit *hits, size_t count, double share, double *scratch) {
    double distance = fmax(distance_of(hits, count, scratch) - share, 0), root = sqrt((double)count);
    return kolmogorov(distance * (root + 0.12 + 0.11 / root));
}

/* P(chi2 of 2k degrees of freedom > 2x) = exp(-x) sum_(i<k) x^i / i! */
static double fisher_p(double x, size_t k) {
    double term = -x, sum = exp(term);
    for (size_t i = 1; i < k && x > 0; i++) {
        term += log(x / (double)i);
        sum += exp(term);
    }
    return fmin(sum, 1);
}

int stats_phase_test(const struct stats_hit *hits, size_t count, double share, double least, struct stats_phase *ret) {
    double best = 1, divisions = 0;
    if (count < STATS_PHASE_HITS)
        return -ENODATA;
    _cleanup_free_ double *scratch = calloc(count, sizeof *scratch);
    if (!scratch)
        return -ENOMEM;
    for (size_t pieces = 1; pieces == 1 || (count / pieces >= STATS_PHASE_HITS && (double)(count / pieces) >= least); pieces *= 2) {
        double x = 0;
        for (size_t i = 0; i < pieces; i++) {
            size_t from = count * i / pieces, to = count * (i + 1) / pieces;
            x -= log(fmax(piece_p(hits + from, to - from, share, scratch), 1e-300));
        }
        best = fmin(best, fisher_p(x, pieces));
        divisions++;
    }
    *ret = (struct stats_phase){count, fmin(best * divisions, 1)};
    return 0;
}
