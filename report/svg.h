/* SPDX-License-Identifier: MIT */
/* A flame graph straight from a recording: the stacks of --folded, drawn by flamegraph/. */
#pragma once

#include "base/buffer.h"
#include "recording/recording.h"
#include "report/options.h"

/*
 * Draws `folded` (whole lines, frames marked "_[k]" and "_[i]" for the palette) and appends the SVG to `out`. The title is the options' or
 * the command. Without a stack it is a picture that says so. 0 or -errno.
 */
int svg_write(const struct recording *r, const struct report_options *options, const struct recording_event *event,
              const struct buffer *folded, struct buffer *out);
