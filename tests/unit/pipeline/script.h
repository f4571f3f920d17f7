/* SPDX-License-Identifier: MIT */
/* A source that plays events from memory, and an environment to play them in: files on disk, a recording, the pipeline between them. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "pipeline/pipeline.h"

struct script {
    struct raw_source source; /* first */
    VEC(struct raw_event) events;
    size_t at, seen; /* [at, seen) may be taken */
};

static inline void script_refresh(struct raw_source *source) {
    struct script *script = (struct script *)source;
    script->seen = script->events.count;
}

static inline bool script_peek(struct raw_source *source, uint64_t *ret_time) {
    const struct script *script = (struct script *)source;
    if (script->at >= script->seen)
        return false;
    *ret_time = script->events.items[script->at].time;
    return true;
}

static inline void script_next(struct raw_source *source, struct raw_event *ret) {
    struct script *script = (struct script *)source;
    *ret = script->events.items[script->at++];
}

static inline void script_begin(struct script *script) {
    *script = (struct script){.source = {.refresh = script_refresh, .peek = script_peek, .next = script_next}};
}

static inline void script_add(struct script *script, struct raw_event event) {
    struct raw_event *slot = vec_push(&script->events);
    if (slot)
        *slot = event;
}

static inline struct raw_event task_event(uint64_t time, enum raw_task_change change, uint32_t pid, uint32_t tid, uint32_t parent,
                                          const char *comm) {
    return (struct raw_event){.type = RAW_TASK,
                              .time = time,
                              .task = {.change = change, .pid = pid, .tid = tid, .parent_pid = parent, .parent_tid = parent, .comm = comm}};
}

static inline struct raw_event cpu_event(uint64_t time, uint32_t pid, uint32_t tid, uint64_t cpu_time) {
    return (struct raw_event){
        .type = RAW_TASK, .time = time, .task = {.change = RAW_TASK_CPU, .pid = pid, .tid = tid, .cpu_time = cpu_time}};
}

static inline struct raw_event loss_event(uint64_t time, enum raw_loss_kind kind, uint64_t count) {
    return (struct raw_event){.type = RAW_LOSS, .time = time, .loss = {.kind = kind, .count = count}};
}

/* Executable, from offset 0 of a file without known inode. */
static inline struct raw_event mapping_event(uint64_t time, uint32_t pid, uint64_t start, uint64_t length, const char *path) {
    return (struct raw_event){.type = RAW_MAPPING,
                              .time = time,
                              .mapping = {.pid = pid, .tid = pid, .start = start, .length = length, .is_executable = true, .path = path}};
}

/* A sample whose stack bytes are the return addresses that the stand-in of the unwinder reads; `stack` must outlive the event. */
static inline struct raw_event sample_event(uint64_t time, uint32_t pid, uint32_t tid, uint64_t pc, const uint64_t *stack, size_t count) {
    struct raw_event event = {.type = RAW_SAMPLE,
                              .time = time,
                              .sample = {.pid = pid,
                                         .tid = tid,
                                         .cpu = 1,
                                         .weight = 1000,
                                         .abi = RAW_ABI_64,
                                         .registers_valid = (1u << RAW_REGISTERS) - 1,
                                         .stack = (const uint8_t *)stack,
                                         .stack_base = 0x7ffe0000,
                                         .stack_length = (uint32_t)(count * 8),
                                         .stack_limit = RAW_STACK_LIMITED}};
    event.sample.registers[16] = pc;
    return event;
}

struct stage {
    char directory[64];
    char path[96];
    struct recording_writer *writer;
    struct pipeline *pipeline;
    struct script script;
};

static inline void stage_file(const struct stage *stage, const char *path, const char *content) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", stage->directory, path);
    FILE *file = fopen(full, "we");
    if (!file)
        return;
    fputs(content, file);
    fclose(file);
}

/* `options.root` is the stage's own directory, in which /app and /lib exist, unless the pipeline is live. */
static inline bool stage_begin(struct stage *stage, struct pipeline_options options) {
    memset(stage, 0, sizeof *stage);
    snprintf(stage->directory, sizeof stage->directory, "/tmp/cprof-pipeline-XXXXXX");
    if (!mkdtemp(stage->directory))
        return false;
    snprintf(stage->path, sizeof stage->path, "%s/recording", stage->directory);
    stage_file(stage, "/app", "image");
    stage_file(stage, "/lib", "image");
    stage_file(stage, "/jitted", "not ELF");
    if (!options.is_live)
        options.root = stage->directory;
    script_begin(&stage->script);
    if (recording_create(stage->path, &stage->writer) < 0)
        return false;
    recording_add_event(
        stage->writer,
        &(struct recording_event){
            .name = "cpu-clock", .unit = "ns", .clock = "on-CPU time", .source = "script", .blind = "", .period = 1000, .weights = 1});
    return pipeline_new(&options, stage->writer, &stage->pipeline) >= 0 && pipeline_add_source(stage->pipeline, &stage->script.source) >= 0;
}

/* Plays what is left, ends the recording and reads it. NULL: something failed. */
static inline struct recording *stage_finish(struct stage *stage) {
    uint64_t size;
    const char *damage;
    struct recording *recording = NULL;
    int r = pipeline_round(stage->pipeline, UINT64_MAX);
    if (r >= 0)
        r = pipeline_drain(stage->pipeline);
    if (r >= 0)
        r = pipeline_symbolise(stage->pipeline, NULL, NULL);
    pipeline_free(stage->pipeline);
    stage->pipeline = NULL;
    if (recording_close(stage->writer, &size) < 0 || r < 0)
        return NULL;
    return recording_open(stage->path, &recording, &damage) < 0 ? NULL : recording;
}

static inline void stage_end(struct stage *stage, struct recording *recording) {
    static const char *const names[] = {"/app", "/lib", "/jitted", "/recording", "/recording~"};
    char path[256];
    recording_free(recording);
    vec_free(&stage->script.events);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s%s", stage->directory, names[i]);
        unlink(path);
    }
    rmdir(stage->directory);
}
