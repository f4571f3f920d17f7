/* SPDX-License-Identifier: MIT */
#include "sampler/perf-engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

static struct perf_engine *of(struct engine *base) {
    return (struct perf_engine *)base; /* its first member */
}

static size_t perf_sources(struct engine *base, struct raw_source ***ret) {
    *ret = of(base)->sources.items;
    return of(base)->sources.count;
}

static void perf_describe(const struct engine *base, struct engine_facts *ret) {
    const struct perf_engine *engine = (const struct perf_engine *)base;
    const struct perf_event_kind *kind = engine->request.kind;
    bool is_time = perf_event_is_time(kind);
    *ret = (struct engine_facts){
        .name = "perf",
        .event = {.name = kind->name,
                  .unit = kind->unit,
                  .clock = kind->clock,
                  .source = "perf_event, per CPU, inherited",
                  .blind = engine->features.kernel ? "" : "kernel mode",
                  .period = is_time ? perf_event_period(engine->request.hz) : 0,
                  .weights = 1,
                  .is_untested = kind->is_untested},
        .has_kernel = engine->features.kernel,
        .remark = engine->remark[0] ? engine->remark : NULL,
        .ring_size = engine->ring_size,
        .stack_size = engine->request.stack_size,
        .cpus = engine->cpu_count,
        .skipped_cpus = engine->skipped_cpus,
    };
}

static int watch_role(const struct perf_engine *engine, enum perf_role role) {
    for (unsigned i = 0; i < engine->cpu_count; i++) {
        /* Edge-triggered: an event whose task is gone hangs up for ever. */
        struct epoll_event watched = {.events = EPOLLIN | EPOLLET};
        if (epoll_ctl(engine->epoll, EPOLL_CTL_ADD, engine->cpus[i].fds[role], &watched) < 0)
            return -errno;
    }
    return 0;
}

static int perf_watch(struct engine *base, int epoll) {
    struct perf_engine *engine = of(base);
    int error = 0;
    engine->epoll = epoll;
    for (int role = 0; role < PERF_ROLES_ALWAYS && error == 0; role++)
        error = watch_role(engine, (enum perf_role)role);
    return error;
}

static bool perf_is_urgent(struct engine *base) {
    struct perf_engine *engine = of(base);
    for (unsigned i = 0; i < engine->cpu_count; i++)
        if (perf_source_has_more(&engine->cpus[i].sources[PERF_ROLE_SIDEBAND]))
            return true;
    return false;
}

static void perf_stop(struct engine *base) {
    struct perf_engine *engine = of(base);
    for (unsigned i = 0; i < engine->cpu_count; i++)
        for (int role = 0; role < PERF_ROLES; role++)
            (void)ioctl(engine->cpus[i].fds[role], PERF_EVENT_IOC_DISABLE, 0);
}

/* The kernel counts each lost sample, but says so in the ring only before the next one that fits. */
static void note_losses(struct perf_engine *engine, struct perf_cpu *cpu, uint64_t now) {
    uint64_t counts[2]; /* value, lost */
    if (!engine->features.format_lost || read(cpu->fds[PERF_ROLE_SAMPLES], counts, sizeof counts) != (ssize_t)sizeof counts)
        return;
    uint64_t said = cpu->sources[PERF_ROLE_SAMPLES].lost;
    if (counts[1] <= said)
        return;
    struct raw_event loss = {.type = RAW_LOSS, .time = now, .loss = {.kind = RAW_LOSS_SAMPLES, .count = counts[1] - said}};
    (void)notes_add(&engine->notes, &loss);
}

/* Dated as its exit, by which the pipeline knows the thread, however long ago it ended. */
static bool note_rest(struct perf_engine *engine, uint64_t total) {
    struct raw_event rest = {.type = RAW_TASK};
    return exact_cpu_rest(&engine->exact, total, &rest.task, &rest.time) && notes_add(&engine->notes, &rest) == 0;
}

