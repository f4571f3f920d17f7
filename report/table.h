/* SPDX-License-Identifier: MIT */
/* The table of functions (or of whatever --sort makes a row). */
#pragma once

#include "base/buffer.h"
#include "report/options.h"
#include "report/tree.h"

struct table_options {
    unsigned keys; /* KEY_*: the columns; those of the groups and of the places together */
    enum report_order order;
    double percent_limit;
    uint64_t whole_samples, whole_weight; /* what 100 % is */
    size_t width;                         /* of the terminal; 0: lines of any length */
    bool no_header;                       /* no column titles */
};

/* Appends the table. Places must be in TEXT_TERMINAL. 0 or -ENOMEM. */
int table_write(const struct tree *tree, const struct groups *groups, const struct places *places, const struct table_options *options,
                struct buffer *out);
