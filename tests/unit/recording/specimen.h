/* SPDX-License-Identifier: MIT */
/* A small recording with at least one row of everything, hostile names and two epochs: written, and checked field by field. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recording/recording.h"
#include "tests/check.h"

/* A file name of this process's own, removed at exit. */
static char specimen_name[64];
static void specimen_remove(void) {
    char old[80];
    snprintf(old, sizeof old, "%s.old", specimen_name);
    unlink(old);
    unlink(specimen_name);
}
static inline const char *specimen_path(void) {
    if (!*specimen_name) {
        snprintf(specimen_name, sizeof specimen_name, "test-recording-%d.data", (int)getpid());
        atexit(specimen_remove);
    }
    return specimen_name;
}

/* Replaces the file by these bytes. */
static inline bool specimen_put(const void *data, size_t length) {
    FILE *file = fopen(specimen_path(), "we");
    bool is_written = file && fwrite(data, 1, length, file) == length;
    return file && fclose(file) == 0 && is_written;
}

/* The whole file; the caller frees it. NULL on any error. */
static inline uint8_t *specimen_get(const char *path, size_t *ret_length) {
    enum { MOST = 64 << 20 };
    FILE *file = fopen(path, "re");
    uint8_t *data = file ? malloc(MOST) : NULL;
    if (data)
        *ret_length = fread(data, 1, MOST, file);
    if (file)
        fclose(file);
    return data;
}

#define SPECIMEN_HOSTILE "a;b 7\r\n\t<>&\"\x01\x7f\xff\xfe\xc3(\xed\xa0\x80"
enum { SPECIMEN_LONG = 64 * 1024 };

/* Thread 1 tells of site 0 twice: the rows are to be added up. */
static inline void specimen_write_scopes(struct recording_writer *w) {
    static const struct recording_bucket few[] = {{0, 1}, {7, 2}, {LOGLINEAR_BUCKETS - 1, UINT32_MAX}}, one[] = {{7, 5}};
    recording_add_site(w, &(struct recording_site){SPECIMEN_HOSTILE, "f", "", 7, SITE_SCOPE});
    recording_add_site(w, &(struct recording_site){"requests", "g", "x.c", UINT32_MAX, SITE_VALUE});
    recording_add_frame(w, &(struct recording_frame){FRAME_SCOPE, FRAME_DERIVED, 0, RECORDING_NONE, 1});
    recording_add_scope_node(w, &(struct recording_scope_node){RECORDING_NONE, 0});
    recording_add_scope_node(w, &(struct recording_scope_node){0, 1});
    struct recording_scope scope = {
        .thread = 1, .site = 0, .count = 3, .primitive = 2, .total = 50, .self = 40, .sum = 60, .min = 5, .max = 30};
    scope.slowest[0] = (struct recording_instance_brief){100, 30};
    scope.buckets = few;
    scope.bucket_count = 3;
    recording_add_scope(w, &scope);
    scope.min = 4;
    scope.max = 29;
    scope.unwound = 1;
    scope.unfinished_samples = 17;
    scope.slowest[1] = (struct recording_instance_brief){200, 29};
    scope.buckets = scope.elapsed = one;
    scope.bucket_count = scope.elapsed_count = 1;
    recording_add_scope(w, &scope);
    recording_add_scope(w, &(struct recording_scope){.thread = 0, .site = 1, .count = UINT64_MAX});
    recording_add_scope_path(w, &(struct recording_scope_path){1, 1, 2, 1, 100, 90});
    recording_add_scope_path(w, &(struct recording_scope_path){1, 1, 3, 0, 10, 9});
    recording_add_instance(w, &(struct recording_instance){1, 0, 1000, UINT64_MAX, 17});
}

