/* SPDX-License-Identifier: MIT */
/*
 * A perf.data file as one more source of raw events.
 *
 * perf writes ring after ring, so its records are in order of time only within a ring. At the end of a round through all rings it writes
 * FINISHED_ROUND, and whatever is not newer than the newest record of the round before cannot be overtaken any more
 * (tools/perf/util/ordered-events.c). The queue holds the records since then, in a heap; nothing else of the file is in memory.
 */
#pragma once

#include "pipeline/pipeline.h"
#include "sampler/perf-data-file.h"

struct perf_data_source;

struct perf_data_counts {
    uint64_t records, malformed, unknown_event, out_of_order;
};

/* `event_id` says what an attribute is called in the recording's event table; it is asked once for each, a pipe's as they come. The file
 * stays the caller's. 0 or -ENOMEM. */
int perf_data_source_new(struct perf_data_file *file, uint16_t (*event_id)(void *context, const struct perf_data_attr *attr), void *context,
                         struct perf_data_source **ret);
void perf_data_source_free(struct perf_data_source *source);

struct raw_source *perf_data_source_raw(struct perf_data_source *source);
const struct perf_data_counts *perf_data_source_counts(const struct perf_data_source *source);

/* What ended the reading early: 0, or -errno with file->problem. */
int perf_data_source_error(const struct perf_data_source *source);
