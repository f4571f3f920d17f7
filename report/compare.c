/* SPDX-License-Identifier: MIT */
#include "report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/loglinear.h"
#include "base/macros.h"
#include "report/scope-phases.h"

/*
 * What is not the sampler's or the program's, but the method's. Within these margins nothing is called a difference:
 *
 *   MARGIN            of the expected number: the sampler's interrupt lengthens the instance it hits; the kernel starts and stops its timer
 *                     a little off the context switch that it tells of
 *   SWITCH_NS         of an instance that was off a CPU: around a context switch the sampler's timer still runs, and runs already, when the
 *                     kernel's records call the thread off
 *   RESTART_NS        of an instance that follows such a one: a sample that is due while the kernel switches is taken so long after the
 *                     thread's next start (kernel/events/core.c, perf_swevent_start_hrtimer), when another scope may have begun
 *   LATE, EARLY_NS    the kernel tells a sample's time a little after it stopped the program; the fit of the clocks
 *   INTERRUPT_NS      that an interrupt takes at most of the instance it hits, where no sample can fall
 *   PHASE_MARGIN      of the distribution of phases: interrupts that others wait for
 */
#define MARGIN       0.005
#define SWITCH_NS    20000.0
#define RESTART_NS   10000.0
#define EARLY_NS     1000.0
#define LATE_NS      6000.0
#define INTERRUPT_NS 10000.0
#define PHASE_MARGIN 0.03

#define OVERHEAD_MOST   0.20 /* instrumentation-dominated beyond this share */
#define OFF_CPU_MOST    0.50 /* then it is called off-CPU */
#define TOO_FEW         0.25 /* a 95 % interval wider than this to each side */
#define WIDE            0.10 /* an interval of expectation wider than this to each side tells nothing */
#define COVERAGE_LEAST  0.90 /* of the CPU time: where less was sampled, what was lost may be of one kind */
#define COVERAGE_COUNTS 1000 /* samples from which on the coverage is a figure */
#define WALL_LEAST      0.99

struct judge {
    const struct recording *r;
    const bool *threads;
    const struct scope_rows *rows;
    const struct scope_samples *samples;
    const struct scope_phases *phases;
    const double *switched; /* by row: instances that were off a CPU */
    struct comparisons *all;
    bool sees_kernel;
    double kernel; /* ns in the kernel, of all threads: NAN if it is not known */
    double lost;   /* samples: a full ring loses them many in a row, and a machine that stands still; whatever scope they were in */
};

static double fact_number(const struct recording *r, const char *key) {
    const char *text = recording_fact(r, key);
    return text ? strtod(text, NULL) : NAN;
}

/* ---- threads --------------------------------------------------------------------------------------------------------------------- */

/* What share of the CPU time that the event can see became samples: late timers strike all scopes alike, so expectations follow it. By
 * their number, for a sample after one left out weighs more. Of all threads together: threads of a process hand their timers on to one
 * another as they take turns on a CPU. */
static double coverage_of(const struct recording *r, const struct scope_samples *samples, double period, bool sees_kernel) {
    double exact = 0, sampled = 0, counted = 0;
    for (size_t i = 0; i < r->thread_ends.count; i++) {
        if (r->thread_ends.items[i].thread == RECORDING_NONE || !r->thread_ends.items[i].has_exact_cpu)
            continue;
        exact += (double)r->thread_ends.items[i].exact_cpu;
        sampled += (double)samples->threads[i] * period;
        counted += (double)samples->threads[i];
    }
    if (!sees_kernel) {
        exact = fact_number(r, "cpu visible");
        sampled = fact_number(r, "cpu sampled");
    }
    return counted >= COVERAGE_COUNTS && exact > 0 && sampled >= 0 ? sampled / exact : 1;
}

/* The share of its life that a thread was on a CPU, 0: not known; and how long it was not, in ns. */
static double on_cpu_share(const struct judge *j, uint32_t thread, double *ret_waited) {
    const struct recording *r = j->r;
    if (thread >= r->thread_ends.count || r->thread_ends.items[thread].thread == RECORDING_NONE ||
        !r->thread_ends.items[thread].has_exact_cpu)
        return 0;
    double life = (double)r->thread_ends.items[thread].end - (double)r->threads.items[thread].start;
    double cpu = (double)r->thread_ends.items[thread].exact_cpu;
    *ret_waited = fmax(life - cpu, 0);
    return life > 0 ? cpu / life : 0;
}