static void perf_settle(struct engine *base, struct engine_totals *ret) {
    struct perf_engine *engine = of(base);
    uint64_t now = clock_now(), total = 0;
    bool has_exact = true;
    for (unsigned i = 0; i < engine->cpu_count; i++) {
        uint64_t value = 0;
        has_exact = has_exact && read(engine->cpus[i].fds[PERF_ROLE_CLOCK], &value, sizeof value) == (ssize_t)sizeof value;
        total += value;
        note_losses(engine, &engine->cpus[i], now);
    }
    bool has_rest = has_exact && note_rest(engine, total);
    *ret = (struct engine_totals){
        .has_exact_cpu = has_exact,
        .exact_cpu = total,
        .told_cpu = has_rest ? total : engine->exact.told,
        .threads_told = engine->exact.threads + has_rest,
        .threads_living = engine->exact.living > 0 ? (uint64_t)engine->exact.living : 0,
    };
}

static int perf_watch_switches(struct engine *base, struct raw_source *ret_sources[], size_t most, size_t *ret_count) {
    struct perf_engine *engine = of(base);
    if (engine->cpu_count > most)
        return -E2BIG;
    int error = perf_map_switches(engine);
    if (error == 0)
        error = watch_role(engine, PERF_ROLE_SWITCHES);
    if (error < 0)
        return error;
    for (unsigned i = 0; i < engine->cpu_count; i++) {
        struct perf_cpu *cpu = &engine->cpus[i];
        if (ioctl(cpu->fds[PERF_ROLE_SWITCHES], PERF_EVENT_IOC_ENABLE, 0) < 0)
            return -errno;
        ret_sources[i] = &cpu->sources[PERF_ROLE_SWITCHES].base;
    }
    *ret_count = engine->cpu_count;
    return 0;
}

static void perf_close(struct engine *base) {
    struct perf_engine *engine = of(base);
    perf_close_rings(engine);
    free(engine->cpus);
    vec_free(&engine->online);
    exact_cpu_free(&engine->exact);
    notes_free(&engine->notes);
    vec_free(&engine->sources);
    free(engine);
}

static const struct engine_ops perf_ops = {
    .sources = perf_sources,
    .describe = perf_describe,
    .watch = perf_watch,
    .is_urgent = perf_is_urgent,
    .stop = perf_stop,
    .settle = perf_settle,
    .watch_switches = perf_watch_switches,
    .close = perf_close,
};

static int add_source(struct perf_engine *engine, struct raw_source *source) {
    struct raw_source **added = vec_push(&engine->sources);
    if (!added)
        return -ENOMEM;
    *added = source;
    return 0;
}

static int make_sources(struct perf_engine *engine) {
    exact_cpu_init(&engine->exact, engine->cpu_count);
    for (unsigned i = 0; i < engine->cpu_count; i++) {
        for (int role = 0; role < PERF_ROLES; role++) {
            struct perf_layout layout = perf_layout_live((enum perf_role)role, engine->features.kernel);
            layout.event = ENGINE_EVENT;
            layout.fixed_weight = perf_event_is_time(engine->request.kind) ? perf_event_period(engine->request.hz) : 0;
            struct perf_source *source = &engine->cpus[i].sources[role];
            perf_source_init(source, &layout, role == PERF_ROLE_SIDEBAND || role == PERF_ROLE_CLOCK ? &engine->exact : NULL);
            if (role < PERF_ROLES_ALWAYS && add_source(engine, &source->base) < 0)
                return -ENOMEM;
        }
    }
    notes_init(&engine->notes);
    return add_source(engine, &engine->notes.base);
}

int perf_engine_open(const struct engine_request *request, struct engine **ret, char ret_problem[ENGINE_PROBLEM_MAX]) {
    struct perf_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "out of memory");
        return -ENOMEM;
    }
    engine->base.ops = &perf_ops;
    engine->request = (struct perf_request){
        .kind = perf_event_find(request->event), .hz = request->hz, .stack_size = request->stack_size, .inherit = request->inherit};
    snprintf(ret_problem, ENGINE_PROBLEM_MAX, "out of memory");
    int error = perf_open_features(engine, request->pid, ret_problem);
    if (error == 0)
        error = perf_open_rings(engine, request->pid, ret_problem);
    if (error == 0)
        error = make_sources(engine);
    if (error < 0) {
        perf_close(&engine->base);
        return error;
    }
    *ret = &engine->base;
    return 0;
}
