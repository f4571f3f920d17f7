/* SPDX-License-Identifier: MIT */
#include "sampler/perf-data-source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "sampler/perf-record.h"

enum { QUEUE_RECORDS_MAX = 1 << 20 }; /* a file that never ends a round must not fill the memory */

struct queued {
    uint64_t time, sequence; /* equal times keep their order in the file */
    const struct perf_event_header *record;
    struct perf_data_block *block;
};

struct perf_data_source {
    struct raw_source raw;
    struct perf_data_file *file;
    uint16_t (*event_id)(void *context, const struct perf_data_attr *attr);
    void *context;
    VEC(struct perf_layout) layouts; /* as file->attrs */
    VEC(struct queued) heap;
    uint64_t sequence;
    uint64_t newest;       /* of all records read */
    uint64_t round_newest; /* `newest` when the last round ended */
    uint64_t safe;         /* records up to this may go */
    uint64_t last_given;
    struct perf_data_block *given; /* holds the event handed out last */
    bool is_at_end;
    int error;
    struct perf_data_counts counts;
    struct raw_event next; /* decoded ahead by one, so that peek speaks only of events that are there */
    struct perf_data_block *next_block;
    bool has_next;
};

/* ---- the heap -------------------------------------------------------------------------------------------------------------------- */

static bool before(const struct queued *a, const struct queued *b) {
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static int heap_push(struct perf_data_source *s, struct queued entry) {
    if (!vec_push(&s->heap))
        return -ENOMEM;
    size_t i = s->heap.count - 1;
    for (; i && before(&entry, &s->heap.items[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap.items[i] = s->heap.items[(i - 1) / 2];
    s->heap.items[i] = entry;
    return 0;
}

static struct queued heap_pop(struct perf_data_source *s) {
    struct queued top = s->heap.items[0], last = s->heap.items[--s->heap.count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap.count)
            break;
        if (child + 1 < s->heap.count && before(&s->heap.items[child + 1], &s->heap.items[child]))
            child++;
        if (!before(&s->heap.items[child], &last))
            break;
        s->heap.items[i] = s->heap.items[child];
        i = child;
    }
    if (s->heap.count)
        s->heap.items[i] = last;
    return top;
}

/* ---- records --------------------------------------------------------------------------------------------------------------------- */

/* Layouts of the attributes that have come since last time. */
static int update_layouts(struct perf_data_source *s) {
    while (s->layouts.count < s->file->attrs.count) {
        const struct perf_data_attr *attr = &s->file->attrs.items[s->layouts.count];
        struct perf_layout *layout = vec_push(&s->layouts);
        if (!layout)
            return -ENOMEM;
        *layout = perf_layout_of(&attr->attr, s->event_id(s->context, attr));
    }
    return 0;
}

/* perf gives all attributes one place for the id, so any layout finds it; a file with one attribute needs none. */
static const struct perf_layout *layout_of(const struct perf_data_source *s, const struct perf_event_header *record) {
    uint64_t id;
    if (s->layouts.count > 1 && perf_record_id(&s->layouts.items[0], record, &id)) {
        uint64_t *index = map_find(&s->file->attr_of_id, id);
        if (index)
            return &s->layouts.items[*index];
        if (record->type == PERF_RECORD_SAMPLE)
            return NULL;
    }
    return s->layouts.count ? &s->layouts.items[0] : NULL;
}

/* Reads records into the heap until one may go. */
static int fill(struct perf_data_source *s) {
    while (!s->is_at_end && (!s->heap.count || s->heap.items[0].time > s->safe)) {
        const struct perf_event_header *record;
        struct perf_data_block *block;
        int r = s->heap.count >= QUEUE_RECORDS_MAX ? 0 : perf_data_next(s->file, &record, &block);
        if (s->heap.count >= QUEUE_RECORDS_MAX) {
            s->safe = s->heap.items[0].time;
            return 0;
        }
        if (r <= 0) {
            s->is_at_end = true;
            s->safe = UINT64_MAX;
            return r;
        }
        if (record->type == PERF_DATA_FINISHED_ROUND) {
            s->safe = s->round_newest;
            s->round_newest = s->newest;
            continue;
        }
        if (record->type >= 64) /* perf's own: indices, features, ... */
            continue;
        r = update_layouts(s);
        if (r < 0)
            return r;
        const struct perf_layout *layout = layout_of(s, record);
        if (!layout) {
            s->counts.unknown_event++;
            continue;
        }
        uint64_t time = perf_record_time(layout, record);
        s->newest = MAX(s->newest, time);
        s->counts.records++;
        r = heap_push(s, (struct queued){.time = time, .sequence = s->sequence++, .record = record, .block = perf_data_hold(block)});
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- raw_source ------------------------------------------------------------------------------------------------------------------ */

static bool source_peek(struct raw_source *raw, uint64_t *ret_time) {
    struct perf_data_source *s = (struct perf_data_source *)raw;
    while (!s->has_next) {
        int r = s->error ? 0 : fill(s);
        if (r < 0)
            s->error = r; /* what is queued is still good */
        if (!s->heap.count)
            return false;
        perf_data_drop(s->next_block);
        struct queued q = heap_pop(s);
        s->next_block = q.block;
        if (q.time && q.time < s->last_given)
            s->counts.out_of_order++;
        s->last_given = MAX(s->last_given, q.time);
        const struct perf_layout *layout = layout_of(s, q.record); /* it had one when it was queued */
        enum perf_verdict verdict = perf_record_decode(layout, (const uint8_t *)q.record, q.record->size, &s->next);
        s->counts.malformed += verdict == PERF_RECORD_IS_MALFORMED;
        s->has_next = verdict == PERF_RECORD_IS_EVENT;
    }
    *ret_time = s->next.time;
    return true;
}

/* perf says in the header which build-id a path had. That is worth more than an inode, which means nothing elsewhere. */
static void add_build_id(const struct perf_data_file *file, struct raw_mapping *mapping) {
    for (size_t i = 0; i < file->build_ids.count && !mapping->build_id_length; i++) {
        const struct perf_data_build_id *known = &file->build_ids.items[i];
        if (!known->path || strcmp(known->path, mapping->path) != 0)
            continue;
        mapping->build_id_length = known->length;
        memcpy(mapping->build_id, known->bytes, known->length);
        mapping->inode = mapping->inode_generation = 0;
    }
}

static void source_next(struct raw_source *raw, struct raw_event *ret) {
    struct perf_data_source *s = (struct perf_data_source *)raw;
    perf_data_drop(s->given);
    s->given = s->next_block;
    s->next_block = NULL;
    *ret = s->next;
    if (ret->type == RAW_MAPPING)
        add_build_id(s->file, &ret->mapping);
    s->has_next = false;
}

int perf_data_source_new(struct perf_data_file *file, uint16_t (*event_id)(void *context, const struct perf_data_attr *attr), void *context,
                         struct perf_data_source **ret) {
    struct perf_data_source *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->raw = (struct raw_source){.peek = source_peek, .next = source_next};
    s->file = file;
    s->event_id = event_id;
    s->context = context;
    *ret = s;
    return 0;
}

void perf_data_source_free(struct perf_data_source *s) {
    perf_data_drop(s->given);
    perf_data_drop(s->next_block);
    for (size_t i = 0; i < s->heap.count; i++)
        perf_data_drop(s->heap.items[i].block);
    vec_free(&s->heap);
    vec_free(&s->layouts);
    free(s);
}

struct raw_source *perf_data_source_raw(struct perf_data_source *s) {
    return &s->raw;
}

const struct perf_data_counts *perf_data_source_counts(const struct perf_data_source *s) {
    return &s->counts;
}

int perf_data_source_error(const struct perf_data_source *s) {
    return s->error;
}
