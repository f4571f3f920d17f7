/* SPDX-License-Identifier: MIT */
/*
 * What the stacks of a real recording cost, hot, with everything included; beside framehop on the very same file, if framehop-frames
 * (scripts/install-peers) is on the path.
 *
 *     perf record -F 4999 -e cpu-clock --call-graph dwarf,16384 -o perf.data PROGRAM
 *     build/tests/oracle/oracle-frames --snapshots SNAPSHOTS perf.data
 *     bench-snapshots SNAPSHOTS
 *
 * All samples are walked in the order in which they were taken, again and again; the best round counts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/vec.h"
#include "tests/oracle/snapshot.h"

enum { ROUNDS = 9, FORGET = 1, MODULE = 2, SAMPLE = 3 };

struct file {
    char *path;
    struct elf_image *image;
    struct unwind_module *module;
};

struct space {
    size_t first, count; /* of places */
};

struct walk {
    size_t space;
    struct unwind_sample sample;
};

static VEC(struct file) files;
static VEC(struct space) spaces;
static VEC(struct unwind_place) places;
static VEC(struct walk) walks;

static void check(bool condition) {
    if (!condition) {
        fprintf(stderr, "bench-snapshots: not a snapshot file, or memory is out\n");
        exit(1);
    }
}

static const struct unwind_module *module_of(const char *path, const uint8_t *image, uint64_t length) {
    for (size_t i = 0; i < files.count; i++)
        if (!strcmp(files.items[i].path, path))
            return files.items[i].module;
    struct file *file = vec_push(&files);
    check(file != NULL);
    *file = (struct file){.path = strdup(path)};
    int fd = length ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int r = length ? elf_image_open_memory(image, length, &file->image) : fd < 0 ? -1 : elf_image_open(fd, &file->image);
    if (r < 0 || unwind_module_build(file->image, NULL, &file->module) < 0)
        file->module = NULL;
    if (fd >= 0)
        close(fd);
    return file->module;
}

static void read_module(struct bytes *b) {
    struct unwind_place place = {.state = UNWIND_PLACE_READY, .start = bytes_u64(b), .end = bytes_u64(b), .bias = bytes_u64(b)};
    uint64_t path_length = bytes_u64(b), image_length = bytes_u64(b);
    const uint8_t *path = bytes_take(b, (path_length + 7) & ~(uint64_t)7), *image = bytes_take(b, (image_length + 7) & ~(uint64_t)7);
    check(!b->failed);
    char *name = strndup((const char *)path, path_length);
    place.module = module_of(name, image, image_length);
    free(name);
    if (!place.module)
        return;
    place.module_id = (uint32_t)places.count;
    struct unwind_place *slot = vec_push(&places);
    check(slot && spaces.count);
    *slot = place;
    spaces.items[spaces.count - 1].count++;
}

static void read_sample(struct bytes *b) {
    struct walk *walk = vec_push(&walks);
    check(walk && spaces.count);
    *walk = (struct walk){.space = spaces.count - 1};
    bytes_skip(b, 16); /* thread, time */
    walk->sample.registers.valid = (uint32_t)bytes_u64(b);
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
        walk->sample.registers.value[i] = bytes_u64(b);
    walk->sample.stack_base = bytes_u64(b);
    walk->sample.stack_length = bytes_u64(b);
    walk->sample.stack = bytes_take(b, walk->sample.stack_length);
    check(!b->failed);
}

static void read_all(struct bytes b) {
    while (!bytes_empty(&b)) {
        uint64_t type = bytes_u64(&b);
        struct bytes record = bytes_sub(&b, bytes_u64(&b));
        check(!record.failed);
        if (type == MODULE) {
            read_module(&record);
        } else if (type == SAMPLE) {
            read_sample(&record);
        } else {
            struct space *space = vec_push(&spaces);
            check(space && type == FORGET);
            *space = (struct space){.first = places.count};
        }
    }
}

static void find(void *context, uint64_t pc, struct unwind_place *ret) {
    const struct space *space = context;
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    for (size_t i = 0; i < space->count; i++) {
        const struct unwind_place *place = &places.items[space->first + i];
        if (pc >= place->start && pc < place->end)
            *ret = *place;
    }
}

static uint64_t walk_all(struct unwinder *u) {
    uint64_t frames = 0;
    for (size_t i = 0; i < walks.count; i++) {
        struct walk *walk = &walks.items[i];
        struct unwind_stack stack;
        struct unwind_space space = {.generation = walk->space + 1, .context = &spaces.items[walk->space], .find = find};
        unwinder_walk(u, &walk->sample, &space, NULL, &stack);
        frames += stack.count;
    }
    return frames;
}

int main(int argc, char **argv) {
    struct unwinder *u;
    struct stat status;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &status) < 0 || unwinder_new(&u) < 0) {
        fprintf(stderr, "usage: bench-snapshots SNAPSHOTS\n");
        return 2;
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    check(data != MAP_FAILED);
    read_all(bytes_of(data, (size_t)status.st_size));

    uint64_t frames = walk_all(u), best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_now();
        (void)walk_all(u);
        best = MIN(best, clock_now() - start);
    }
    const struct unwind_counts *counts = unwinder_counts(u);
    printf("cprof: %zu stacks, %.1f frames a stack, %.1f %% complete, %.1f %% of frames cached; %.0f ns a stack, %.1f ns a frame\n",
           walks.count, (double)frames / (double)walks.count, 100 * (double)counts->stacks_by_end[STACK_COMPLETE] / (double)counts->stacks,
           100 * (double)counts->cache_hits / (double)(counts->cache_hits + counts->cache_misses), (double)best / (double)walks.count,
           (double)best / (double)frames);
    char rounds[16];
    snprintf(rounds, sizeof rounds, "%d", ROUNDS);
    printf("framehop: stacks, frames, ns a stack, ns a frame: ");
    fflush(stdout);
    execlp("framehop-frames", "framehop-frames", "--time", rounds, argv[1], (char *)NULL);
    printf("not installed\n");
    return 0;
}
