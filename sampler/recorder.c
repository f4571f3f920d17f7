/* SPDX-License-Identifier: MIT */
#include "sampler/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sampler/message.h"
#include "sampler/priority.h"
#include "sampler/progress.h"
#include "sampler/summary.h"

enum {
    RECORDER_CPUS_MAX = 4096,
    EXIT_OURS = 125,
    SLEEP_MS = 100,      /* the longest between two rounds */
    URGENT_SLEEP_MS = 1, /* while a mapping waits for its turn */
    ROUND_NS = 1000000,  /* the shortest between two rounds */
};

/* ---- opening: nothing has run yet, and every failure calls the child off --------------------------------------------------------- */

static void add_clock_pair(struct recorder *r) {
    uint64_t before = clock_now(), realtime = clock_read(CLOCK_REALTIME), tsc = clock_cycles(), after = clock_now();
    recording_add_clock_pair(r->writer, before + (after - before) / 2, realtime, tsc);
}

/* Where perf_event_open is not allowed. */
static int open_instead(struct recorder *r, const struct engine_request *request, const char *perf_problem) {
    char problem[ENGINE_PROBLEM_MAX];
    int error = signal_engine_open(request, &r->engine, problem);
    if (error < 0)
        message("%s; nor can it be sampled from inside: %s", perf_problem, problem);
    else if (!r->options->quiet)
        message("engine signal, sampling from inside: %s", perf_problem);
    return error;
}

static int open_engine(struct recorder *r) {
    struct engine_request request = {
        .pid = r->launch.pid,
        .program = r->options->command[0],
        .event = r->options->event,
        .hz = r->options->hz,
        .stack_size = r->options->stack_size,
        .signal_clock = r->options->signal_clock,
        .inherit = r->options->inherit,
    };
    char problem[ENGINE_PROBLEM_MAX];
    enum engine_choice choice = r->options->engine;
    int error =
        choice == ENGINE_SIGNAL ? signal_engine_open(&request, &r->engine, problem) : perf_engine_open(&request, &r->engine, problem);
    if (error < 0 && choice == ENGINE_AUTO)
        error = open_instead(r, &request, problem);
    else if (error < 0)
        message("%s", problem);
    if (error < 0)
        return error;
    r->engine->ops->describe(r->engine, &r->facts);
    return 0;
}

static int open_recording(struct recorder *r) {
    r->has_previous = access(r->options->output, F_OK) == 0;
    int error = recording_create(r->options->output, &r->writer);
    if (error < 0) {
        message("cannot write %s: %s", r->options->output, strerror(-error));
        return error;
    }
    facts_set_start(r->writer, r->options, &r->facts, r->launch.pid);
    (void)recording_add_event(r->writer, &r->facts.event); /* the first is ENGINE_EVENT */
    add_clock_pair(r);
    return 0;
}

static int open_pipeline(struct recorder *r) {
    struct pipeline_options options = {.is_live = true, .has_kernel = r->facts.has_kernel, .root = "", .inlines = true};
    int error = pipeline_new(&options, r->writer, &r->pipeline);
    struct raw_source **sources;
    size_t count = r->engine->ops->sources(r->engine, &sources);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = pipeline_add_source(r->pipeline, sources[i]);
    if (error < 0)
        message("cannot start: %s", strerror(-error));
    return error;
}

/* Without them the recording is what it would be for a program that has none. */
static int open_scopes(struct recorder *r) {
    int error = scope_service_open(&r->scopes, r->facts.event.period);
    if (error < 0)
        message("scopes of annotated programs are not recorded: %s", strerror(-error));
    const char *const *engines = r->facts.environment;
    for (; engines && *engines; engines++) {
        const char **slot = vec_push(&r->environment);
        if (!slot)
            return -ENOMEM;
        *slot = *engines;
    }
    if (!vec_reserve(&r->environment, r->environment.count + 2))
        return -ENOMEM;
    if (r->scopes.variable[0])
        r->environment.items[r->environment.count++] = r->scopes.variable;
    r->environment.items[r->environment.count] = NULL;
    return 0;
}

static int open_epoll(struct recorder *r) {
    struct epoll_event watched = {.events = EPOLLIN};
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    int error = r->epoll < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->signals.fd, &watched) < 0 ? -errno : 0;
    if (error == 0 && r->scopes.variable[0])
        error = epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->scopes.wake, &(struct epoll_event){.events = EPOLLIN | EPOLLET}) < 0 ? -errno : 0;
    if (error == 0)
        error = r->engine->ops->watch(r->engine, r->epoll);
    if (error < 0)
        message("cannot watch the rings: %s", strerror(-error));
    return error;
}

