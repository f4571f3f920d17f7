/* SPDX-License-Identifier: MIT */
#include "sampler/facts.h"

#include <inttypes.h>
#include <math.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"

__attribute__((format(printf, 3, 4))) static void set(struct recording_writer *w, const char *key, const char *format, ...) {
    _cleanup_free_ char *value = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&value, format, arguments) < 0)
        value = NULL;
    va_end(arguments);
    if (value)
        recording_set(w, key, value);
}

static void set_u64(struct recording_writer *w, const char *key, uint64_t value) {
    set(w, key, "%" PRIu64, value);
}

/* As a shell would take it back, for words that need it. */
static void put_word(struct buffer *b, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    if (*word && !word[strspn(word, plain)]) {
        buffer_put(b, word, strlen(word));
        return;
    }
    buffer_put_u8(b, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buffer_put(b, "'\\''", 4);
        else
            buffer_put_u8(b, (uint8_t)*word);
    }
    buffer_put_u8(b, '\'');
}

static void set_command(struct recording_writer *w, char *const *command) {
    struct buffer line = {0};
    for (; *command; command++) {
        if (line.length)
            buffer_put_u8(&line, ' ');
        put_word(&line, *command);
    }
    buffer_put_u8(&line, 0);
    if (!line.failed)
        recording_set(w, "command", (const char *)line.data);
    buffer_free(&line);
}

static void set_user(struct recording_writer *w) {
    const struct passwd *entry = getpwuid(geteuid());
    if (entry)
        recording_set(w, "user", entry->pw_name);
    else
        set_u64(w, "user", geteuid());
}

/* The value of the first line "model name : value" of /proc/cpuinfo. */
static void set_cpu_model(struct recording_writer *w) {
    _cleanup_fclose_ FILE *file = fopen("/proc/cpuinfo", "re");
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    while (file && getline(&line, &capacity, file) > 0) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        recording_set(w, "cpu model", colon + 1 + strspn(colon + 1, " \t"));
        return;
    }
}

static void set_sysctl(struct recording_writer *w, const char *name, const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char value[64];
    if (file && fscanf(file, "%63s", value) == 1)
        recording_set(w, name, value);
}

static void set_machine(struct recording_writer *w) {
    struct utsname names;
    if (uname(&names) == 0) {
        recording_set(w, "hostname", names.nodename);
        recording_set(w, "kernel", names.release);
    }
    set_cpu_model(w);
    set_sysctl(w, "boot id", "/proc/sys/kernel/random/boot_id"); /* kernel addresses mean something until the next boot only */
    set_sysctl(w, "kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid");
}

void facts_set_start(struct recording_writer *w, const struct options *options, const struct engine_facts *engine, pid_t pid) {
    recording_set(w, "version", CPROF_VERSION);
    set_command(w, options->command);
    _cleanup_free_ char *cwd = getcwd(NULL, 0);
    if (cwd)
        recording_set(w, "cwd", cwd);
    set_u64(w, "pid", (uint64_t)pid);
    set_user(w);
    set_machine(w);
    set_u64(w, "cpus", engine->cpus);
    set_u64(w, "cpus skipped", engine->skipped_cpus);
    recording_set(w, "engine", engine->name);
    recording_set(w, "event", engine->event.name);
    set_u64(w, "hz asked", options->hz);
    set_u64(w, "stack bytes", engine->stack_size);
    set_u64(w, "ring bytes", engine->ring_size);
    recording_set(w, "kernel samples", engine->has_kernel ? "yes" : "no");
    recording_set(w, "inherit", options->inherit ? "yes" : "no");
}

static uint64_t nanoseconds(const struct timeval *time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

/*
 * The kernel divides the exact time between user and system mode as its clock ticks fell (kernel/sched/cputime.c, cputime_adjust): `user`
 * of `all` is an estimate from a sample of all / tick draws. Its standard deviation as a fraction, by the rule of succession, so that a
 * share of which no tick was seen is not called certain.
 */
static double share_error(uint64_t user, uint64_t all) {
    struct timespec tick; /* the coarse clock moves once a tick */
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0 || all == 0)
        return 0;
    double draws = (double)all / (1e9 * (double)tick.tv_sec + (double)tick.tv_nsec), share = (double)user / (double)all;
    double likely = (draws * share + 1) / (draws + 2);
    return sqrt(likely * (1 - likely) / (draws + 3));
}

struct facts_coverage facts_coverage(const struct engine_facts *engine, const struct engine_totals *totals, const struct rusage *usage,
                                     uint64_t samples, uint64_t weight) {
    uint64_t user = nanoseconds(&usage->ru_utime), kernel = nanoseconds(&usage->ru_stime);
    uint64_t exact = totals->has_exact_cpu ? totals->exact_cpu : user + kernel; /* their sum is exact, to a microsecond */
    struct facts_coverage coverage = {.exact = exact, .told = totals->told_cpu, .visible = exact};
    if (!engine->has_kernel && !engine->weighs_kernel && user + kernel > 0) {
        coverage.visible = (uint64_t)((double)exact * (double)user / (double)(user + kernel));
        coverage.visible_error = (uint64_t)((double)exact * share_error(user, user + kernel));
    }
    if (coverage.visible > 0)
        coverage.hz_achieved = (double)samples * 1e9 / (double)coverage.visible;
    if (strcmp(engine->event.unit, "ns") == 0) {
        coverage.sampled = weight;
        if (coverage.visible > 0)
            coverage.coverage = (double)weight / (double)coverage.visible;
    }
    return coverage;
}

static void set_exit_status(struct recording_writer *w, int status) {
    if (WIFSIGNALED(status))
        set(w, "exit status", "signal %d", WTERMSIG(status));
    else
        set(w, "exit status", "%d", WEXITSTATUS(status));
}

void facts_set_end(struct recording_writer *w, const struct engine_totals *totals, const struct facts_coverage *coverage,
                   const struct rusage *usage, int status, const char *stop_reason) {
    set(w, "hz achieved", "%.1f", coverage->hz_achieved);
    recording_set(w, "stop reason", stop_reason);
    set_exit_status(w, status);
    if (coverage->exact > 0) {
        set_u64(w, "cpu exact", coverage->exact);
        set_u64(w, "cpu told", coverage->told);
        set_u64(w, "cpu visible", coverage->visible);
        if (coverage->visible_error)
            set_u64(w, "cpu visible error", coverage->visible_error);
        set_u64(w, "cpu sampled", coverage->sampled);
        set(w, "coverage", "%.4f", coverage->coverage);
    }
    set_u64(w, "cpu user", nanoseconds(&usage->ru_utime));
    set_u64(w, "cpu system", nanoseconds(&usage->ru_stime));
    set_u64(w, "threads told", totals->threads_told);
    set_u64(w, "threads living", totals->threads_living);
    if (totals->blocking)
        recording_set(w, "signal blocked", totals->blocking);
    for (size_t i = 0; i < ENGINE_COUNTS_MAX && totals->counts[i].name; i++)
        recording_set_counter(w, totals->counts[i].name, totals->counts[i].value);
}