/* ---- what to expect -------------------------------------------------------------------------------------------------------------- */

/* Of what the instances add, what is left where they stand close together in their threads. */
static double variance_of(const struct judge *j, const struct scope_row *row) {
    double rate = j->rows->clock.ns_per_tick, period = (double)j->all->period, gap = INFINITY, n = (double)row->primitive;
    if (!row->primitive || !(row->max > 0))
        return row->variance;
    if (row->cpu > 0)
        gap = fmax(row->cpu - (row->total - row->off_cpu), 0) / n;
    if (!j->all->is_jittered)
        return row->variance * (isfinite(gap) ? stats_duty(row->buckets, row->min / rate, row->max / rate, rate, gap, period) : 1);
    if (row->count == row->primitive)
        return n * stats_jittered_variance(row->buckets, row->min / rate, row->max / rate, rate, gap, period);
    /* The buckets are of recursive instances too. Of all durations with this mean, equal ones vary most. */
    uint64_t one[LOGLINEAR_BUCKETS] = {1};
    return n * stats_jittered_variance(one, row->total / n, row->total / n, 1, gap, period);
}

/* Adds what one thread is to find of the site. */
static void expect_thread(const struct judge *j, const struct recording_scope *scope, struct comparison *c) {
    double period = (double)j->all->period, rate = j->rows->clock.ns_per_tick;
    double on_cpu = fmax((double)scope->total * rate - (j->rows->has_off_cpu ? (double)scope->off_cpu : 0), 0);
    double coverage = j->all->coverage, expected = on_cpu / period * coverage;
    if (coverage < COVERAGE_LEAST && !*c->reason)
        snprintf(c->reason, sizeof c->reason, "only %.0f %% of the CPU time was sampled", coverage * 100);
    if (!j->rows->has_off_cpu) {
        double waited = 0, of_wall = on_cpu_share(j, scope->thread, &waited);
        if (of_wall >= WALL_LEAST)
            c->least -= fmin(waited, on_cpu) / period; /* it may all have waited here */
        else if (!*c->reason && of_wall > 0)
            snprintf(c->reason, sizeof c->reason, "when it waited is not known, and its thread was on a CPU %.0f %% of the time",
                     of_wall * 100);
        else if (!*c->reason)
            snprintf(c->reason, sizeof c->reason, "when it waited is not known");
    }
    c->exact += on_cpu;
    c->expected += expected;
    c->least -= (double)j->samples->rootless[scope->thread];
}

/* The share of a row's instances that were off a CPU, by those that are told one by one: the long ones, so it is rather too great. */
static double switched_share(const struct judge *j, const struct scope_row *row) {
    size_t switched = 0, told = 0;
    for (size_t i = 0; i < j->r->instances.count; i++) {
        const struct recording_instance *instance = &j->r->instances.items[i];
        if (instance->site != row->site || (row->thread != RECORDING_NONE && row->thread != instance->thread))
            continue;
        told++;
        switched += instance->off_cpu > 0;
    }
    return told ? (double)switched / (double)told : 1;
}

/* Instances of other rows, in the same threads, that were off a CPU: so many starts of a thread may lie just before one of this row. */
static double switched_others(const struct judge *j, const struct scope_row *row) {
    double sum = 0;
    for (size_t i = 0; i < j->rows->items.count; i++) {
        const struct scope_row *other = &j->rows->items.items[i];
        if (other != row && other->thread == row->thread)
            sum += j->switched[i];
    }
    return fmin(sum, (double)row->primitive);
}

static void expect(const struct judge *j, struct comparison *c) {
    const struct scope_row *row = c->row;
    double period = (double)j->all->period, switched = j->switched[row - j->rows->items.items];
    for (size_t i = 0; i < j->r->scopes.count; i++) {
        const struct recording_scope *scope = &j->r->scopes.items[i];
        if (scope->site == row->site && j->threads[scope->thread] && (row->thread == RECORDING_NONE || row->thread == scope->thread))
            expect_thread(j, scope, c);
    }
    double margin = MARGIN * c->expected + j->rows->overhead_ns * (double)row->primitive / period;
    double full = c->exact / period; /* were all samples there */
    c->most = fmax(c->expected, fmin(full, c->expected + j->lost)) + margin +
              (fmin(SWITCH_NS * switched, row->off_cpu) + RESTART_NS * switched_others(j, row)) / period;
    c->least += fmin(c->expected, full - j->lost) - margin;
    if (!j->sees_kernel)
        c->least -= isnan(j->kernel) ? c->expected : fmin(c->expected, j->kernel / period);
    c->least = fmax(c->least, 0);
}