static int open_all(struct recorder *r) {
    int error = open_engine(r);
    if (error == 0)
        error = open_recording(r);
    if (error == 0)
        error = open_pipeline(r);
    if (error == 0)
        error = open_scopes(r);
    if (error == 0)
        error = open_epoll(r);
    if (error == 0 && (error = target_init(&r->target, r->launch.pid, r->options->wait_all)) < 0)
        message("cannot wait for all descendants: %s", strerror(-error));
    return error;
}

/* ---- while the target runs ------------------------------------------------------------------------------------------------------- */

static void handle_signals(struct recorder *r) {
    int signal;
    enum signal_action action;
    while (signals_next(&r->signals, &signal, &action)) {
        switch (action) {
        case SIGNAL_NOTHING:
            break;
        case SIGNAL_PASS_ON:
            target_signal(&r->target, signal);
            break;
        case SIGNAL_KILL_TARGET:
            target_signal(&r->target, SIGKILL);
            break;
        case SIGNAL_CHILD:
            target_look(&r->target);
            break;
        }
    }
}

/* The disk's error ends the recording, said at once; the target goes on without it. */
static void note_disk_error(struct recorder *r, int error) {
    if (error >= 0 || r->disk_error)
        return;
    r->disk_error = error;
    r->engine->ops->stop(r->engine);
    (void)scope_service_ready(&r->scopes);
    message("cannot write %s: %s; the recording ends here, %s goes on", r->options->output, strerror(-error), r->options->command[0]);
}

/* From the first annotated process on the kernel tells when threads leave a CPU. */
static void watch_switches(struct recorder *r) {
    struct raw_source *sources[RECORDER_CPUS_MAX];
    size_t count = 0;
    if (!r->engine->ops->watch_switches) {
        r->off_cpu = "no: the signal engine does not see context switches";
        return;
    }
    int error = r->engine->ops->watch_switches(r->engine, sources, ARRAY_SIZE(sources), &count);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = pipeline_add_source(r->pipeline, sources[i]);
    r->off_cpu =
        error == 0 ? "yes" : "no: no locked memory was left for the rings of context switches; see sysctl kernel.perf_event_mlock_kb";
}

/* The first annotated process waits for this. */
static void begin_scopes(struct recorder *r) {
    watch_switches(r);
    if (!scope_service_ready(&r->scopes))
        r->off_cpu = "no: the recorder was held up, and saw them too late";
    scope_service_set_facts(&r->scopes, r->writer, r->off_cpu);
}

static void take_scopes(struct recorder *r) {
    if (scope_service_take(&r->scopes, r->pipeline) && !r->off_cpu)
        begin_scopes(r);
    scope_service_tick(&r->scopes, r->pipeline, r->writer);
}

/* An event may be applied once it is older than the round before: by then whatever happened earlier on other CPUs has arrived. */
static void do_round(struct recorder *r) {
    uint64_t now = clock_now();
    take_scopes(r);
    note_disk_error(r, pipeline_round(r->pipeline, r->previous_round));
    r->previous_round = now;
}

