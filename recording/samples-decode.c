/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/frame.h"
#include "recording/format.h"
#include "recording/recording.h"
#include "recording/samples.h"

void sample_decoder_free(struct sample_decoder *d) {
    sample_rows_free(&d->samples);
    vec_free(&d->lanes);
    vec_free(&d->dictionary);
}

/* bytes_uleb with the lengths that make up nearly all of a chunk unrolled: this is the reader's hot loop. */
static inline uint64_t column_uleb(struct bytes *b) {
    if (likely(bytes_left(b) >= 3)) {
        const uint8_t *at = b->at;
        if (likely(at[0] < 0x80)) {
            b->at += 1;
            return at[0];
        }
        if (likely(at[1] < 0x80)) {
            b->at += 2;
            return (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
        }
        if (at[2] < 0x80) {
            b->at += 3;
            return (uint64_t)(at[0] & 0x7f) | (uint64_t)(at[1] & 0x7f) << 7 | (uint64_t)at[2] << 14;
        }
    }
    return bytes_uleb(b);
}

/* There is room for `count` lanes. */
static const char *decode_lanes(struct sample_decoder *d, struct bytes *payload, uint64_t count, uint64_t base,
                                const struct sample_limits *l) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t event = bytes_uleb(payload), cpu = bytes_uleb(payload);
        uint8_t flags = bytes_u8(payload);
        uint64_t step = bytes_uleb(payload);
        if (payload->failed)
            return "its lanes are cut off";
        if (event >= l->events || cpu > UINT16_MAX || flags & ~LANE_WEIGHTS)
            return "a lane names no event or CPU";
        if (!(flags & LANE_WEIGHTS) && l->arity[event] != 1)
            return "a lane leaves out more than one weight";
        d->has_weights |= flags & LANE_WEIGHTS;
        d->lanes.items[d->lanes.count++] = (struct sample_lane){
            .expected = base, .step = step, .event = (uint16_t)event, .cpu = (uint16_t)cpu, .flags = flags, .arity = l->arity[event]};
    }
    return NULL;
}

static const char *decode_dictionary(struct sample_decoder *d, struct bytes *column, const struct sample_limits *l) {
    uint64_t node = 0;
    for (size_t i = 0; !bytes_empty(column); i++) {
        node += (uint64_t)zigzag_decode(bytes_uleb(column));
        if (column->failed || node >= (uint64_t)l->file_roots + l->epoch_nodes)
            return "a sample's node does not exist";
        d->dictionary.items[d->dictionary.count++] = (uint32_t)(node < l->file_roots ? node : node - l->file_roots + l->epoch_base);
    }
    return NULL;
}

/* An entry of a column of fixed width: one plane of low bytes, and one of high bytes behind it if `width` is 2. */
static inline size_t plane_get(const uint8_t *plane, unsigned width, size_t count, size_t i) {
    return width == 1 ? plane[i] : plane[i] | (size_t)plane[count + i] << 8;
}

/* The hot loop; with constant widths it has hardly a branch that the data decides. */
static inline __attribute__((always_inline)) const char *decode_rows(struct sample_decoder *d, size_t count,
                                                                     struct bytes columns[SAMPLE_COLUMNS], uint64_t tasks,
                                                                     unsigned lane_width, unsigned node_width) {
    const uint8_t *lane_plane = columns[COLUMN_LANE].at, *node_plane = columns[COLUMN_NODE].at;
    struct bytes time_column = columns[COLUMN_TIME], task_column = columns[COLUMN_TASK];
    struct sample_lane *lanes = d->lanes.items;
    struct sample_row *rows = d->samples.rows.items;
    const uint32_t *dictionary = d->dictionary.items;
    size_t lane_count = d->lanes.count, dictionary_count = d->dictionary.count, seen = 0;

    for (size_t i = 0; i < count; i++) {
        size_t lane_id = plane_get(lane_plane, lane_width, count, i);
        if (unlikely(lane_id >= lane_count))
            return "a sample is in no lane";
        struct sample_lane *lane = &lanes[lane_id];

        uint64_t time = lane->expected + (uint64_t)zigzag_decode(column_uleb(&time_column));
        lane->expected = time + lane->step;

        uint64_t task = column_uleb(&task_column);
        task = task ? task : lane->task;
        if (unlikely(task - 1 >= tasks))
            return "a sample's task does not exist";
        lane->task = task;

        size_t index = plane_get(node_plane, node_width, count, i);
        bool is_new = index == 0;
        index = is_new ? seen : index - 1;
        seen += is_new;
        if (unlikely(index >= seen || index >= dictionary_count))
            return "a sample's node is not in the dictionary";

        rows[i] = (struct sample_row){
            .time = time,
            .task = (uint32_t)(task - 1),
            .node = dictionary[index],
            .event = lane->event,
            .cpu = lane->cpu,
            .weights = SAMPLE_WEIGHT_IS_PERIOD,
        };
    }
    if (time_column.failed || task_column.failed)
        return "a column is cut off";
    if (!bytes_empty(&time_column) || !bytes_empty(&task_column) || seen != dictionary_count)
        return "a column is longer than its rows";
    d->samples.rows.count = count;
    return NULL;
}

