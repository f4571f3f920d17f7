/* SPDX-License-Identifier: MIT */
/* A recording of whatever bytes: opened, every promise of the door checked, walked. Sums are set right first, or nothing would pass them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording/file.h"
#include "recording/recording.h"
#include "tests/fuzz/fuzzed-recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

/* Where what was read goes, so that the compiler reads it. */
static volatile uint64_t sink;

static void check_stacks(const struct recording *r) {
    for (size_t i = STACK_END_COUNT; i < r->nodes.count; i++)
        MUST(r->nodes.items[i].parent < i && r->nodes.items[i].frame < r->frames.count);
    for (size_t i = 0; i < r->frames.count; i++) {
        const struct recording_frame *f = &r->frames.items[i];
        MUST(f->kind < FRAME_KIND_COUNT && f->class < FRAME_CLASS_COUNT);
        MUST(f->module < r->modules.count || f->module == RECORDING_NONE);
    }
}

static size_t check_strings(const struct recording *r) {
    size_t length = 0;
    for (size_t i = 0; i < r->facts.count; i++)
        length += strlen(r->facts.items[i].key) + strlen(r->facts.items[i].value);
    for (size_t i = 0; i < r->counters.count; i++)
        length += strlen(r->counters.items[i].name);
    for (size_t i = 0; i < r->modules.count; i++)
        length += strlen(r->modules.items[i].path);
    for (size_t i = 0; i < r->symbols.count; i++)
        for (uint32_t k = 0; k < r->symbols.items[i].count; k++) {
            const struct recording_location *l = &r->symbols.items[i].locations[k];
            length += l->function ? strlen(l->function) : 0;
            length += l->file ? strlen(l->file) : 0;
        }
    return length;
}

static void check_tasks(const struct recording *r) {
    MUST(r->thread_ends.count == r->threads.count);
    for (size_t i = 0; i < r->tasks.count; i++)
        MUST(r->tasks.items[i].thread < r->threads.count && r->tasks.items[i].process < r->processes.count && r->tasks.items[i].comm);
    for (size_t i = 0; i < r->processes.count; i++)
        MUST(r->processes.items[i].parent < i || r->processes.items[i].parent == RECORDING_NONE);
    for (size_t i = 0; i < r->mappings.count; i++)
        MUST(r->mappings.items[i].process < r->processes.count && r->mappings.items[i].module < r->modules.count);
}

static void check_samples(const struct recording *r) {
    struct recording_cursor cursor = {0};
    struct recording_sample s;
    uint64_t count = 0, weight = 0;
    for (; recording_next(r, &cursor, &s); count++) {
        MUST(s.task < r->tasks.count && s.node < r->nodes.count && s.event < r->events.count);
        MUST(s.time >= r->first_time && s.time <= r->last_time);
        for (unsigned i = 0; i < r->events.items[s.event].weights; i++)
            weight += s.weight[i];
    }
    recording_cursor_free(&cursor);
    MUST(count == r->sample_count);
    sink += weight;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct recording *r;
    const char *newer = NULL;
    int error = fuzzed_recording_open(data, size, &r, &newer);
    MUST((error == -EPROTO) == (newer != NULL));
    if (error)
        return 0;
    MUST(r->good_size <= r->file_size && (r->damage || r->good_size == r->file_size));
    sink += check_strings(r);
    check_stacks(r);
    check_tasks(r);
    check_samples(r);
    recording_free(r);
    return 0;
}
