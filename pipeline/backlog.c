/* SPDX-License-Identifier: MIT */
#include "pipeline/backlog.h"

#include <stdlib.h>
#include <string.h>

/* Copies `length` bytes to *at and moves it on, keeping it aligned to 8. */
static const void *put(uint8_t **at, const void *data, size_t length) {
    const uint8_t *copy = *at;
    if (!data)
        return NULL;
    if (length)
        memcpy(*at, data, length);
    *at += ROUND_UP(length, (size_t)8);
    return copy;
}

struct backlog_entry *backlog_entry_new(uint64_t time, const struct raw_sample *sample, struct process_task *task,
                                        struct process_space *space, struct process_maps *maps) {
    size_t kernel = sample->kernel_chain_length * sizeof(uint64_t), user = sample->user_chain_length * sizeof(uint64_t);
    size_t size = ROUND_UP(sizeof(struct backlog_entry), (size_t)8) + ROUND_UP((size_t)sample->stack_length, (size_t)8) + kernel + user +
                  ROUND_UP(sample->tail.length, (size_t)8);
    struct backlog_entry *entry = malloc(size);
    if (!entry)
        return NULL;
    uint8_t *at = (uint8_t *)entry + ROUND_UP(sizeof *entry, (size_t)8);
    *entry = (struct backlog_entry){.size = size,
                                    .time = time,
                                    .sample = *sample,
                                    .task = process_task_ref(task),
                                    .space = process_space_ref(space),
                                    .maps = process_maps_ref(maps)};
    entry->sample.kernel_chain = put(&at, sample->kernel_chain, kernel);
    entry->sample.user_chain = put(&at, sample->user_chain, user);
    entry->sample.stack = put(&at, sample->stack, sample->stack_length);
    entry->sample.tail.bytes = put(&at, sample->tail.bytes, sample->tail.length);
    return entry;
}

void backlog_entry_free(struct process_table *table, struct backlog_entry *entry) {
    process_task_unref(table, entry->task);
    process_space_unref(entry->space);
    process_maps_unref(entry->maps);
    free(entry);
}

void backlog_append(struct backlog *b, struct backlog_entry *entry) {
    if (!b->first)
        b->last = &b->first;
    entry->next = NULL;
    *b->last = entry;
    b->last = &entry->next;
    b->bytes += entry->size;
}

struct backlog_entry *backlog_take(struct backlog *b, struct backlog_entry **link) {
    struct backlog_entry *entry = *link;
    *link = entry->next;
    if (!entry->next)
        b->last = link;
    b->bytes -= entry->size;
    return entry;
}