static void pause_since_round(const struct recorder *r) {
    uint64_t since = clock_now() - r->previous_round;
    if (since < ROUND_NS) {
        struct timespec rest = {.tv_nsec = (long)(ROUND_NS - since)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
    }
}

static void drain(struct recorder *r) {
    r->previous_round = clock_now();
    while (!r->target.is_over) {
        int timeout = r->disk_error ? -1 : r->engine->ops->is_urgent(r->engine) ? URGENT_SLEEP_MS : SLEEP_MS;
        struct epoll_event woken[16];
        (void)epoll_wait(r->epoll, woken, (int)ARRAY_SIZE(woken), timeout);
        handle_signals(r);
        if (r->disk_error || r->target.is_over)
            continue;
        pause_since_round(r);
        do_round(r);
    }
}

/* ---- the end --------------------------------------------------------------------------------------------------------------------- */

static int finish_events(struct recorder *r) {
    take_scopes(r);
    r->engine->ops->stop(r->engine);
    int error = pipeline_round(r->pipeline, UINT64_MAX);
    r->engine->ops->settle(r->engine, &r->totals);
    if (error == 0)
        error = pipeline_round(r->pipeline, UINT64_MAX); /* what settling has remarked */
    if (error == 0)
        error = pipeline_drain(r->pipeline);
    return error;
}

static void set_last_facts(struct recorder *r, struct facts_coverage *coverage) {
    const struct pipeline_counts *counts = pipeline_counts(r->pipeline);
    *coverage = facts_coverage(&r->facts, &r->totals, &r->target.usage, counts->samples, counts->weight);
    const char *reason = r->options->wait_all ? "all descendants ended" : "the command ended";
    scope_service_set_last_facts(&r->scopes, r->writer);
    facts_set_end(r->writer, &r->totals, coverage, &r->target.usage, r->target.status, reason);
    add_clock_pair(r);
}

/* The command could not be executed after all: no recording, and the one before back in its place. */
static void discard_recording(struct recorder *r) {
    (void)recording_close(r->writer, NULL);
    r->writer = NULL;
    _cleanup_free_ char *old = NULL;
    if (asprintf(&old, "%s.old", r->options->output) < 0)
        old = NULL;
    struct stat info;
    if (lstat(r->options->output, &info) < 0 || !S_ISREG(info.st_mode)) /* a pipe or a device stays */
        return;
    if (unlink(r->options->output) == 0 && old && r->has_previous)
        (void)rename(old, r->options->output);
}

/* 0, -ECANCELED if it was interrupted, or the disk's error. What was recorded is in the file before it begins. */
static int look_up_names(struct recorder *r) {
    int error = recording_flush(r->writer);
    if (error < 0)
        return error;
    struct progress progress;
    progress_begin(&progress, &r->signals, r->options->quiet);
    error = pipeline_symbolise(r->pipeline, progress_report, &progress);
    progress_end(&progress);
    return error;
}

static void say_summary(struct recorder *r, const struct facts_coverage *coverage, uint64_t size, bool is_unsymbolised) {
    struct summary summary = {
        .options = r->options,
        .engine = &r->facts,
        .totals = &r->totals,
        .coverage = coverage,
        .counts = pipeline_counts(r->pipeline),
        .file_size = size,
        .other_libraries = scope_service_other_versions(&r->scopes),
        .is_unsymbolised = is_unsymbolised,
    };
    summary_say(&summary);
}

static int finish(struct recorder *r) {
    priority_lower();
    struct facts_coverage coverage = {0};
    uint64_t size = 0;
    int error = r->disk_error, names = 0;
    if (error == 0)
        error = finish_events(r);
    if (error == 0) {
        set_last_facts(r, &coverage);
        names = look_up_names(r);
        error = names == -ECANCELED ? 0 : names;
    }
    int close_error = recording_close(r->writer, &size);
    r->writer = NULL;
    if (error == 0)
        error = close_error;
    if (error == 0 && !r->options->quiet)
        say_summary(r, &coverage, size, names == -ECANCELED);
    else if (error < 0 && !r->disk_error)
        message("cannot write %s: %s", r->options->output, strerror(-error));
    return error;
}

/* False: a thread hangs, and must not be waited for. */
static bool close_all(struct recorder *r) {
    bool is_whole = pipeline_free(r->pipeline);
    if (r->writer)
        (void)recording_close(r->writer, NULL);
    scope_service_close(&r->scopes);
    vec_free(&r->environment);
    if (r->engine)
        r->engine->ops->close(r->engine);
    if (r->epoll >= 0)
        close(r->epoll);
    signals_close(&r->signals);
    return is_whole;
}

/* As the target ended, so do we. */
static int exit_as(int status) {
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    signals_die_of(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

static int run_forked(struct recorder *r) {
    if (open_all(r) < 0) {
        launch_cancel(&r->launch);
        return EXIT_OURS;
    }
    recording_set(r->writer, "drain priority", priority_raise());
    int error = launch_go(&r->launch, r->environment.items);
    if (error > 0) {
        message("cannot execute %s: %s", r->options->command[0], strerror(error));
        (void)pipeline_free(TAKE_POINTER(r->pipeline));
        discard_recording(r);
        return launch_exit_status(error);
    }
    if (error < 0) {
        message("cannot start %s: %s", r->options->command[0], strerror(-error));
        return EXIT_OURS;
    }
    drain(r);
    return finish(r) < 0 ? EXIT_OURS : -1;
}

int recorder_run(const struct options *options) {
    struct recorder r = {.options = options, .epoll = -1};
    int error = launch_find(options->command[0]);
    if (error < 0) {
        message("cannot execute %s: %s", options->command[0], strerror(-error));
        return launch_exit_status(-error);
    }
    error = signals_block(&r.signals);
    if (error == 0 && (error = launch_fork(options->command, &r.signals.original, &r.launch)) < 0)
        signals_close(&r.signals);
    if (error < 0) {
        message("cannot start: %s", strerror(-error));
        return EXIT_OURS;
    }
    int status = run_forked(&r);
    bool is_whole = close_all(&r);
    if (status < 0)
        status = exit_as(r.target.status);
    if (!is_whole)
        _exit(status);
    return status;
}
