/* SPDX-License-Identifier: MIT */
/* The command line of cprof-report; docs/man/cprof-report.1 explains it to people. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

/* What makes two places one row of the table (--sort, as perf's). */
enum { KEY_COMM = 1 << 0, KEY_PID = 1 << 1, KEY_TID = 1 << 2, KEY_MODULE = 1 << 3, KEY_FUNCTION = 1 << 4, KEY_LINE = 1 << 5 };

enum report_order { ORDER_SELF, ORDER_TOTAL, ORDER_SAMPLES };

/* What rows of scopes are sorted by; those of names come first to last, the others greatest first. */
enum scope_order {
    SCOPE_BY_TOTAL,
    SCOPE_BY_SELF,
    SCOPE_BY_CALLS,
    SCOPE_BY_PRIMITIVE,
    SCOPE_BY_AVG,
    SCOPE_BY_MIN,
    SCOPE_BY_P50,
    SCOPE_BY_P90,
    SCOPE_BY_P99,
    SCOPE_BY_MAX,
    SCOPE_BY_NAME,
    SCOPE_BY_FILE
};

enum report_view { VIEW_TABLE, VIEW_FOLDED, VIEW_SVG, VIEW_SCOPES, VIEW_COMPARE, VIEW_HELP, VIEW_VERSION };

typedef VEC(const char *) option_strings;
typedef VEC(uint32_t) option_ids;

struct report_options {
    enum report_view view;
    const char *input;
    const char *output; /* NULL: stdout */
    const char *title;  /* of the flame graph; NULL: the command */
    const char *event;  /* NULL: the first that has samples */

    /* Filters: empty lists let everything pass. Strings point into the arguments. */
    option_strings comms, modules;
    option_ids pids, tids;
    const char *in_scope;   /* only samples inside this scope; NULL: all */
    double slowest_percent; /* and of it only inside these slowest instances; 0: all */

    unsigned keys; /* KEY_* */
    enum report_order order;
    double percent_limit;
    bool is_relative; /* percentages of what the filters let pass, not of the whole event */
    bool no_header;

    bool inlines, full_names, no_ends, by_weight;
    bool annotate_kernel, annotate_inlined, annotate_scopes;

    bool scopes;             /* show them: as a table, or as frames of stacks */
    const char *scope_match; /* only rows of scopes whose name matches; NULL: all */
    double top;              /* so many rows at most; below 1: this share of them; 0: all */
    enum scope_order scope_order;
    bool by_thread, callers, callees, slowest_list;

    bool icicle; /* the flame graph's root at the top */

    char *storage; /* the comma lists, split in place */
    size_t storage_used;
};

/* 0; or -EINVAL with what is wrong in `ret_error`, for people. */
int options_parse(int argc, char **argv, struct report_options *ret, char ret_error[static 256]);
void options_free(struct report_options *options);

extern const char options_usage[];
