/* SPDX-License-Identifier: MIT */
/* The adds: each encodes its row at the end of an open table, as docs/FORMAT.md has it. tables.c reads what is written here; what scopes
 * measured is in scope-rows.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recording/format.h"
#include "recording/writer.h"

static void put_string(struct recording_writer *w, struct buffer *table, const char *string) {
    buffer_put_uleb(table, writer_string(w, string));
}

/* 0 is NULL. */
static void put_optional_string(struct recording_writer *w, struct buffer *table, const char *string) {
    buffer_put_uleb(table, string ? (uint64_t)writer_string(w, string) + 1 : 0);
}

/* RECORDING_NONE becomes 0. */
static void put_optional_id(struct buffer *table, uint32_t id) {
    buffer_put_uleb(table, (uint32_t)(id + 1));
}

/* ---- facts and counters ---------------------------------------------------------------------------------------------------------- */

void recording_set(struct recording_writer *w, const char *key, const char *value) {
    struct buffer *table = &w->tables[TABLE_FACTS];
    put_string(w, table, key);
    put_string(w, table, value);
    writer_grew(w, table);
}

void recording_set_counter(struct recording_writer *w, const char *name, uint64_t value) {
    struct counter *c = NULL;
    for (size_t i = 0; i < w->counters.count && !c; i++)
        if (!strcmp(w->counters.items[i].name, name))
            c = &w->counters.items[i];
    if (!c) {
        char *copy = strdup(name);
        c = copy ? vec_push(&w->counters) : NULL;
        if (!c) {
            free(copy);
            writer_fail(w, -ENOMEM);
            return;
        }
        c->name = copy;
    }
    c->is_written &= c->value == value;
    c->value = value;
}

void recording_add_clock_pair(struct recording_writer *w, uint64_t monotonic_raw, uint64_t realtime, uint64_t tsc) {
    struct buffer *table = &w->tables[TABLE_CLOCKS];
    buffer_put_uleb(table, monotonic_raw);
    buffer_put_uleb(table, realtime);
    buffer_put_uleb(table, tsc);
    writer_grew(w, table);
}

/* ---- events and modules ---------------------------------------------------------------------------------------------------------- */

uint32_t recording_add_event(struct recording_writer *w, const struct recording_event *event) {
    if (!writer_check(w, w->events.count < UINT16_MAX && event->weights >= 1 && event->weights <= RECORDING_WEIGHTS_MAX))
        return RECORDING_NONE;
    struct written_event *written = vec_push(&w->events);
    if (!written) {
        writer_fail(w, -ENOMEM);
        return RECORDING_NONE;
    }
    *written = (struct written_event){.period = event->period, .weights = event->weights};

    struct buffer *table = &w->tables[TABLE_EVENTS];
    put_string(w, table, event->name);
    put_string(w, table, event->unit);
    put_string(w, table, event->clock);
    put_string(w, table, event->source);
    put_string(w, table, event->blind);
    buffer_put_uleb(table, event->period);
    buffer_put_u8(table, event->weights);
    buffer_put_u8(table, (event->is_jittered ? EVENT_JITTERED : 0) | (event->is_untested ? EVENT_UNTESTED : 0) |
                             (event->is_at_ticks ? EVENT_AT_TICKS : 0));
    writer_grew(w, table);
    return (uint32_t)w->events.count - 1;
}

static void put_identity(struct buffer *table, const struct recording_module *module) {
    size_t length = MIN(module->build_id_length, sizeof module->build_id);
    buffer_put_uleb(table, module->flags);
    buffer_put_string(table, (const char *)module->build_id, length);
}