/* ---- verdicts -------------------------------------------------------------------------------------------------------------------- */

/* The distance to what may be expected, with its sign. */
static double beyond(const struct comparison *c) {
    double n = (double)c->samples;
    return n > c->most ? n - c->most : n < c->least ? n - c->least : 0;
}

/* A sampler without kernel mode: its samples are of some parts of an instance alone. Jitter is itself the guard. */
static int ask_phase(const struct judge *j, struct comparison *c) {
    static const struct scope_phase_slack slack = {EARLY_NS, LATE_NS, INTERRUPT_NS};
    const struct scope_row *row = c->row;
    if (row->unwound || j->all->is_jittered || c->expected - c->least > c->expected * WIDE)
        return 0;
    _cleanup_free_ struct stats_hit *hits = calloc(j->phases->hits.count + 1, sizeof *hits);
    if (!hits)
        return -ENOMEM;
    size_t count = scope_phases_of(j->phases, j->threads, row->thread, row->site, (double)j->all->period, &slack, hits);
    int error = stats_phase_test(hits, count, PHASE_MARGIN, sqrt(c->variance), &c->phase);
    c->has_phase = error == 0;
    return error == -ENODATA ? 0 : error;
}

static int measure(const struct judge *j, const struct scope_row *row, struct comparison *c) {
    *c = (struct comparison){.row = row, .p = -1, .phase.p = -1, .off_cpu = -1};
    c->samples = scope_samples_of(j->samples, j->threads, row->thread, row->site);
    c->samples -= MIN(c->samples, row->unfinished_samples);
    expect(j, c);
    c->variance = variance_of(j, row);
    if (j->rows->has_off_cpu && row->total > 0)
        c->off_cpu = row->off_cpu / row->total;
    c->z = c->variance > 0 ? ((double)c->samples - c->expected) / sqrt(c->variance) : 0;
    c->needed = stats_samples_needed(c->expected, c->variance, TOO_FEW);
    uint64_t spans = j->r->sites.items[row->site].kind == SITE_SPAN ? recording_counter(j->r, "span events lost") : 0;
    if (!row->count)
        snprintf(c->reason, sizeof c->reason, "no instance has ended");
    else if (spans)
        snprintf(c->reason, sizeof c->reason, "%llu spans were not told one by one", (unsigned long long)spans);
    if (*c->reason || scope_row_overhead(j->rows, row) > OVERHEAD_MOST)
        return 0;
    c->p = stats_difference_p(beyond(c), c->variance);
    return ask_phase(j, c);
}

/* A difference that something else than the sampler may have made, or that a program may have which keeps step with it. */
static bool is_excused(const struct judge *j, const struct comparison *c, char *reason, size_t size) {
    const struct scope_row *row = c->row;
    bool is_low = (double)c->samples < c->least;
    if (is_low && row->unwound)
        snprintf(reason, size, "%llu instances ended late (longjmp)", (unsigned long long)row->unwound);
    else if (!c->has_phase && !j->all->is_jittered)
        snprintf(reason, size, "it may keep step with the sampler (p %.1g): try --engine signal", fmax(c->p, 1e-99));
    else
        return false;
    return true;
}

static void judge(const struct judge *j, double alpha, struct comparison *c) {
    const struct scope_row *row = c->row;
    double half = 1.96 * sqrt(c->variance);
    if (*c->reason)
        c->kind = COMPARE_CANNOT_TELL;
    else if (scope_row_overhead(j->rows, row) > OVERHEAD_MOST)
        c->kind = COMPARE_INSTRUMENTATION;
    else if (c->has_phase && c->phase.p < alpha)
        c->kind = COMPARE_PHASE_LOCKED;
    else if (c->p < alpha)
        c->kind = is_excused(j, c, c->reason, sizeof c->reason) ? COMPARE_CANNOT_TELL : COMPARE_BIASED;
    else if (c->off_cpu > OFF_CPU_MOST)
        c->kind = COMPARE_OFF_CPU;
    else if (half > TOO_FEW * c->expected)
        c->kind = COMPARE_TOO_FEW;
    else if (c->expected - c->least > WIDE * c->expected) {
        c->kind = COMPARE_CANNOT_TELL;
        snprintf(c->reason, sizeof c->reason,
                 j->lost > WIDE / 2 * c->expected ? "too many samples were lost or late"
                 : !j->rows->has_off_cpu          ? "the little that its thread waited may all have been in it"
                 : j->sees_kernel                 ? "too many stacks end before a scope could be found"
                                                  : "its time in the kernel is not known, and was not sampled");
    } else
        c->kind = COMPARE_AGREES;
}

