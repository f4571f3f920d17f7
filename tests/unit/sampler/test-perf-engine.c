/* SPDX-License-Identifier: MIT */
/* The perf engine on a real child: needs perf_event_open, as everything that records. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/engine.h"
#include "sampler/launch.h"
#include "tests/check.h"

/* What came out of all sources, once. */
struct seen {
    uint64_t samples, weight, with_stack, execs, mappings, exits, forks, lost;
    uint64_t told; /* sum of RAW_TASK_CPU */
    uint64_t first_sample_time, exec_time;
    uint64_t rusage;   /* user and system time, ns */
    uint64_t possible; /* the CPU time there was while it ran, ns */
};

static void see(struct seen *seen, const struct raw_event *event) {
    switch (event->type) {
    case RAW_SAMPLE:
        seen->samples++;
        seen->weight += event->sample.weight;
        seen->with_stack += event->sample.stack_length > 0 && event->sample.abi == RAW_ABI_64;
        if (!seen->first_sample_time || event->time < seen->first_sample_time)
            seen->first_sample_time = event->time;
        return;
    case RAW_MAPPING:
        seen->mappings += event->mapping.is_executable && (event->mapping.build_id_length > 0 || event->mapping.path[0]);
        return;
    case RAW_TASK:
        seen->execs += event->task.change == RAW_TASK_EXEC;
        seen->forks += event->task.change == RAW_TASK_FORK;
        seen->exits += event->task.change == RAW_TASK_EXIT;
        if (event->task.change == RAW_TASK_EXEC)
            seen->exec_time = event->time;
        if (event->task.change == RAW_TASK_CPU)
            seen->told += event->task.cpu_time;
        return;
    case RAW_LOSS:
        seen->lost += event->loss.count;
        return;
    case RAW_SWITCH:
        return;
    }
}

static void drain(struct engine *engine, struct seen *seen) {
    struct raw_source **sources;
    size_t count = engine->ops->sources(engine, &sources);
    for (size_t i = 0; i < count; i++) {
        struct raw_source *source = sources[i];
        if (source->refresh)
            source->refresh(source);
        uint64_t time;
        struct raw_event event;
        while (source->peek(source, &time)) {
            source->next(source, &event);
            see(seen, &event);
        }
        if (source->release)
            source->release(source);
    }
}

