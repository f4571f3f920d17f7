/* SPDX-License-Identifier: MIT */
/*
 * The payload of a sample chunk: rows <-> columns. Private to the room; docs/FORMAT.md "SMPL" is the specification.
 *
 * Glossary
 *   lane        the samples of one chunk that have the same event, CPU and way of weighing. Along a lane the next sample is nearly known:
 *               the same task, one period later. So time and task are coded against their lane's last sample
 *   dictionary  the distinct nodes of a chunk in order of first appearance. Few for a program in a loop: a row then costs one byte which
 *               zstd's entropy coder shortens further, and a node is checked once and not once a row
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/map.h"
#include "base/vec.h"

enum { SAMPLE_WEIGHT_IS_PERIOD = UINT32_MAX };

struct sample_row {
    uint64_t time;
    uint32_t task;
    uint32_t node;
    uint16_t event;
    uint16_t cpu;
    uint32_t weights; /* where in sample_rows.weights its weights start, or SAMPLE_WEIGHT_IS_PERIOD */
};

struct sample_rows {
    VEC(struct sample_row) rows;
    VEC(uint64_t) weights; /* {count, weight * count}* */
};

void sample_rows_free(struct sample_rows *s);
void sample_rows_clear(struct sample_rows *s);

struct sample_lane {
    uint64_t expected; /* time of its next sample, if all goes as before */
    uint64_t step;
    uint64_t task; /* of its last sample + 1; 0: none yet */
    uint16_t event, cpu;
    uint8_t flags;
    uint8_t arity; /* decoding: weights of its event */
};

/* ---- encoding -------------------------------------------------------------------------------------------------------------------- */

enum sample_column { COLUMN_LANE, COLUMN_TIME, COLUMN_TASK, COLUMN_NODE, COLUMN_DICTIONARY, COLUMN_WEIGHT, SAMPLE_COLUMNS };

/* Work space, kept from chunk to chunk. A zeroed one is ready. */
struct sample_encoder {
    struct map lane_ids;
    struct map node_ids;
    VEC(struct sample_lane) lanes;
    VEC(uint16_t) row_lane, row_node;
    uint32_t last_node; /* of the dictionary */
    struct buffer columns[SAMPLE_COLUMNS];
};

void sample_encoder_free(struct sample_encoder *e);

/* Appends the payload of a chunk of `s` (1 to SAMPLE_ROWS_MAX rows) to `out`. 0 or -ENOMEM. */
int sample_encode(struct sample_encoder *e, const struct sample_rows *s, struct buffer *out);

/* ---- decoding -------------------------------------------------------------------------------------------------------------------- */

/* What ids may name when the chunk is met, and how the file's node ids become those of struct recording. */
struct sample_limits {
    const uint8_t *arity; /* of each event */
    uint32_t events, tasks;
    uint32_t file_roots;  /* node ids of the file below are roots */
    uint32_t epoch_nodes; /* nodes of the epoch, roots apart */
    uint32_t epoch_base;  /* index of the epoch's first node in struct recording */
};

struct sample_decoder {
    struct sample_rows samples;
    VEC(struct sample_lane) lanes;
    VEC(uint32_t) dictionary;
    bool has_weights; /* a lane has */
};

void sample_decoder_free(struct sample_decoder *d);

/* Decodes a payload into d->samples. 0, -ENOMEM, or -EBADMSG and what is wrong with it. */
int sample_decode(struct sample_decoder *d, struct bytes payload, const struct sample_limits *limits, const char **ret_fault);
