/* SPDX-License-Identifier: MIT */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <stdlib.h>

#include "pipeline/private.h"

enum { BACKLOG_BYTES = 32 << 20, INTERN_NODES = 4 << 20 };

int pipeline_new(const struct pipeline_options *options, struct recording_writer *writer, struct pipeline **ret) {
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->options = *options;
    if (!p->options.root)
        p->options.root = "";
    if (!p->options.backlog_bytes)
        p->options.backlog_bytes = BACKLOG_BYTES;
    if (!p->options.intern_nodes)
        p->options.intern_nodes = INTERN_NODES;
    p->writer = writer;
    p->epoch = 1;
    p->counts.epochs = 1;

    struct process_listener listener = pipeline_listener;
    listener.context = p;
    int r = intern_reset(&p->intern);
    if (!r && p->options.has_kernel)
        r = kernel_read(&p->kernel, "/proc/modules");
    if (!r)
        r = process_table_new(&listener, &p->table);
    if (!r)
        r = unwinder_new(&p->unwinder);
    if (!r)
        r = loader_new(p->options.root, p->options.patience_ms, &p->loader);
    if (r < 0) {
        (void)pipeline_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

bool pipeline_free(struct pipeline *p) {
    if (!p)
        return true;
    if (!loader_free(p->loader, pipeline_drop_job, NULL))
        return false;
    while (p->backlog.first)
        backlog_entry_free(p->table, backlog_take(&p->backlog, &p->backlog.first));
    if (p->table)
        process_table_end(p->table);
    for (size_t i = 0; i < p->modules.count; i++)
        pipeline_module_free(p->modules.items[i]); /* before the images they refer to */
    vec_free(&p->modules);
    process_table_free(p->table);
    unwinder_free(p->unwinder);
    intern_free(&p->intern);
    kernel_free(&p->kernel);
    if (p->kernel_symbols)
        symbol_table_free(p->kernel_symbols);
    pipeline_scopes_free(&p->scopes);
    merge_free(&p->merge);
    vec_free(&p->frame_ids);
    vec_free(&p->touched);
    vec_free(&p->to_read);
    free(p);
    return true;
}

int pipeline_add_source(struct pipeline *p, struct raw_source *source) {
    return merge_add(&p->merge, source);
}

size_t pipeline_backlog(const struct pipeline *p) {
    return p->backlog.bytes;
}

static int take_answers(struct pipeline *p) {
    loader_look(p->loader);
    pipeline_take_jobs(p);
    if (!p->is_backlog_due)
        return p->error;
    p->is_backlog_due = false;
    int r = pipeline_retry(p, false);
    return r < 0 ? r : p->error;
}

int pipeline_round(struct pipeline *p, uint64_t until) {
    struct raw_event event;
    int r = take_answers(p);
    merge_begin(&p->merge);
    while (!r && merge_next(&p->merge, until, &event))
        r = pipeline_apply(p, &event);
    merge_end(&p->merge);
    if (!r)
        r = p->error;
    if (r < 0)
        return r;
    pipeline_scopes_round(p, until);
    process_retire(p->table, p->now);
    pipeline_counts_update(p);
    return recording_tick(p->writer);
}

int pipeline_drain(struct pipeline *p) {
    int r = pipeline_settle(p);
    if (!r)
        r = pipeline_retry(p, true);
    if (r < 0)
        return r;
    pipeline_scopes_finish(p);
    process_table_end(p->table);
    pipeline_counts_write(p);
    return recording_tick(p->writer);
}
