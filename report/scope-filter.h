/* SPDX-License-Identifier: MIT */
/*
 * --in-scope and --slowest: samples taken while a scope of a given name was open, or a slow instance of it alone.
 *
 * A nested scope is on the sampled stack; a span is not, and slow instances are told from others by time alone. For those a sample is
 * looked up among the instances that the recording tells one by one: those that held samples, and took as long as its fact "scope event
 * ns".
 */
#pragma once

#include "report/options.h"
#include "report/scope-samples.h"

struct scope_filter {
    bool *nodes;           /* by node id: the scope is on the stack; NULL: that does not matter */
    bool by_window;        /* the moment has to lie in one of `windows` */
    scope_windows windows; /* joined */
    uint64_t instances;    /* behind the windows */
    double floor;          /* ns: what an instance took at least */
    uint64_t unlisted_ns;  /* instances below this are not told one by one */
};

/* A zeroed one lets everything pass. -ESRCH: no scope of that name. -ENODATA: the clock is not known. -ENOMEM. */
int scope_filter_build(const struct recording *r, const struct report_options *o, struct scope_filter *ret);
void scope_filter_free(struct scope_filter *f);
