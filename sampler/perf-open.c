/* SPDX-License-Identifier: MIT */
/* Opening the perf engine: what this kernel and this user allow is found by trying, best first, on the first CPU. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sampler/perf-engine.h"

enum {
    SAMPLES_RING_MAX = 4 << 20, /* at 64 KiB of stack and 997 Hz, 62 ms */
    SAMPLES_RING_MIN = 16 << 10,
    SAMPLES_IN_RING = 16, /* at least, unless the size of the stack copies was asked for */
    SIDEBAND_RING_MAX = 128 << 10,
    CLOCK_RING_MAX = 128 << 10,    /* 2,300 threads that end at once */
    SWITCHES_RING_MAX = 128 << 10, /* 3,276 switches; at least 20 ms */
    RECORD_OVERHEAD = 2048,        /* registers, kernel chain */
};

static int read_number(const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    int value;
    return file && fscanf(file, "%d", &value) == 1 ? value : -1;
}

static int paranoid_level(void) {
    return read_number("/proc/sys/kernel/perf_event_paranoid");
}

static void explain_open(const struct perf_engine *engine, int error, char problem[ENGINE_PROBLEM_MAX]) {
    const char *event = engine->request.kind->name;
    int paranoid = paranoid_level();
    switch (-error) {
    case EACCES:
    case EPERM:
        if (paranoid > 2)
            snprintf(problem, ENGINE_PROBLEM_MAX,
                     "perf_event_open is not allowed (kernel.perf_event_paranoid is %d); mend it with: sysctl kernel.perf_event_paranoid=2",
                     paranoid);
        else
            snprintf(problem, ENGINE_PROBLEM_MAX,
                     "perf_event_open is denied (%s; a container's seccomp filter?); mend it with: docker run --cap-add PERFMON, or run "
                     "outside the container",
                     strerror(-error));
        return;
    case ENOSYS:
        snprintf(problem, ENGINE_PROBLEM_MAX, "this kernel has no perf_event_open (CONFIG_PERF_EVENTS, or a seccomp filter denies it)");
        return;
    case ENOENT:
    case EOPNOTSUPP:
    case ENODEV:
        snprintf(problem, ENGINE_PROBLEM_MAX, "this machine cannot count %s (a virtual machine without a PMU?); use: -e cpu-clock", event);
        return;
    case EMFILE:
        snprintf(problem, ENGINE_PROBLEM_MAX, "%zu CPUs need %zu descriptors; mend it with: ulimit -n %zu", engine->online.count,
                 engine->online.count * PERF_ROLES, engine->online.count * PERF_ROLES + 64);
        return;
    default:
        snprintf(problem, ENGINE_PROBLEM_MAX, "cannot open the event %s: %s", event, strerror(-error));
        return;
    }
}

static int open_role(struct perf_engine *engine, enum perf_role role, size_t ring_size, pid_t pid, int cpu, int group) {
    struct perf_event_attr attr;
    perf_event_attributes(&engine->request, &engine->features, role, (uint32_t)ring_size, &attr);
    return perf_event_open(&attr, pid, cpu, group);
}

/* Tries the samples and the side-band on one CPU, and takes away what is refused, one feature at a time. */
static int probe_features(struct perf_engine *engine, pid_t pid, int cpu) {
    engine->features = (struct perf_features){.kernel = true, .build_id = true, .format_lost = true};
    for (;;) {
        _cleanup_close_ int samples = open_role(engine, PERF_ROLE_SAMPLES, SAMPLES_RING_MAX, pid, cpu, -1);
        if ((samples == -EACCES || samples == -EPERM) && engine->features.kernel) {
            engine->features.kernel = false;
            continue;
        }
        if (samples == -EINVAL && engine->features.format_lost) {
            engine->features.format_lost = false;
            continue;
        }
        if (samples < 0)
            return samples;
        _cleanup_close_ int sideband = open_role(engine, PERF_ROLE_SIDEBAND, SIDEBAND_RING_MAX, pid, cpu, -1);
        if (sideband == -EINVAL && engine->features.build_id) {
            engine->features.build_id = false;
            continue;
        }
        return sideband < 0 ? sideband : 0;
    }
}

