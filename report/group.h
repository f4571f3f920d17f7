/* SPDX-License-Identifier: MIT */
/* Groups of tasks: what a view does not tell apart by comm, pid or tid counts as one. */
#pragma once

#include "recording/recording.h"
#include "report/filter.h"

struct group {
    const char *comm; /* raw; "" when not told apart */
    uint32_t pid, tid;
};

struct groups {
    VEC(struct group) items;
    uint32_t *of_task; /* by task id; RECORDING_NONE: the filter keeps the task out */
};

/* `keys`: of KEY_COMM, KEY_PID, KEY_TID. 0 or -ENOMEM. */
int groups_build(const struct recording *r, const struct filter *filter, unsigned keys, struct groups *ret);
void groups_free(struct groups *g);