static inline void specimen_write(struct recording_writer *w) {
    static char longest[SPECIMEN_LONG + 1];
    memset(longest, 'x', SPECIMEN_LONG);
    recording_set(w, "command", "first");
    recording_set(w, "command", SPECIMEN_HOSTILE);
    recording_set(w, "", "");
    recording_add_clock_pair(w, 1, UINT64_MAX, 3);
    recording_add_event(
        w, &(struct recording_event){"cpu-clock", "ns", "on-CPU time", "perf_event", "blind to nothing", 1003009, true, 1, false, false});
    recording_add_event(w, &(struct recording_event){"alloc", "bytes", "bytes", "agent", "", 0, false, 4, true, true});
    recording_add_module(w, &(struct recording_module){MODULE_FILE, MODULE_NOT_OPENED, "/bin/" SPECIMEN_HOSTILE, 0, {0}});
    recording_add_module(w, &(struct recording_module){MODULE_JIT, 0, longest, 0, {0}});
    struct recording_module opened = {MODULE_FILE, MODULE_STRIPPED, "", 32, {0}};
    memset(opened.build_id, 0xab, 32);
    recording_update_module(w, 0, &opened);
    recording_add_process(w,
                          &(struct recording_process){.pid = UINT32_MAX, .parent = RECORDING_NONE, .start = 5, .flags = PROCESS_GUESSED});
    recording_add_process(w, &(struct recording_process){.pid = 7, .parent = 0, .start = UINT64_MAX});
    recording_add_mapping(w, &(struct recording_mapping){1, 1, 17, 0xffffffffff600000, 0x1000, UINT64_MAX});
    recording_add_thread(w, &(struct recording_thread){7, 7, 10});
    recording_add_thread(w, &(struct recording_thread){7, 8, 11});
    recording_add_task(w, &(struct recording_task){0, 1, "comm", 10});
    recording_add_task(w, &(struct recording_task){1, 1, SPECIMEN_HOSTILE, 12});
    recording_end_thread(w, &(struct recording_thread_end){1, true, true, 500, 499});
    recording_add_frame(w, &(struct recording_frame){FRAME_NATIVE, FRAME_TABLE, FRAME_FLAG_RETURN, 0, 0x1000});
    recording_add_frame(w, &(struct recording_frame){FRAME_KERNEL, FRAME_SAMPLED, 0, 1, 0xffffffff81000000});
    recording_add_frame(w, &(struct recording_frame){FRAME_ELIDED, FRAME_CONTINUED, 0, RECORDING_NONE, 9000});
    recording_add_node(w, &(struct recording_node){STACK_COMPLETE, 0});
    recording_add_node(w, &(struct recording_node){STACK_END_COUNT, 1});
    recording_add_node(w, &(struct recording_node){STACK_TRUNCATED, 2});
    recording_add_sample(w, &(struct recording_sample){1000, 0, STACK_END_COUNT + 1, 0, 0, {1003009}});
    recording_add_sample(w, &(struct recording_sample){2000, 1, STACK_PC_ONLY, 1, 3, {1, UINT64_MAX, 0, 4}});
    recording_new_epoch(w);
    recording_add_frame(w, &(struct recording_frame){FRAME_NATIVE, FRAME_GUESSED, 0, 0, 0x2000});
    recording_add_node(w, &(struct recording_node){STACK_NO_RULE, 0});
    recording_add_node(w, &(struct recording_node){STACK_END_COUNT, 0});
    recording_add_sample(w, &(struct recording_sample){3000, 0, STACK_END_COUNT + 1, 0, 0, {1}});
    const struct recording_location chain[] = {{"inner(int)", NULL, 0, true}, {SPECIMEN_HOSTILE, "x.c", UINT32_MAX, false}};
    recording_add_symbol(w, &(struct recording_symbol){0, 0x2000, 2, chain});
    recording_add_symbol(w, &(struct recording_symbol){0, 0xfff, 1, &(const struct recording_location){NULL, NULL, 0, false}});
    recording_add_symbol(w, &(struct recording_symbol){1, 0xffffffff81000000, 0, NULL});
    specimen_write_scopes(w);
    recording_set_counter(w, "ring full", 0);
    recording_set_counter(w, "stack truncated", 1);
    recording_set_counter(w, "stack truncated", UINT64_MAX);
}

static inline long long specimen_walk(const struct recording *r) {
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    long long count = 0;
    while (recording_next(r, &cursor, &sample))
        count++;
    recording_cursor_free(&cursor);
    return count;
}