uint32_t recording_add_module(struct recording_writer *w, const struct recording_module *module) {
    if (!writer_check(w, (unsigned)module->kind < MODULE_KIND_COUNT && w->modules < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_MODULES];
    buffer_put_u8(table, (uint8_t)module->kind);
    put_string(w, table, module->path);
    put_identity(table, module);
    w->modules++;
    writer_grew(w, table);
    return w->modules - 1;
}

void recording_update_module(struct recording_writer *w, uint32_t id, const struct recording_module *module) {
    if (!writer_check(w, id < w->modules))
        return;
    struct buffer *table = &w->tables[TABLE_MODULE_UPDATES];
    buffer_put_uleb(table, id);
    put_identity(table, module);
    writer_grew(w, table);
}

/* ---- processes, threads, tasks --------------------------------------------------------------------------------------------------- */

uint32_t recording_add_process(struct recording_writer *w, const struct recording_process *process) {
    if (!writer_check(w, (process->parent < w->processes || process->parent == RECORDING_NONE) && w->processes < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_PROCESSES];
    buffer_put_uleb(table, process->pid);
    put_optional_id(table, process->parent);
    buffer_put_uleb(table, process->start);
    buffer_put_uleb(table, process->flags);
    w->processes++;
    writer_grew(w, table);
    return w->processes - 1;
}

void recording_add_mapping(struct recording_writer *w, const struct recording_mapping *mapping) {
    if (!writer_check(w, mapping->process < w->processes && mapping->module < w->modules))
        return;
    struct buffer *table = &w->tables[TABLE_MAPPINGS];
    buffer_put_uleb(table, mapping->process);
    buffer_put_uleb(table, mapping->module);
    buffer_put_uleb(table, mapping->time);
    buffer_put_uleb(table, mapping->start);
    buffer_put_uleb(table, mapping->length);
    buffer_put_uleb(table, mapping->offset);
    writer_grew(w, table);
}

uint32_t recording_add_thread(struct recording_writer *w, const struct recording_thread *thread) {
    if (!writer_check(w, w->threads < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_THREADS];
    buffer_put_uleb(table, thread->pid);
    buffer_put_uleb(table, thread->tid);
    buffer_put_uleb(table, thread->start);
    w->threads++;
    writer_grew(w, table);
    return w->threads - 1;
}

uint32_t recording_add_task(struct recording_writer *w, const struct recording_task *task) {
    if (!writer_check(w, task->thread < w->threads && task->process < w->processes && w->tasks < RECORDING_NONE - 1))
        return RECORDING_NONE;
    struct buffer *table = &w->tables[TABLE_TASKS];
    buffer_put_uleb(table, task->thread);
    buffer_put_uleb(table, task->process);
    put_string(w, table, task->comm);
    buffer_put_uleb(table, task->start);
    w->tasks++;
    writer_grew(w, table);
    return w->tasks - 1;
}

void recording_end_thread(struct recording_writer *w, const struct recording_thread_end *end) {
    if (!writer_check(w, end->thread < w->threads))
        return;
    struct buffer *table = &w->tables[TABLE_THREAD_ENDS];
    buffer_put_uleb(table, end->thread);
    buffer_put_u8(table, (end->is_exited ? THREAD_END_EXITED : 0) | (end->has_exact_cpu ? THREAD_END_EXACT_CPU : 0));
    buffer_put_uleb(table, end->end);
    buffer_put_uleb(table, end->exact_cpu);
    writer_grew(w, table);
}

/* ---- stacks ---------------------------------------------------------------------------------------------------------------------- */

uint32_t recording_add_frame(struct recording_writer *w, const struct recording_frame *frame) {
    uint32_t column = frame->module == RECORDING_NONE ? 0 : frame->module + 1;
    bool is_known = frame->kind == FRAME_SCOPE ? !column && frame->address < w->sites : frame->kind < FRAME_KIND_COUNT;
    if (!writer_check(w, column <= w->modules && is_known && frame->class < FRAME_CLASS_COUNT && w->frames < RECORDING_NONE - 1))
        return RECORDING_NONE;
    while (w->last_address.count <= column)
        if (!vec_push(&w->last_address)) {
            writer_fail(w, -ENOMEM);
            return RECORDING_NONE;
        }
    uint64_t *last = &w->last_address.items[column];

    buffer_put_u8(&w->frame_columns[FRAME_KINDS], (uint8_t)(frame->kind | frame->class << 4));
    buffer_put_u8(&w->frame_columns[FRAME_FLAGS], frame->flags);
    buffer_put_uleb(&w->frame_columns[FRAME_MODULES], column);
    buffer_put_uleb(&w->frame_columns[FRAME_ADDRESSES], zigzag_encode((int64_t)(frame->address - *last)));
    *last = frame->address;
    w->frames++;
    writer_grew(w, &w->frame_columns[FRAME_ADDRESSES]);
    return w->frames - 1;
}

uint32_t recording_add_node(struct recording_writer *w, const struct recording_node *node) {
    uint32_t id = STACK_END_COUNT + w->nodes;
    if (!writer_check(w, node->parent < id && node->frame < w->frames && id < RECORDING_NONE - 1))
        return RECORDING_NONE;
    /* Most nodes hang below the one before; most name a frame just added, else one that is not old. */
    buffer_put_uleb(&w->node_columns[NODE_PARENTS], id - 1 - node->parent);
    buffer_put_uleb(&w->node_columns[NODE_FRAMES], zigzag_encode((int64_t)w->fresh_frame - node->frame));
    w->fresh_frame = MAX(w->fresh_frame, node->frame + 1);
    w->nodes++;
    writer_grew(w, &w->node_columns[NODE_FRAMES]);
    return id;
}

void recording_new_epoch(struct recording_writer *w) {
    writer_put_mark(w, CHUNK_EPOCH, &(struct buffer){0});
    w->frames = w->nodes = w->fresh_frame = 0;
}

/* ---- samples and symbols --------------------------------------------------------------------------------------------------------- */

void recording_add_sample(struct recording_writer *w, const struct recording_sample *sample) {
    if (!writer_check(w, sample->event < w->events.count && sample->task < w->tasks && sample->node < STACK_END_COUNT + w->nodes))
        return;
    const struct written_event *event = &w->events.items[sample->event];
    struct sample_row *row = vec_push(&w->samples.rows);
    if (!row) {
        writer_fail(w, -ENOMEM);
        return;
    }
    *row = (struct sample_row){.time = sample->time,
                               .task = sample->task,
                               .node = sample->node,
                               .event = sample->event,
                               .cpu = sample->cpu,
                               .weights = SAMPLE_WEIGHT_IS_PERIOD};
    if (event->weights > 1 || sample->weight[0] != event->period) {
        if (!vec_reserve(&w->samples.weights, w->samples.weights.count + 1 + event->weights)) {
            writer_fail(w, -ENOMEM);
            return;
        }
        uint64_t *to = &w->samples.weights.items[w->samples.weights.count];
        row->weights = (uint32_t)w->samples.weights.count;
        to[0] = event->weights;
        memcpy(to + 1, sample->weight, event->weights * sizeof *to);
        w->samples.weights.count += 1 + (size_t)event->weights;
    }
    if (w->samples.rows.count >= BATCH_SAMPLES)
        writer_close_batch(w);
}

void recording_add_symbol(struct recording_writer *w, const struct recording_symbol *symbol) {
    if (!writer_check(w, symbol->module < w->modules))
        return;
    /* An inline chain beyond all reason loses its innermost part: the function that is really there is the last. */
    uint32_t skipped = symbol->count > SYMBOL_LOCATIONS_MAX ? symbol->count - SYMBOL_LOCATIONS_MAX : 0;
    w->chains_cut += skipped != 0;
    struct buffer *table = &w->tables[TABLE_SYMBOLS];
    buffer_put_uleb(table, symbol->module);
    buffer_put_uleb(table, symbol->address);
    buffer_put_uleb(table, symbol->count - skipped);
    for (uint32_t i = skipped; i < symbol->count; i++) {
        const struct recording_location *l = &symbol->locations[i];
        put_optional_string(w, table, l->function);
        put_optional_string(w, table, l->file);
        buffer_put_uleb(table, l->line);
        buffer_put_u8(table, l->is_inlined ? LOCATION_INLINED : 0);
    }
    writer_grew(w, table);
}