/* Raises our own limit: the target was forked before and keeps its own. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int probe_first_cpu(struct perf_engine *engine, pid_t pid) {
    int error = -ENODEV;
    for (size_t i = 0; error == -ENODEV && i < engine->online.count; i++)
        error = probe_features(engine, pid, engine->online.items[i]);
    return error;
}

static void remark_user_only(struct perf_engine *engine) {
    snprintf(engine->remark, sizeof engine->remark,
             "user mode only: kernel time is counted, but not sampled (kernel.perf_event_paranoid is %d); to see it: sysctl "
             "kernel.perf_event_paranoid=1, or run as root",
             paranoid_level());
}

/* Hidden kernel addresses read as zeros. */
static bool has_kernel_names(void) {
    _cleanup_fclose_ FILE *file = fopen("/proc/kallsyms", "re");
    unsigned long long address;
    for (int line = 0; file && line < 16 && fscanf(file, "%llx %*[^\n]", &address) == 1; line++)
        if (address != 0)
            return true;
    return false;
}

static void remark_no_kernel_names(struct perf_engine *engine) {
    int restricted = read_number("/proc/sys/kernel/kptr_restrict"); /* 2: even for root */
    snprintf(engine->remark, sizeof engine->remark,
             "kernel functions have no names (kernel.kptr_restrict is %d); to see them: sysctl kernel.kptr_restrict=%s", restricted,
             restricted == 2  ? "1"
             : geteuid() == 0 ? "0"
                              : "0, or run as root");
}

int perf_open_features(struct perf_engine *engine, pid_t pid, char problem[ENGINE_PROBLEM_MAX]) {
    raise_descriptor_limit();
    int error = cpu_list_online(&engine->online);
    if (error < 0) {
        snprintf(problem, ENGINE_PROBLEM_MAX, "cannot read the list of CPUs in /sys/devices/system/cpu/online: %s", strerror(-error));
        return error;
    }
    error = probe_first_cpu(engine, pid);
    if (error < 0) {
        explain_open(engine, error, problem);
        return error;
    }
    if (!engine->features.kernel && engine->request.kind->is_in_kernel) {
        snprintf(
            problem, ENGINE_PROBLEM_MAX,
            "%s happen in the kernel, which this user may not sample; mend it with: sysctl kernel.perf_event_paranoid=1, or run as root",
            engine->request.kind->name);
        return -EACCES;
    }
    if (!engine->features.kernel)
        remark_user_only(engine);
    else if (!has_kernel_names())
        remark_no_kernel_names(engine);
    return 0;
}

/* ---- events and rings ------------------------------------------------------------------------------------------------------------ */

static struct perf_ring_sizes sizes_for(size_t samples) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t sideband = MAX(page, MIN((size_t)SIDEBAND_RING_MAX, samples / 2));
    size_t clock = MAX(page, MIN((size_t)CLOCK_RING_MAX, sideband));
    return (struct perf_ring_sizes){{[PERF_ROLE_SAMPLES] = samples,
                                     [PERF_ROLE_SIDEBAND] = sideband,
                                     [PERF_ROLE_CLOCK] = clock,
                                     [PERF_ROLE_SWITCHES] = SWITCHES_RING_MAX}};
}

/* As a group, for the sake of the order of events (see perf-engine.h). */
static int open_cpu(struct perf_engine *engine, pid_t pid, const struct perf_ring_sizes *sizes, struct perf_cpu *cpu) {
    for (int role = 0; role < PERF_ROLES; role++) {
        int fd = open_role(engine, (enum perf_role)role, sizes->bytes[role], pid, cpu->cpu, cpu->fds[0]);
        if (fd < 0)
            return fd;
        cpu->fds[role] = fd;
    }
    return 0;
}

static int open_events(struct perf_engine *engine, pid_t pid, const struct perf_ring_sizes *sizes) {
    for (size_t i = 0; i < engine->online.count; i++) {
        struct perf_cpu *cpu = &engine->cpus[engine->cpu_count++];
        *cpu = (struct perf_cpu){.cpu = engine->online.items[i], .fds = {-1, -1, -1, -1}};
        int error = open_cpu(engine, pid, sizes, cpu);
        if (error == -ENODEV && cpu->fds[0] < 0) { /* went offline */
            engine->cpu_count--;
            engine->skipped_cpus++;
        } else if (error < 0) {
            return error;
        }
    }
    return engine->cpu_count ? 0 : -ENODEV;
}