static inline void specimen_check_tables(const struct recording *r) {
    CHECK_EQ(r->facts.count, 2);
    CHECK_STR(recording_fact(r, "command"), SPECIMEN_HOSTILE);
    CHECK_STR(recording_fact(r, ""), "");
    CHECK_STR(recording_fact(r, "none"), NULL);
    CHECK_EQ(r->clock_pairs.count, 1);
    CHECK_EQ(r->clock_pairs.items[0].realtime, UINT64_MAX);
    CHECK_EQ(r->clock_pairs.items[0].tsc, 3);
    CHECK_EQ(r->events.count, 2);
    CHECK_STR(r->events.items[0].blind, "blind to nothing");
    CHECK_STR(r->events.items[1].unit, "bytes");
    CHECK_EQ(r->events.items[0].period, 1003009);
    CHECK(r->events.items[0].is_jittered && !r->events.items[0].is_untested);
    CHECK(!r->events.items[1].is_jittered && r->events.items[1].is_untested);
    CHECK_EQ(r->events.items[1].weights, 4);
    CHECK_EQ(r->modules.count, 2);
    CHECK_STR(r->modules.items[0].path, "/bin/" SPECIMEN_HOSTILE);
    CHECK_EQ(r->modules.items[0].flags, MODULE_STRIPPED);
    CHECK_EQ(r->modules.items[0].build_id_length, 32);
    CHECK_EQ(r->modules.items[0].build_id[31], 0xab);
    CHECK_EQ(r->modules.items[1].kind, MODULE_JIT);
    CHECK_EQ(strlen(r->modules.items[1].path), SPECIMEN_LONG);
    CHECK_EQ(r->processes.count, 2);
    CHECK_EQ(r->processes.items[0].pid, UINT32_MAX);
    CHECK_EQ(r->processes.items[0].parent, RECORDING_NONE);
    CHECK_EQ(r->processes.items[0].flags, PROCESS_GUESSED);
    CHECK_EQ(r->processes.items[1].parent, 0);
    CHECK_EQ(r->processes.items[1].start, UINT64_MAX);
    CHECK_EQ(r->mappings.count, 1);
    CHECK_EQ(r->mappings.items[0].process, 1);
    CHECK_EQ(r->mappings.items[0].module, 1);
    CHECK_EQ(r->mappings.items[0].time, 17);
    CHECK_EQ(r->mappings.items[0].start, 0xffffffffff600000);
    CHECK_EQ(r->mappings.items[0].length, 0x1000);
    CHECK_EQ(r->mappings.items[0].offset, UINT64_MAX);
    CHECK_EQ(r->threads.count, 2);
    CHECK_EQ(r->threads.items[1].tid, 8);
    CHECK_EQ(r->threads.items[1].start, 11);
    CHECK_EQ(r->thread_ends.count, 2);
    CHECK_EQ(r->thread_ends.items[0].thread, RECORDING_NONE);
    CHECK_EQ(r->thread_ends.items[1].thread, 1);
    CHECK(r->thread_ends.items[1].is_exited && r->thread_ends.items[1].has_exact_cpu);
    CHECK_EQ(r->thread_ends.items[1].exact_cpu, 499);
    CHECK_EQ(r->tasks.count, 2);
    CHECK_STR(r->tasks.items[1].comm, SPECIMEN_HOSTILE);
    CHECK_EQ(r->tasks.items[1].thread, 1);
    CHECK_EQ(r->tasks.items[1].process, 1);
    CHECK_EQ(recording_counter(r, "stack truncated"), UINT64_MAX);
    CHECK_EQ(recording_counter(r, "ring full"), 0);
    CHECK_EQ(r->counters.count, 2);
}

static inline void specimen_check_stacks(const struct recording *r) {
    CHECK_EQ(r->frames.count, r->sites.count ? 5 : 4); /* one of a scope */
    CHECK_EQ(r->frames.items[0].address, 0x1000);
    CHECK_EQ(r->frames.items[0].flags, FRAME_FLAG_RETURN);
    CHECK_EQ(r->frames.items[0].class, FRAME_TABLE);
    CHECK_EQ(r->frames.items[1].address, 0xffffffff81000000);
    CHECK_EQ(r->frames.items[1].kind, FRAME_KERNEL);
    CHECK_EQ(r->frames.items[1].module, 1);
    CHECK_EQ(r->frames.items[2].module, RECORDING_NONE);
    CHECK_EQ(r->frames.items[2].address, 9000);
    CHECK_EQ(r->frames.items[2].class, FRAME_CONTINUED);
    CHECK_EQ(r->frames.items[3].address, 0x2000);
    CHECK_EQ(r->nodes.count, STACK_END_COUNT + 5);
    const struct recording_node *added = &r->nodes.items[STACK_END_COUNT];
    CHECK_EQ(added[0].parent, STACK_COMPLETE);
    CHECK_EQ(added[1].parent, STACK_END_COUNT);
    CHECK_EQ(added[1].frame, 1);
    CHECK_EQ(added[2].parent, STACK_TRUNCATED);
    CHECK_EQ(added[2].frame, 2);
    CHECK_EQ(added[3].parent, STACK_NO_RULE);
    CHECK_EQ(added[3].frame, 3);
    CHECK_EQ(added[4].parent, STACK_END_COUNT + 3);
    CHECK_EQ(added[4].frame, 3);
}

