/* SPDX-License-Identifier: MIT */
#include "sampler/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pipeline/pipeline.h"
#include "sampler/message.h"
#include "sampler/perf-data-source.h"
#include "sampler/progress.h"
#include "sampler/summary.h"

enum { EXIT_OURS = 125 };

#define SLICE_NS ((uint64_t)1000000000) /* of recorded time between two looks at the disk */

struct import {
    const struct options *options;
    struct signals signals;
    struct perf_data_file *file;
    struct perf_data_source *source;
    struct recording_writer *writer;
    struct pipeline *pipeline;
};

static const char *name_of(const struct options *options) {
    return strcmp(options->from, "-") == 0 ? "standard input" : options->from;
}

static int open_input(struct import *i) {
    int fd = strcmp(i->options->from, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(i->options->from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        message("cannot read %s: %s", name_of(i->options), strerror(errno));
        return -errno;
    }
    const char *problem;
    int error = perf_data_open(fd, &i->file, &problem);
    if (error < 0)
        message("cannot read %s: %s", name_of(i->options), problem ? problem : strerror(-error));
    return error;
}

/* Each attribute that samples becomes an event of the recording when its first record comes. */
static uint16_t add_event(void *context, const struct perf_data_attr *attr) {
    struct import *i = context;
    bool is_time = attr->attr.type == PERF_TYPE_SOFTWARE &&
                   (attr->attr.config == PERF_COUNT_SW_CPU_CLOCK || attr->attr.config == PERF_COUNT_SW_TASK_CLOCK);
    if (!attr->attr.sample_period || (attr->attr.type == PERF_TYPE_SOFTWARE && attr->attr.config == PERF_COUNT_SW_DUMMY))
        return 0; /* the side-band's, which has no samples */
    struct recording_event event = {
        .name = attr->name,
        .unit = is_time ? "ns" : "events",
        .clock = is_time ? "on-CPU time" : attr->name,
        .source = "perf.data",
        .blind = attr->attr.exclude_kernel ? "kernel mode"
                 : attr->attr.exclude_user ? "user mode"
                                           : "",
        .period = attr->attr.freq ? 0 : attr->attr.sample_period,
        .weights = 1,
    };
    return (uint16_t)recording_add_event(i->writer, &event);
}

/* Is it this machine's running kernel, whose names /proc/kallsyms tells? The address of its first symbol moves at every boot. */
static bool is_our_kernel(const struct perf_data_file *file) {
    struct utsname names;
    return uname(&names) == 0 && file->hostname && file->release && strcmp(names.nodename, file->hostname) == 0 &&
           strcmp(names.release, file->release) == 0;
}

static int open_recording(struct import *i) {
    int error = recording_create(i->options->output, &i->writer);
    if (error < 0) {
        message("cannot write %s: %s", i->options->output, strerror(-error));
        return error;
    }
    recording_set(i->writer, "version", CPROF_VERSION);
    recording_set(i->writer, "engine", "perf.data");
    recording_set(i->writer, "imported from", name_of(i->options));
    if (i->file->command)
        recording_set(i->writer, "command", i->file->command);
    if (i->file->hostname)
        recording_set(i->writer, "hostname", i->file->hostname);
    if (i->file->release)
        recording_set(i->writer, "kernel", i->file->release);
    return 0;
}

static int open_pipeline(struct import *i) {
    struct pipeline_options options = {.waits = true, .has_kernel = is_our_kernel(i->file), .root = i->options->symfs, .inlines = true};
    int error = perf_data_source_new(i->file, add_event, i, &i->source);
    if (error == 0)
        error = pipeline_new(&options, i->writer, &i->pipeline);
    if (error == 0)
        error = pipeline_add_source(i->pipeline, perf_data_source_raw(i->source));
    if (error < 0)
        message("cannot start: %s", strerror(-error));
    return error;
}

/* Slice by slice, and the disk sets the pace: an import has no reason to drop anything. */
static int read_events(struct import *i) {
    struct raw_source *raw = perf_data_source_raw(i->source);
    uint64_t time;
    int error = 0;
    while (error == 0 && raw->peek(raw, &time)) {
        error = pipeline_round(i->pipeline, time > UINT64_MAX - SLICE_NS ? UINT64_MAX : time + SLICE_NS);
        if (error == 0)
            error = recording_flush(i->writer);
    }
    return error < 0 ? error : pipeline_drain(i->pipeline);
}

static int look_up_names(struct import *i) {
    struct progress progress;
    progress_begin(&progress, &i->signals, i->options->quiet);
    int error = pipeline_symbolise(i->pipeline, progress_report, &progress);
    progress_end(&progress);
    return error;
}

static void say_summary(const struct import *i, uint64_t size, bool is_unsymbolised) {
    struct engine_facts engine = {.name = "perf.data"};
    struct engine_totals totals = {0};
    struct facts_coverage coverage = {0};
    struct summary summary = {
        .options = i->options,
        .engine = &engine,
        .totals = &totals,
        .coverage = &coverage,
        .counts = pipeline_counts(i->pipeline),
        .file_size = size,
        .is_unsymbolised = is_unsymbolised,
    };
    summary_say(&summary);
    const struct perf_data_counts *counts = perf_data_source_counts(i->source);
    if (counts->unknown_event || counts->out_of_order)
        message("of %s: %" PRIu64 " records of unknown events, %" PRIu64 " out of order", name_of(i->options), counts->unknown_event,
                counts->out_of_order);
}

/* What the file itself lacked; what came before it is good. */
static void say_input_problem(const struct import *i) {
    int error = perf_data_source_error(i->source);
    if (error < 0)
        message("%s ends early: %s", name_of(i->options), i->file->problem ? i->file->problem : strerror(-error));
    else if (i->file->is_truncated)
        message("%s is cut short; what it still holds was read", name_of(i->options));
}

static int import_all(struct import *i) {
    int error = open_input(i);
    if (error == 0)
        error = open_recording(i);
    if (error == 0)
        error = open_pipeline(i);
    if (error < 0)
        return error;
    error = read_events(i);
    int names = error < 0 ? error : look_up_names(i);
    if (error == 0 && names != -ECANCELED)
        error = names;
    recording_set(i->writer, "stop reason", "all was read");
    uint64_t size = 0;
    int close_error = recording_close(TAKE_POINTER(i->writer), &size);
    error = error < 0 ? error : close_error;
    if (error < 0) {
        message("cannot write %s: %s", i->options->output, strerror(-error));
        return error;
    }
    say_input_problem(i);
    if (!i->options->quiet)
        say_summary(i, size, names == -ECANCELED);
    return perf_data_source_error(i->source);
}

int import_run(const struct options *options) {
    struct import i = {.options = options};
    int error = signals_block(&i.signals);
    if (error < 0) {
        message("cannot start: %s", strerror(-error));
        return EXIT_OURS;
    }
    error = import_all(&i);
    bool is_whole = pipeline_free(i.pipeline);
    if (i.writer)
        (void)recording_close(i.writer, NULL);
    if (i.source)
        perf_data_source_free(i.source);
    if (i.file)
        perf_data_close(i.file);
    signals_close(&i.signals);
    int status = error < 0 ? EXIT_OURS : EXIT_SUCCESS;
    if (!is_whole) /* a thread hangs, and must not be waited for */
        _exit(status);
    return status;
}