static void record(const char *script, const char *event, struct seen *seen, struct engine_totals *totals) {
    *seen = (struct seen){0};
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, strdup(script), NULL};
    struct launch launch;
    CHECK_EQ(launch_fork(argv, &mask, &launch), 0);
    struct engine_request request = {.pid = launch.pid, .event = event, .hz = 997, .stack_size = 8192, .inherit = true};
    struct engine *engine;
    char problem[ENGINE_PROBLEM_MAX];
    if (perf_engine_open(&request, &engine, problem) < 0)
        CHECK_FAIL("%s", problem);
    uint64_t begin = clock_now();
    CHECK_EQ(launch_go(&launch, NULL), 0);
    siginfo_t info = {0};
    while (info.si_pid == 0) {
        CHECK_EQ(waitid(P_PID, (id_t)launch.pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        drain(engine, seen);
        usleep(2000);
    }
    seen->possible = (clock_now() - begin) * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    engine->ops->stop(engine);
    drain(engine, seen);
    engine->ops->settle(engine, totals);
    drain(engine, seen);
    engine->ops->close(engine);
    struct rusage usage;
    wait4(launch.pid, NULL, 0, &usage);
    seen->rusage = 1000 * (1000000 * (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    free(argv[2]);
}

TEST(samples_mappings_and_the_exact_time) {
    struct seen seen;
    struct engine_totals totals;
    record("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done", "cpu-clock", &seen, &totals);
    CHECK(!check_failed);
    CHECK(seen.samples > 10);
    CHECK_EQ(seen.with_stack, seen.samples);
    CHECK(seen.first_sample_time >= seen.exec_time);
    CHECK_EQ(seen.execs, 1);
    CHECK_EQ(seen.exits, 1);
    CHECK_EQ(seen.forks, 0);
    CHECK(seen.mappings >= 3);
    CHECK(totals.has_exact_cpu);
    CHECK_EQ(seen.told, totals.exact_cpu);
    CHECK_EQ(totals.told_cpu, totals.exact_cpu);
    CHECK_EQ(totals.threads_told, 1);
    CHECK_EQ(totals.threads_living, 0);
    CHECK(seen.weight <= totals.exact_cpu + 1003009);
}

/*
 * Records until every thread has told its time, ten times at most: once in some hundred runs of 6.18, more often under load, a second
 * thread is silent too, and then nobody can be told the rest.
 */
static void record_all_told(const char *script, const char *event, struct seen *seen, struct engine_totals *totals) {
    for (int i = 0; i < 10; i++) {
        record(script, event, seen, totals);
        if (check_failed || seen->told == totals->exact_cpu)
            return;
    }
}

/* Also the regression test for READ records tearing the side-band ring (see perf-engine.h). */
TEST(many_short_children_all_tell_their_time) {
    struct seen seen;
    struct engine_totals totals;
    record_all_told("i=0; while [ $i -lt 60 ]; do i=$((i+1)); /bin/true & done; wait", "cpu-clock", &seen, &totals);
    CHECK(!check_failed);
    CHECK_EQ(seen.lost, 0);
    CHECK_EQ(seen.forks, 60);
    CHECK_EQ(seen.exits, 61);
    CHECK_EQ(seen.execs, 61);
    CHECK_EQ(totals.threads_told, 61);
    CHECK_EQ(seen.told, totals.exact_cpu);
}

/*
 * Tasks with equal events, which the scheduler swaps (see perf-engine.h): the counts must come out right all the same. They may be more
 * than rusage says, which leaves out what interrupts took while the tasks were on a CPU, and a hypervisor.
 */
static void check_total(const char *event) {
    struct seen seen;
    struct engine_totals totals;
    record_all_told("f() { i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; }; f & f & f & f & f & wait", event, &seen, &totals);
    CHECK(!check_failed);
    CHECK(totals.exact_cpu > seen.rusage * 95 / 100);
    CHECK(totals.exact_cpu < seen.possible);
    CHECK_EQ(seen.told, totals.exact_cpu);
}

TEST(the_exact_time_survives_the_scheduler) {
    check_total("cpu-clock");
    CHECK(!check_failed);
    check_total("task-clock");
    CHECK(!check_failed);
    check_total("page-faults");
}

TEST(events_other_than_time_weigh_by_period) {
    struct seen seen;
    struct engine_totals totals;
    record("i=0; while [ $i -lt 20 ]; do i=$((i+1)); /bin/true; done", "page-faults", &seen, &totals);
    CHECK(!check_failed);
    CHECK(seen.samples > 0);
    CHECK(seen.weight >= seen.samples);
}

TEST(a_command_that_is_not_there) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    char *argv[] = {(char[]){"/no/such/program"}, NULL};
    struct launch launch;
    CHECK_EQ(launch_find(argv[0]), -ENOENT);
    CHECK_EQ(launch_fork(argv, &mask, &launch), 0);
    CHECK_EQ(launch_go(&launch, NULL), ENOENT);
    CHECK_EQ(waitpid(launch.pid, NULL, 0), -1); /* it is reaped */
    CHECK_EQ(launch_exit_status(ENOENT), 127);
    CHECK_EQ(launch_exit_status(EACCES), 126);
}

TEST(a_launch_that_is_called_off_runs_nothing) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    char path[] = "/tmp/cprof-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    char *argv[] = {(char[]){"rm"}, path, NULL};
    struct launch launch;
    CHECK_EQ(launch_fork(argv, &mask, &launch), 0);
    launch_cancel(&launch);
    CHECK_EQ(unlink(path), 0);
}

TEST(commands_are_found_as_execvp_finds_them) {
    setenv("PATH", "/bin:/usr/bin", 1);
    CHECK_EQ(launch_find("sh"), 0);
    CHECK_EQ(launch_find("/bin/sh"), 0);
    CHECK_EQ(launch_find("/"), -EACCES);
    CHECK_EQ(launch_find("no-such-command-anywhere"), -ENOENT);
    CHECK_EQ(launch_find(""), -ENOENT);
    CHECK_EQ(launch_find("/etc/passwd"), -EACCES);
}

TEST_MAIN()
