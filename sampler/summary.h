/* SPDX-License-Identifier: MIT */
/* The last words: what was recorded, what was lost, how to look at it. At most three lines, and what went wrong; more with --verbose. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "pipeline/pipeline.h"
#include "sampler/engine.h"
#include "sampler/facts.h"
#include "sampler/options.h"

struct summary {
    const struct options *options;
    const struct engine_facts *engine;
    const struct engine_totals *totals;
    const struct facts_coverage *coverage;
    const struct pipeline_counts *counts;
    uint64_t file_size;
    uint32_t other_libraries; /* processes whose libcprof speaks another version than this program */
    bool is_unsymbolised;     /* Ctrl-C ended the looking up of names */
};

/* Says it on stderr. */
void summary_say(const struct summary *summary);

/* Writes the lines to `ret`, each with its newline, without a prefix. */
void summary_write(const struct summary *summary, struct buffer *ret);
