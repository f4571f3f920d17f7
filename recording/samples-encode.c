/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "recording/format.h"
#include "recording/samples.h"

void sample_rows_free(struct sample_rows *s) {
    vec_free(&s->rows);
    vec_free(&s->weights);
}

void sample_rows_clear(struct sample_rows *s) {
    vec_clear(&s->rows);
    vec_clear(&s->weights);
}

void sample_encoder_free(struct sample_encoder *e) {
    map_free(&e->lane_ids);
    map_free(&e->node_ids);
    vec_free(&e->lanes);
    vec_free(&e->row_lane);
    vec_free(&e->row_node);
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        buffer_free(&e->columns[i]);
}

static bool encoder_reset(struct sample_encoder *e, size_t rows) {
    map_clear(&e->lane_ids);
    map_clear(&e->node_ids);
    vec_clear(&e->lanes);
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        buffer_clear(&e->columns[i]);
    e->last_node = 0;
    return vec_reserve(&e->row_lane, rows) && vec_reserve(&e->row_node, rows);
}

static bool encoder_assign_lanes(struct sample_encoder *e, const struct sample_rows *s) {
    for (size_t i = 0; i < s->rows.count; i++) {
        const struct sample_row *row = &s->rows.items[i];
        uint8_t flags = row->weights == SAMPLE_WEIGHT_IS_PERIOD ? 0 : LANE_WEIGHTS;
        bool is_new;
        uint64_t *lane = map_put(&e->lane_ids, (uint64_t)row->event << 32 | (uint64_t)row->cpu << 8 | flags, &is_new);
        if (!lane)
            return false;
        if (is_new) {
            *lane = e->lanes.count;
            struct sample_lane *new = vec_push(&e->lanes);
            if (!new)
                return false;
            *new = (struct sample_lane){.event = row->event, .cpu = row->cpu, .flags = flags};
        }
        e->row_lane.items[i] = (uint16_t)*lane;
    }
    return true;
}

/*
 * The step of a lane is the median of its first distances: the period, whatever gaps lie between. The rows are walked once for all lanes;
 * a lane's distances wait in `found` until there are enough to sort.
 */
enum { STEP_DISTANCES = 15 };

struct step_finder {
    uint64_t last;
    uint64_t distance[STEP_DISTANCES];
    uint8_t count;
    bool is_started;
};

static uint64_t step_median(struct step_finder *f) {
    for (size_t i = 1; i < f->count; i++)
        for (size_t j = i; j && f->distance[j - 1] > f->distance[j]; j--) {
            uint64_t swapped = f->distance[j];
            f->distance[j] = f->distance[j - 1];
            f->distance[j - 1] = swapped;
        }
    return f->count ? f->distance[f->count / 2] : 0;
}

static bool encoder_find_steps(struct sample_encoder *e, const struct sample_rows *s) {
    struct step_finder *finders = calloc(e->lanes.count, sizeof *finders);
    if (!finders)
        return false;
    for (size_t i = 0; i < s->rows.count; i++) {
        struct step_finder *f = &finders[e->row_lane.items[i]];
        uint64_t time = s->rows.items[i].time;
        if (f->is_started && f->count < STEP_DISTANCES && time >= f->last)
            f->distance[f->count++] = time - f->last;
        f->is_started = true;
        f->last = time;
    }
    for (size_t i = 0; i < e->lanes.count; i++)
        e->lanes.items[i].step = step_median(&finders[i]);
    free(finders);
    return true;
}

/* The place of `node` in the dictionary, counted from 1; 0 if it is new there. Negative: out of memory. */
static int64_t encoder_node_index(struct sample_encoder *e, uint32_t node) {
    bool is_new;
    uint64_t *index = map_put(&e->node_ids, node, &is_new);
    if (!index)
        return -ENOMEM;
    if (!is_new)
        return (int64_t)*index;
    *index = e->node_ids.used;
    buffer_put_uleb(&e->columns[COLUMN_DICTIONARY], zigzag_encode((int64_t)node - e->last_node));
    e->last_node = node;
    return 0;
}

/* Columns of fixed width are collected as 16-bit numbers and become planes when the widest is known. */
static void put_planes(struct buffer *column, const uint16_t *values, size_t count, bool is_wide) {
    uint8_t *to = buffer_reserve(column, count * 2);
    if (!to)
        return;
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)values[i];
    for (size_t i = 0; is_wide && i < count; i++)
        to[count + i] = (uint8_t)(values[i] >> 8);
    column->length += count * (is_wide ? 2 : 1);
}

static bool encoder_put_rows(struct sample_encoder *e, const struct sample_rows *s) {
    for (size_t i = 0; i < s->rows.count; i++) {
        const struct sample_row *row = &s->rows.items[i];
        struct sample_lane *lane = &e->lanes.items[e->row_lane.items[i]];

        buffer_put_uleb(&e->columns[COLUMN_TIME], zigzag_encode((int64_t)(row->time - lane->expected)));
        lane->expected = row->time + lane->step;

        uint64_t task = (uint64_t)row->task + 1;
        buffer_put_uleb(&e->columns[COLUMN_TASK], task == lane->task ? 0 : task);
        lane->task = task;

        int64_t index = encoder_node_index(e, row->node);
        if (index < 0)
            return false;
        e->row_node.items[i] = (uint16_t)index;

        if (row->weights != SAMPLE_WEIGHT_IS_PERIOD) {
            const uint64_t *weights = &s->weights.items[row->weights];
            for (uint64_t w = 1; w <= weights[0]; w++)
                buffer_put_uleb(&e->columns[COLUMN_WEIGHT], weights[w]);
        }
    }
    put_planes(&e->columns[COLUMN_LANE], e->row_lane.items, s->rows.count, e->lanes.count > 256);
    put_planes(&e->columns[COLUMN_NODE], e->row_node.items, s->rows.count, e->node_ids.used > 255);
    return true;
}

int sample_encode(struct sample_encoder *e, const struct sample_rows *s, struct buffer *out) {
    if (!encoder_reset(e, s->rows.count) || !encoder_assign_lanes(e, s) || !encoder_find_steps(e, s))
        return -ENOMEM;

    uint64_t base = s->rows.items[0].time;
    buffer_put_uleb(out, s->rows.count);
    buffer_put_uleb(out, base);
    buffer_put_uleb(out, e->lanes.count);
    for (size_t i = 0; i < e->lanes.count; i++) {
        struct sample_lane *lane = &e->lanes.items[i];
        buffer_put_uleb(out, lane->event);
        buffer_put_uleb(out, lane->cpu);
        buffer_put_u8(out, lane->flags);
        buffer_put_uleb(out, lane->step);
        lane->expected = base;
    }
    if (!encoder_put_rows(e, s))
        return -ENOMEM;

    for (size_t i = 0; i < SAMPLE_COLUMNS; i++) {
        out->failed |= e->columns[i].failed;
        buffer_put_uleb(out, e->columns[i].length);
    }
    for (size_t i = 0; i < SAMPLE_COLUMNS; i++)
        buffer_put(out, e->columns[i].data, e->columns[i].length);
    return out->failed ? -ENOMEM : 0;
}
