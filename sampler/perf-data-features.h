/* SPDX-License-Identifier: MIT */
/* What perf.data says about itself beside its records; private to sampler/perf-data-*. Source: tools/perf/util/header.c. */
#pragma once

#include "base/bytes.h"
#include "sampler/perf-data-file.h"

/* Takes one HEADER_* feature; unknown or broken ones are passed over. */
void perf_data_feature(struct perf_data_file *file, unsigned feature, struct bytes content);

void perf_data_add_build_id(struct perf_data_file *file, const struct perf_event_header *record);

/* One attribute with the ids of its events; 0 or -ENOMEM. */
int perf_data_add_attr(struct perf_data_file *file, struct bytes *attr, const uint8_t *ids, size_t ids_length);

/* A name from type and config, until the file tells a better one. */
void perf_data_name_attr(struct perf_data_attr *attr);
