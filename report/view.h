/* SPDX-License-Identifier: MIT */
/* The whole road of a report, in memory: recording -> filter -> aggregate -> the view that is asked for. */
#pragma once

#include "base/buffer.h"
#include "recording/recording.h"
#include "report/folded.h"
#include "report/options.h"

/* What deserves a word on stderr. */
struct view_notes {
    bool is_empty, is_filtered; /* nothing to show; because of filters */
    bool has_no_scopes;         /* in a view of scopes: no row */
    uint64_t cut;               /* folded stacks that were too long for a line */
    uint64_t unnamed;           /* frames that neither the recording nor this machine's files could name */
};

/*
 * Appends the view to `out`, or where a drain is given what that has not taken of it. `width`: of the terminal, 0: lines of any length. 0,
 * -ENOENT (no such event), -ESRCH (no such scope), -ENODATA (scopes without a clock), -ENOMEM or what the drain says.
 */
int view_write(const struct recording *r, const struct report_options *options, size_t width, struct buffer *out,
               const struct folded_drain *drain, struct view_notes *ret_notes);
