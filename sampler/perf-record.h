/* SPDX-License-Identifier: MIT */
/*
 * One perf record -> one raw event, whatever its event was asked for: our own rings, which all look alike, and perf.data from anywhere.
 * Pure: bytes in, event out, no copy; pointers in the event point into the record.
 *
 * Sources: include/uapi/linux/perf_event.h (the comments of enum perf_event_type are the layout), kernel/events/core.c
 * (perf_output_sample).
 *
 *     sample       header, the fields of sample_type in the kernel's order
 *     all others   header, their own fields, and with sample_id_all: {pid, tid}, time, id, stream id, {cpu, res}, identifier
 *                                                                    (those of them that sample_type has)
 *
 * Records are the kernel's, but the names inside are the target's, and a file's bytes are anybody's: everything goes through base/bytes.h.
 */
#pragma once

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/raw.h"

/* What a ring is for: it decides what a lost record means. */
enum perf_role {
    PERF_ROLE_SAMPLES,
    PERF_ROLE_SIDEBAND, /* mappings, names, forks and exits */
    PERF_ROLE_CLOCK,    /* the exact CPU time of each thread that ends */
    PERF_ROLE_SWITCHES, /* when threads leave a CPU and come back */
};

struct perf_layout {
    enum perf_role role;
    uint16_t event;        /* of the samples, in the recording's event table */
    bool has_sample_id;    /* records that are no samples say whose they are, and when */
    uint64_t fixed_weight; /* 0: a sample weighs its period */
    uint64_t sample_type, read_format, branch_sample_type;
    uint64_t user_registers; /* perf's mask */
};

/* The layout of our own rings. No record needs an id, for each ring has one event. */
struct perf_layout perf_layout_live(enum perf_role role, bool has_kernel_chain);

/* The layout of an event that somebody else asked for. */
struct perf_layout perf_layout_of(const struct perf_event_attr *attr, uint16_t event);

enum perf_verdict {
    PERF_RECORD_IS_EVENT,
    PERF_RECORD_IS_NOTHING,   /* a kind of record that says nothing to us */
    PERF_RECORD_IS_MALFORMED, /* *ret is a RAW_LOSS of that kind, without a time */
};

/* `record` is aligned to 8 and starts with the header; `length` is what the header says. For PERF_ROLE_CLOCK, lost records become
 * RAW_LOSS_MALFORMED: no sample and no mapping was lost. */
enum perf_verdict perf_record_decode(const struct perf_layout *layout, const uint8_t *record, size_t length, struct raw_event *ret);

/* When, without decoding the rest; 0 if the record does not say. */
uint64_t perf_record_time(const struct perf_layout *layout, const struct perf_event_header *record);

/* The id of the event that made the record; false if it does not say. */
bool perf_record_id(const struct perf_layout *layout, const struct perf_event_header *record, uint64_t *ret_id);