/* The small rings first, for it is they that must not overflow. */
static int map_rings(struct perf_engine *engine, const struct perf_ring_sizes *sizes) {
    for (int role = PERF_ROLES_ALWAYS - 1; role >= 0; role--) {
        for (unsigned i = 0; i < engine->cpu_count; i++) {
            int error = perf_ring_map(&engine->cpus[i].sources[role].ring, engine->cpus[i].fds[role], sizes->bytes[role]);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

int perf_map_switches(struct perf_engine *engine) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int error = -EPERM;
    for (size_t size = SWITCHES_RING_MAX; size >= page && (error == -EPERM || error == -ENOMEM); size /= 2) {
        error = 0;
        for (unsigned i = 0; i < engine->cpu_count && error == 0; i++)
            error = perf_ring_map(&engine->cpus[i].sources[PERF_ROLE_SWITCHES].ring, engine->cpus[i].fds[PERF_ROLE_SWITCHES], size);
        for (unsigned i = 0; i < engine->cpu_count && error < 0; i++)
            perf_ring_unmap(&engine->cpus[i].sources[PERF_ROLE_SWITCHES].ring);
    }
    return error;
}

void perf_close_rings(struct perf_engine *engine) {
    for (unsigned i = 0; i < engine->cpu_count; i++) {
        for (int role = 0; role < PERF_ROLES; role++) {
            perf_ring_unmap(&engine->cpus[i].sources[role].ring);
            if (engine->cpus[i].fds[role] >= 0)
                close(engine->cpus[i].fds[role]);
        }
    }
    engine->cpu_count = engine->skipped_cpus = 0;
}

static void explain_map(const struct perf_engine *engine, int error, char problem[ENGINE_PROBLEM_MAX]) {
    if (error == -EPERM)
        snprintf(problem, ENGINE_PROBLEM_MAX,
                 "not enough locked memory for the rings of %zu CPUs; mend it with: sysctl kernel.perf_event_mlock_kb=4400",
                 engine->online.count);
    else
        snprintf(problem, ENGINE_PROBLEM_MAX, "cannot map the rings: %s", strerror(-error));
}

/*
 * How much of a stack is copied when nobody asked for a size: all that a record can hold. The kernel copies no more than there is, so a
 * shallow stack costs nothing but room in the ring, and where that is scarce a shorter copy is better than a lost sample.
 */
static uint32_t stack_size_for(size_t ring_size) {
    return (uint32_t)MIN((size_t)ENGINE_STACK_MAX, ring_size / SAMPLES_IN_RING);
}

int perf_open_rings(struct perf_engine *engine, pid_t pid, char problem[ENGINE_PROBLEM_MAX]) {
    engine->cpus = calloc(engine->online.count, sizeof *engine->cpus);
    if (!engine->cpus)
        return -ENOMEM;
    bool is_asked = engine->request.stack_size != 0;
    size_t floor = is_asked ? 2 * ((size_t)engine->request.stack_size + RECORD_OVERHEAD) : SAMPLES_RING_MIN;
    int error = -EPERM;
    /* An event knows when to wake us from the time it is opened, so a smaller ring takes new events. */
    for (size_t size = SAMPLES_RING_MAX; size >= floor && (error == -EPERM || error == -ENOMEM); size /= 2) {
        struct perf_ring_sizes sizes = sizes_for(size);
        if (!is_asked)
            engine->request.stack_size = stack_size_for(size);
        error = open_events(engine, pid, &sizes);
        if (error < 0) {
            perf_close_rings(engine);
            explain_open(engine, error, problem);
            return error;
        }
        error = map_rings(engine, &sizes);
        if (error == 0) {
            engine->ring_size = size;
            return 0;
        }
        perf_close_rings(engine);
    }
    explain_map(engine, error, problem);
    return error;
}