static inline void specimen_check_samples(const struct recording *r) {
    struct recording_cursor cursor = {0};
    struct recording_sample s;
    CHECK_EQ(r->sample_count, 3);
    CHECK_EQ(r->first_time, 1000);
    CHECK_EQ(r->last_time, 3000);
    CHECK(recording_next(r, &cursor, &s));
    CHECK_EQ(s.time, 1000);
    CHECK_EQ(s.node, STACK_END_COUNT + 1);
    CHECK_EQ(s.weight[0], 1003009);
    CHECK(recording_next(r, &cursor, &s));
    CHECK_EQ(s.task, 1);
    CHECK_EQ(s.node, STACK_PC_ONLY);
    CHECK_EQ(s.event, 1);
    CHECK_EQ(s.cpu, 3);
    CHECK_EQ(s.weight[1], UINT64_MAX);
    CHECK_EQ(s.weight[3], 4);
    CHECK(recording_next(r, &cursor, &s));
    CHECK_EQ(s.node, STACK_END_COUNT + 4);
    CHECK_EQ(s.weight[0], 1);
    CHECK(!recording_next(r, &cursor, &s));
    recording_cursor_free(&cursor);
}

static inline void specimen_check_symbols(const struct recording *r) {
    CHECK_EQ(r->symbols.count, 3);
    CHECK(!recording_symbol(r, 0, 0x1000));
    const struct recording_symbol *unnamed = recording_symbol(r, 0, 0xfff), *inlined = recording_symbol(r, 0, 0x2000),
                                  *unknown = recording_symbol(r, 1, 0xffffffff81000000);
    CHECK(unnamed && inlined && unknown);
    CHECK_EQ(unnamed->count, 1);
    CHECK_STR(unnamed->locations[0].function, NULL);
    CHECK_EQ(unknown->count, 0);
    CHECK_EQ(inlined->count, 2);
    CHECK_STR(inlined->locations[0].function, "inner(int)");
    CHECK(inlined->locations[0].is_inlined && !inlined->locations[1].is_inlined);
    CHECK_STR(inlined->locations[1].function, SPECIMEN_HOSTILE);
    CHECK_STR(inlined->locations[1].file, "x.c");
    CHECK_EQ(inlined->locations[1].line, UINT32_MAX);
}

static inline void specimen_check_scopes(const struct recording *r) {
    CHECK_EQ(r->sites.count, 2);
    CHECK_STR(r->sites.items[0].name, SPECIMEN_HOSTILE);
    CHECK_STR(r->sites.items[1].file, "x.c");
    CHECK_EQ(r->sites.items[1].line, UINT32_MAX);
    CHECK_EQ(r->sites.items[1].kind, SITE_VALUE);
    CHECK_EQ(r->frames.items[4].kind, FRAME_SCOPE);
    CHECK_EQ(r->frames.items[4].address, 1);
    CHECK_EQ(r->scope_nodes.count, 2);
    CHECK_EQ(r->scope_nodes.items[0].parent, RECORDING_NONE);
    CHECK_EQ(r->scope_nodes.items[1].parent, 0);
    CHECK_EQ(r->scopes.count, 2);
    CHECK_EQ(r->scopes.items[0].count, UINT64_MAX);
    const struct recording_scope *sum = &r->scopes.items[1];
    CHECK_EQ(sum->thread, 1);
    CHECK_EQ(sum->count, 6);
    CHECK_EQ(sum->total, 100);
    CHECK_EQ(sum->min, 4);
    CHECK_EQ(sum->max, 30);
    CHECK_EQ(sum->unwound, 1);
    CHECK_EQ(sum->unfinished_samples, 17);
    CHECK_EQ(sum->slowest[0].ticks, 30);
    CHECK_EQ(sum->slowest[1].ticks, 29);
    CHECK_EQ(sum->slowest[2].ticks, 0); /* the same instance, told twice */
    CHECK_EQ(sum->bucket_count, 3);
    CHECK_EQ(sum->buckets[1].bucket, 7);
    CHECK_EQ(sum->buckets[1].count, 7);
    CHECK_EQ(sum->buckets[2].bucket, LOGLINEAR_BUCKETS - 1);
    CHECK_EQ(sum->elapsed_count, 1);
    CHECK_EQ(sum->elapsed[0].count, 5);
    CHECK_EQ(r->scope_paths.count, 1);
    CHECK_EQ(r->scope_paths.items[0].count, 5);
    CHECK_EQ(r->scope_paths.items[0].total, 110);
    CHECK_EQ(r->instances.count, 1);
    CHECK_EQ(r->instances.items[0].end, UINT64_MAX);
    CHECK_EQ(r->instances.items[0].off_cpu, 17);
}

/* All but the scopes, which specimens had not always. */
static inline void specimen_check_first(const struct recording *r) {
    specimen_check_tables(r);
    if (!check_failed)
        specimen_check_stacks(r);
    if (!check_failed)
        specimen_check_samples(r);
    if (!check_failed)
        specimen_check_symbols(r);
}

static inline void specimen_check(const struct recording *r) {
    specimen_check_first(r);
    if (!check_failed)
        specimen_check_scopes(r);
}