/* A second loop, since nearly all samples weigh their event's period. */
static const char *decode_weights(struct sample_decoder *d, const uint8_t *lane_plane, unsigned lane_width, struct bytes column) {
    size_t count = d->samples.rows.count;
    uint64_t *items = d->samples.weights.items;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sample_lane *lane = &d->lanes.items[plane_get(lane_plane, lane_width, count, i)];
        if (!(lane->flags & LANE_WEIGHTS))
            continue;
        d->samples.rows.items[i].weights = (uint32_t)used;
        items[used++] = lane->arity;
        for (unsigned k = 0; k < lane->arity; k++)
            items[used++] = bytes_uleb(&column);
    }
    d->samples.weights.count = used;
    return column.failed || bytes_left(&column) ? "the weights do not fit the rows" : NULL;
}

static const char *decode_columns(struct sample_decoder *d, size_t count, struct bytes columns[SAMPLE_COLUMNS], uint64_t tasks) {
    unsigned lane_width = d->lanes.count <= 256 ? 1 : 2, node_width = d->dictionary.count <= 255 ? 1 : 2;
    if (bytes_left(&columns[COLUMN_LANE]) != count * lane_width || bytes_left(&columns[COLUMN_NODE]) != count * node_width)
        return "a column is not as long as its rows";
    const char *fault;
    if (lane_width == 2)
        fault = decode_rows(d, count, columns, tasks, 2, node_width);
    else
        fault = node_width == 1 ? decode_rows(d, count, columns, tasks, 1, 1) : decode_rows(d, count, columns, tasks, 1, 2);
    if (!fault && (d->has_weights || bytes_left(&columns[COLUMN_WEIGHT])))
        fault = decode_weights(d, columns[COLUMN_LANE].at, lane_width, columns[COLUMN_WEIGHT]);
    return fault;
}

int sample_decode(struct sample_decoder *d, struct bytes payload, const struct sample_limits *limits, const char **ret_fault) {
    sample_rows_clear(&d->samples);
    vec_clear(&d->lanes);
    d->has_weights = false;
    vec_clear(&d->dictionary);

    uint64_t count = bytes_uleb(&payload), base = bytes_uleb(&payload), lanes = bytes_uleb(&payload);
    const char *fault = NULL;
    if (payload.failed || !count || count > SAMPLE_ROWS_MAX || !lanes || lanes > count)
        fault = "its row count makes no sense";
    if (!fault && !vec_reserve(&d->lanes, (size_t)lanes))
        return -ENOMEM;
    if (!fault)
        fault = decode_lanes(d, &payload, lanes, base, limits);

    struct bytes columns[SAMPLE_COLUMNS];
    uint64_t lengths[SAMPLE_COLUMNS];
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        lengths[i] = bytes_uleb(&payload);
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        columns[i] = bytes_sub(&payload, lengths[i]);
    if (!fault && (payload.failed || !bytes_empty(&payload) || lengths[COLUMN_TIME] < count || lengths[COLUMN_DICTIONARY] > 5 * count))
        fault = "its columns do not fit";
    if (fault) {
        *ret_fault = fault;
        return -EBADMSG;
    }

    if (!vec_reserve(&d->samples.rows, (size_t)count) || !vec_reserve(&d->dictionary, (size_t)lengths[COLUMN_DICTIONARY] + 1) ||
        (d->has_weights && !vec_reserve(&d->samples.weights, (size_t)count * (1 + RECORDING_WEIGHTS_MAX))))
        return -ENOMEM;
    fault = decode_dictionary(d, &columns[COLUMN_DICTIONARY], limits);
    if (!fault)
        fault = decode_columns(d, (size_t)count, columns, limits->tasks);
    if (fault) {
        *ret_fault = fault;
        return -EBADMSG;
    }
    return 0;
}
