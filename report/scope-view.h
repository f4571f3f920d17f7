/* SPDX-License-Identifier: MIT */
/* The views of scopes: what they measured (--scopes), and that beside what was sampled (--compare). */
#pragma once

#include "base/buffer.h"
#include "report/options.h"
#include "report/scope-rows.h"
#include "report/scope-samples.h"

/* Append the view. 0, -ENOMEM, or -ENODATA: the recording has too few clock pairs to put ticks in time. `ret_rows`: how many there were. */
int scope_table_write(const struct recording *r, const struct report_options *o, struct buffer *out, size_t *ret_rows);
int compare_write(const struct recording *r, const struct report_options *o, struct buffer *out, size_t *ret_rows);

/* ---- parts ------------------------------------------------------------------------------------------------------------------------ */

/* Drops rows whose name does not match, sorts, and cuts the list to --top. 0 or -ENOMEM. */
int scope_rows_arrange(const struct recording *r, const struct report_options *o, struct scope_rows *rows);

/* A time in ns with four digits and its unit: "12.34us". */
void scope_put_time(struct buffer *out, int width, double ns);

/* "name  (file.c:12)", and the thread of a row that has one. */
void scope_put_name(const struct recording *r, const struct scope_row *row, struct buffer *out);

/* Who entered the scopes of these rows and what was entered from them, as pstats' print_callers and print_callees. 0 or -ENOMEM. */
int scope_paths_write(const struct recording *r, const bool *threads, const struct scope_rows *rows, bool callees, struct buffer *out);

/* The slowest instances of each row. `start`: what times are told from. */
void scope_slowest_write(const struct recording *r, const struct scope_rows *rows, uint64_t start, struct buffer *out);

/* The recording's earliest moment. */
uint64_t scope_start(const struct recording *r);

/* The clock the figures are of and how straight it ran. */
void scope_put_clock(const struct recording *r, const struct scope_rows *rows, struct buffer *out);
