/* SPDX-License-Identifier: MIT */
#include "report/filter.h"

#include <errno.h>
#include <string.h>

#include "report/place.h"

static bool has_string(const char *const *items, size_t count, const char *wanted) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(items[i], wanted))
            return true;
    return count == 0;
}

static bool has_id(const uint32_t *items, size_t count, uint32_t wanted) {
    for (size_t i = 0; i < count; i++)
        if (items[i] == wanted)
            return true;
    return count == 0;
}

/* The first event that has samples; a recording without samples shows its first event. */
static uint32_t first_sampled_event(const struct recording *r) {
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    uint32_t event = 0;
    if (r->events.count > 1 && recording_next(r, &cursor, &sample)) {
        event = sample.event;
        while (event && recording_next(r, &cursor, &sample))
            event = MIN(event, sample.event);
    }
    recording_cursor_free(&cursor);
    return event;
}

static int find_event(const struct recording *r, const char *name, uint32_t *ret) {
    if (!name && r->events.count) {
        *ret = first_sampled_event(r);
        return 0;
    }
    for (uint32_t i = 0; i < r->events.count; i++)
        if (!strcmp(r->events.items[i].name, name)) {
            *ret = i;
            return 0;
        }
    return -ENOENT;
}

static bool task_passes(const struct recording *r, const struct report_options *o, const struct recording_task *task) {
    const struct recording_thread *thread = &r->threads.items[task->thread];
    return has_string(o->comms.items, o->comms.count, task->comm) && has_id(o->pids.items, o->pids.count, thread->pid) &&
           has_id(o->tids.items, o->tids.count, thread->tid);
}

int filter_build(const struct recording *r, const struct report_options *o, struct filter *ret) {
    struct filter f = {.is_narrowed = o->comms.count || o->pids.count || o->tids.count || o->modules.count || o->in_scope};
    int error = r->events.count ? find_event(r, o->event, &f.event) : -ENOENT;
    if (error < 0)
        return error;
    f.tasks = calloc(r->tasks.count + 1, sizeof *f.tasks);
    f.modules = o->modules.count ? calloc(r->modules.count + 1, sizeof *f.modules) : NULL;
    error = f.tasks && (f.modules || !o->modules.count) ? scope_filter_build(r, o, &f.scope) : -ENOMEM;
    if (error < 0) {
        filter_free(&f);
        return error;
    }
    for (size_t i = 0; i < r->tasks.count; i++)
        f.tasks[i] = task_passes(r, o, &r->tasks.items[i]);
    for (size_t i = 0; f.modules && i < r->modules.count; i++) {
        const char *path = r->modules.items[i].path;
        f.modules[i] =
            has_string(o->modules.items, o->modules.count, path) || has_string(o->modules.items, o->modules.count, place_basename(path));
    }
    *ret = f;
    return 0;
}

int filter_threads(const struct recording *r, const struct report_options *o, bool **ret) {
    bool *threads = calloc(r->threads.count + 1, sizeof *threads);
    if (!threads)
        return -ENOMEM;
    for (size_t i = 0; i < r->tasks.count; i++)
        threads[r->tasks.items[i].thread] |= task_passes(r, o, &r->tasks.items[i]);
    *ret = threads;
    return 0;
}

void filter_free(struct filter *f) {
    free(f->tasks);
    free(f->modules);
    scope_filter_free(&f->scope);
    *f = (struct filter){0};
}

bool filter_node(const struct filter *f, const struct recording *r, uint32_t node) {
    if (f->scope.nodes && !f->scope.nodes[node])
        return false;
    if (!f->modules)
        return true;
    while (node >= STACK_END_COUNT && r->frames.items[r->nodes.items[node].frame].kind == FRAME_SCOPE)
        node = r->nodes.items[node].parent; /* no place */
    uint32_t frame = r->nodes.items[node].frame;
    uint32_t module = frame == RECORDING_NONE ? RECORDING_NONE : r->frames.items[frame].module;
    return module != RECORDING_NONE && f->modules[module];
}
