/* SPDX-License-Identifier: MIT */
/* The looking up of names at the end, as people see it: quiet for a second, then how far it is; Ctrl-C ends it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/signals.h"

struct progress {
    struct signals *signals;
    bool is_quiet;
    bool is_terminal; /* stderr can take a line that changes */
    bool has_spoken;
    uint64_t started, shown; /* CLOCK_MONOTONIC_RAW, ns */
};

void progress_begin(struct progress *progress, struct signals *signals, bool is_quiet);

/* The callback of pipeline_symbolise; `context` is the progress. False: Ctrl-C (or another signal that ends programs) came. */
bool progress_report(void *context, size_t done, size_t total);

/* Wipes the line. */
void progress_end(struct progress *progress);
