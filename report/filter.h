/* SPDX-License-Identifier: MIT */
/*
 * Which samples count: the options' filters, put in terms of the recording's ids once, so that asking costs one load.
 *
 * A sample passes if its event is the one asked for, its task passes (comm, pid, tid), its innermost frame lies in a module that passes,
 * and the scope asked for was open.
 */
#pragma once

#include "recording/recording.h"
#include "report/options.h"
#include "report/scope-filter.h"

struct filter {
    uint32_t event; /* id */
    bool *tasks;    /* by task id */
    bool *modules;  /* by module id; NULL: all pass, and so do frames without a module */
    struct scope_filter scope;
    bool is_narrowed; /* something but the event may keep samples out */
};

/* -ENOENT: no event of that name (or no event at all). -ESRCH: no scope of that name. */
int filter_build(const struct recording *r, const struct report_options *options, struct filter *ret);
void filter_free(struct filter *f);

/* By thread id: whether a task of it passes, whatever the event. 0 or -ENOMEM; the caller frees it. */
int filter_threads(const struct recording *r, const struct report_options *options, bool **ret);

/* Whether samples at `node` pass the filters of modules and scopes. */
bool filter_node(const struct filter *f, const struct recording *r, uint32_t node);

/* Whether a sample's moment passes; the rest is asked of its task and node. */
static inline bool filter_time(const struct filter *f, uint32_t thread, uint64_t time) {
    return !f->scope.by_window || scope_windows_hold(&f->scope.windows, thread, time);
}
