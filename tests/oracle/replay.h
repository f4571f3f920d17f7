/* SPDX-License-Identifier: MIT */
/*
 * The samples of a perf.data, each with the address space it was taken in: the road of `cprof-record --from` up to the unwinder, without
 * threads and without anything behind it.
 *
 * All who unwind a sample are shown the same memory: the sampled bytes of the stack, and the loaded bytes of the modules' files.
 */
#pragma once

#include <stdio.h>

#include "process/process.h"
#include "sampler/perf-data-source.h"
#include "unwind/unwind.h"

struct replay_module {
    struct process_module *module;
    struct unwind_module *tables; /* NULL: none could be built */
    bool is_tried;
};

struct replay {
    struct perf_data_file *file;
    struct perf_data_source *source;
    struct process_table *table;
    VEC(struct replay_module) modules; /* by module id */
};

/* One sample; valid until the next. */
struct replay_scene {
    struct replay *replay;
    uint32_t pid, tid;
    uint64_t time; /* as perf wrote it */
    const struct process_maps *maps;
    struct unwind_sample sample;
};

/* 0 or -errno, with *ret_problem (maybe NULL). */
int replay_open(const char *path, struct replay **ret, const char **ret_problem);
void replay_close(struct replay *replay);

/* 1 and the next sample that has user registers, 0 at the end, -errno. `*skipped` counts those without. */
int replay_next(struct replay *replay, struct replay_scene *ret, uint64_t *skipped);

/* The next samples and their modules into a file of the form of snapshot.h, until the end. 0 or -errno. */
int replay_snapshots(struct replay *replay, FILE *file, uint64_t *skipped);

/* The open module that `pc` lies in and its bias; NULL: none. */
struct replay_module *replay_find(const struct replay_scene *scene, uint64_t pc, uint64_t *ret_bias);

/* As struct unwind_space wants it; the context is the scene. */
void replay_place(void *scene, uint64_t pc, struct unwind_place *ret);

int replay_read_file(void *scene, uint64_t address, void *to, size_t length, enum unwind_source *ret_source);

/* Whole, or -EFAULT. From the sample's bytes or a module's. */
int replay_read(const struct replay_scene *scene, uint64_t address, void *to, size_t length);
