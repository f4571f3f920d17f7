/* SPDX-License-Identifier: MIT */
#include "report/scope-clock.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct point {
    long double ticks, ns; /* from the origin */
};

static struct point point_of(const struct recording_clock_pair *pair, const struct recording_clock_pair *origin) {
    return (struct point){(long double)(int64_t)(pair->tsc - origin->tsc),
                          (long double)(int64_t)(pair->monotonic_raw - origin->monotonic_raw)};
}

/* Where the recorder had no counter a pair has 0 for it. */
static const struct recording_clock_pair *first_pair(const struct recording *r) {
    for (size_t i = 0; i < r->clock_pairs.count; i++)
        if (r->clock_pairs.items[i].tsc)
            return &r->clock_pairs.items[i];
    return NULL;
}

static int fit_line(const struct recording *r, struct scope_clock *c) {
    const struct recording_clock_pair *origin = first_pair(r), *end = r->clock_pairs.items + r->clock_pairs.count;
    long double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (const struct recording_clock_pair *pair = origin; pair && pair < end; pair++) {
        struct point p = point_of(pair, origin);
        if (!pair->tsc)
            continue;
        n++, x += p.ticks, y += p.ns;
    }
    if (n < 2)
        return -ENODATA;
    for (const struct recording_clock_pair *pair = origin; pair < end; pair++) {
        struct point p = point_of(pair, origin);
        if (!pair->tsc)
            continue;
        xx += (p.ticks - x / n) * (p.ticks - x / n);
        xy += (p.ticks - x / n) * (p.ns - y / n);
    }
    long double rate = xx > 0 ? xy / xx : 0, at = y / n - rate * (x / n);
    if (!(rate > 0) || !isfinite((double)rate))
        return -ENODATA;
    *c = (struct scope_clock){.ns_per_tick = (double)rate, .origin_ticks = origin->tsc, .pairs = (size_t)n};
    c->origin_ns = origin->monotonic_raw + (uint64_t)(int64_t)llroundl(at);
    for (const struct recording_clock_pair *pair = origin; pair < end; pair++) {
        struct point p = point_of(pair, origin);
        if (!pair->tsc)
            continue;
        c->residual = fmax(c->residual, (double)fabsl(p.ns - rate * p.ticks - at));
        c->span_ns = fmax(c->span_ns, (double)p.ns);
    }
    return 0;
}

int scope_clock_fit(const struct recording *r, struct scope_clock *ret) {
    const char *clock = recording_fact(r, "scope clock");
    if (clock && !strcmp(clock, "ns")) {
        *ret = (struct scope_clock){.ns_per_tick = 1};
        return 0;
    }
    return fit_line(r, ret);
}

uint64_t scope_clock_ns(const struct scope_clock *c, uint64_t ticks) {
    return c->origin_ns + (uint64_t)(int64_t)llroundl((long double)(int64_t)(ticks - c->origin_ticks) * (long double)c->ns_per_tick);
}