/* Whether a row's z says something about the variance: neither a handful of samples does, nor one whose expectation is less sure than that.
 */
static bool is_telling(const struct comparison *c) {
    double sd = sqrt(c->variance);
    return c->p >= 0 && c->variance >= 5 && c->expected >= 20 && c->expected - c->least <= sd && c->most - c->expected <= sd;
}

static int judge_all(const struct judge *j) {
    struct comparisons *all = j->all;
    double *p = calloc(2 * all->items.count + 1, sizeof *p);
    if (!p)
        return -ENOMEM;
    for (size_t i = 0; i < all->items.count; i++) {
        p[2 * i] = all->items.items[i].p;
        p[2 * i + 1] = all->items.items[i].phase.p;
    }
    int error = stats_holm(p, 2 * all->items.count);
    for (size_t i = 0; error == 0 && i < all->items.count; i++) {
        struct comparison *c = &all->items.items[i];
        if (is_telling(c)) {
            all->chi2 += c->z * c->z;
            all->tested++;
        }
        c->p = p[2 * i];
        c->phase.p = p[2 * i + 1];
        judge(j, 1.0 / COMPARE_FALSE_ALARM_ONE_IN, c);
    }
    free(p);
    return error;
}

/* Why samples of this event cannot be set beside scopes, or NULL. */
static const char *untestable(const struct recording *r, const struct recording_event *event, const struct scope_rows *rows) {
    if (!r->sample_count)
        return "there are no samples";
    if (strcmp(event->unit, "ns") || !event->period)
        return "the samples are not of CPU time with a fixed period";
    if (event->is_at_ticks)
        return "the samples were taken at the ticks of the kernel's clock, with which a program may keep step";
    return rows->items.count ? NULL : "there are no scopes";
}

int compare_scopes(const struct recording *r, uint32_t event, const bool *threads, const struct scope_rows *rows,
                   const struct scope_samples *samples, struct comparisons *ret) {
    const struct recording_event *e = &r->events.items[event];
    struct comparisons all = {.period = e->period, .is_jittered = e->is_jittered, .untestable = untestable(r, e, rows)};
    struct judge j = {.r = r, .threads = threads, .rows = rows, .samples = samples, .all = &all};
    j.sees_kernel = !strstr(e->blind, "kernel");
    all.coverage = coverage_of(r, samples, (double)e->period, j.sees_kernel);
    j.lost = (double)recording_counter(r, "samples lost") + (e->period ? (double)samples->late / (double)e->period : 0);
    j.kernel = fact_number(r, "cpu exact") - fact_number(r, "cpu visible");
    struct scope_phases phases = {0};
    _cleanup_free_ double *switched = calloc(rows->items.count + 1, sizeof *switched);
    int error = switched ? 0 : -ENOMEM;
    j.switched = switched;
    j.phases = &phases;
    if (error == 0 && !all.untestable && !all.is_jittered)
        error = scope_phases_collect(r, event, &phases);
    for (size_t i = 0; error == 0 && !all.untestable && i < rows->items.count; i++) {
        const struct scope_row *row = &rows->items.items[i];
        switched[i] = row->off_cpu > 0 ? (double)row->primitive * switched_share(&j, row) : 0;
    }
    for (size_t i = 0; error == 0 && !all.untestable && i < rows->items.count; i++) {
        if (r->sites.items[rows->items.items[i].site].kind == SITE_VALUE)
            continue;
        struct comparison *c = vec_push(&all.items);
        error = c ? measure(&j, &rows->items.items[i], c) : -ENOMEM;
    }
    if (error == 0)
        error = judge_all(&j);
    scope_phases_free(&phases);
    if (error < 0)
        comparisons_free(&all);
    else
        *ret = all;
    return error;
}

void comparisons_free(struct comparisons *c) {
    vec_free(&c->items);
}
