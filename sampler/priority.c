/* SPDX-License-Identifier: MIT */
#include "sampler/priority.h"

#include <assert.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The right of everybody: to ask for short slices (Linux 6.12, SCHED_OTHER). Who runs for 0.1 ms at a time has an early deadline whenever
 * it wakes, so it need not wait until each of a hundred busy threads has had its 3 ms; its share of the CPU stays the same.
 */
static int ask_for_short_slices(void) {
    enum { SLICE_NS = 100000 };
    /* struct sched_attr of include/uapi/linux/sched/types.h, SCHED_ATTR_SIZE_VER0: libc has no name for it yet */
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wanted = {.size = sizeof wanted, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0), .runtime = SLICE_NS};
    static_assert(sizeof wanted == 48, "SCHED_ATTR_SIZE_VER0");
    return (int)syscall(SYS_sched_setattr, 0, &wanted, 0);
}

const char *priority_raise(void) {
    /* The kernel stops a real-time thread that takes all of a CPU (sched_rt_runtime_us), so a recorder gone wild takes 95 % at most. */
    struct sched_param lowest = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0)
        return "SCHED_FIFO";
    struct sched_param none = {0};
    if (setpriority(PRIO_PROCESS, 0, -10) == 0) {
        (void)sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
        return "nice -10";
    }
    return ask_for_short_slices() == 0 ? "as started, in short slices" : "as started";
}

void priority_lower(void) {
    struct sched_param none = {0};
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    if (getpriority(PRIO_PROCESS, 0) < 0)
        (void)setpriority(PRIO_PROCESS, 0, 0);
}
