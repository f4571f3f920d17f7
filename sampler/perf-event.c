/* SPDX-License-Identifier: MIT */
#include "sampler/perf-event.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

#define CACHE(cache, op, result) \
    (PERF_COUNT_HW_CACHE_##cache | (PERF_COUNT_HW_CACHE_OP_##op << 8) | (PERF_COUNT_HW_CACHE_RESULT_##result << 16))

/* Named as perf(1) names them. */
static const struct perf_event_kind kinds[] = {
    {"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, "ns", "on-CPU time", false, false},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, "ns", "on-CPU time", false, false},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, "events", "page faults", false, false},
    {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, "events", "page faults without I/O", false, false},
    {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ, "events", "page faults with I/O", false, false},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, "events", "context switches", false, true},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, "events", "moves to another CPU", false, true},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, "events", "CPU cycles", true, false},
    {"ref-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES, "events", "reference cycles", true, false},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, "events", "instructions retired", true, false},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, "events", "branches retired", true, false},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, "events", "branches predicted wrong", true, false},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES, "events", "cache references", true, false},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, "events", "cache misses", true, false},
    {"L1-dcache-load-misses", PERF_TYPE_HW_CACHE, CACHE(L1D, READ, MISS), "events", "L1 data loads missed", true, false},
    {"LLC-load-misses", PERF_TYPE_HW_CACHE, CACHE(LL, READ, MISS), "events", "last-level loads missed", true, false},
    {"dTLB-load-misses", PERF_TYPE_HW_CACHE, CACHE(DTLB, READ, MISS), "events", "data TLB loads missed", true, false},
};

const struct perf_event_kind *perf_event_find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

const struct perf_event_kind *perf_event_at(size_t i) {
    return i < ARRAY_SIZE(kinds) ? &kinds[i] : NULL;
}

bool perf_event_is_time(const struct perf_event_kind *kind) {
    return strcmp(kind->unit, "ns") == 0;
}

/*
 * A wake-up costs about as much as ten samples, so the fewer the better. But a round leaves in the ring what came since the round before,
 * so at the next wake-up it holds twice the watermark, and the rest must last until we run: a third of it, if that is 25 ms of one busy
 * CPU; else half of it.
 */
static uint32_t samples_watermark(const struct perf_request *request, uint32_t ring_size) {
    uint64_t record = (uint64_t)request->stack_size + 512, third = ring_size / 3;
    return (uint32_t)(third / record * 1000 >= (uint64_t)request->hz * 25 ? third : ring_size / 4);
}

static void ask_for_samples(const struct perf_request *request, const struct perf_features *features, uint32_t ring_size,
                            struct perf_event_attr *attr) {
    attr->type = request->kind->type;
    attr->config = request->kind->config;
    if (!request->hz) {
        attr->type = PERF_TYPE_SOFTWARE;
        attr->config = PERF_COUNT_SW_DUMMY;
    } else if (perf_event_is_time(request->kind)) {
        attr->sample_period = perf_event_period(request->hz);
    } else {
        attr->freq = 1;
        attr->sample_freq = request->hz;
    }
    attr->sample_stack_user = request->stack_size;
    attr->exclude_kernel = !features->kernel;
    attr->exclude_callchain_user = 1; /* the kernel would walk frame pointers, which are not there */
    attr->read_format = features->format_lost ? (uint64_t)PERF_FORMAT_LOST : 0;
    attr->wakeup_watermark = samples_watermark(request, ring_size);
}

static void ask_for_sideband(const struct perf_features *features, struct perf_event_attr *attr) {
    attr->type = PERF_TYPE_SOFTWARE;
    attr->config = PERF_COUNT_SW_DUMMY;
    attr->mmap = 1;
    attr->mmap2 = 1;
    attr->build_id = features->build_id;
    attr->comm = 1;
    attr->comm_exec = 1;
    attr->task = 1;
    attr->exclude_kernel = 1;
    attr->wakeup_watermark = 1; /* at once: a process that lives a millisecond still has files to open */
}

static void ask_for_clock(uint32_t ring_size, struct perf_event_attr *attr) {
    attr->type = PERF_TYPE_SOFTWARE;
    attr->config = PERF_COUNT_SW_TASK_CLOCK;
    attr->inherit_stat = 1;
    attr->exclude_kernel = 1; /* needs no leave, and a clock counts kernel time all the same */
    attr->wakeup_watermark = ring_size / 4;
}

static void ask_for_switches(uint32_t ring_size, struct perf_event_attr *attr) {
    attr->type = PERF_TYPE_SOFTWARE;
    attr->config = PERF_COUNT_SW_DUMMY;
    attr->context_switch = 1;
    attr->exclude_kernel = 1;
    attr->enable_on_exec = 0; /* perf_engine_watch_switches */
    attr->wakeup_watermark = ring_size / 4;
}

void perf_event_attributes(const struct perf_request *request, const struct perf_features *features, enum perf_role role,
                           uint32_t ring_size, struct perf_event_attr *ret) {
    const struct perf_layout layout = perf_layout_live(role, features->kernel);
    *ret = (struct perf_event_attr){
        .size = sizeof *ret,
        .sample_type = layout.sample_type,
        .sample_regs_user = layout.user_registers,
        .sample_id_all = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC_RAW,
        .disabled = 1,
        .enable_on_exec = 1,
        .inherit = 1,
        .inherit_thread = !request->inherit,
        .exclude_hv = 1,
        .watermark = 1,
    };
    switch (role) {
    case PERF_ROLE_SAMPLES:
        ask_for_samples(request, features, ring_size, ret);
        return;
    case PERF_ROLE_SIDEBAND:
        ask_for_sideband(features, ret);
        return;
    case PERF_ROLE_CLOCK:
        ask_for_clock(ring_size, ret);
        return;
    case PERF_ROLE_SWITCHES:
        ask_for_switches(ring_size, ret);
        return;
    }
}

int perf_event_open(struct perf_event_attr *attr, int pid, int cpu, int group) {
    long fd = syscall(SYS_perf_event_open, attr, pid, cpu, group, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}
