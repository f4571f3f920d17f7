/* SPDX-License-Identifier: MIT */
/* The address space of a running process, as unwind/ wants it: /proc/PID/maps, a module a file (and the vDSO), memory by process_vm_readv.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "elf/elf.h"
#include "unwind/unwind.h"

enum { LIVE_PLACES_MAX = 256 };

struct live_place {
    struct unwind_place place;
    char path[256];
    struct elf_image *image;
    struct unwind_module *module;
};

struct live {
    struct unwind_space space;
    pid_t pid;
    uint64_t reads;
    struct live_place places[LIVE_PLACES_MAX];
    size_t count;
};

static inline void live_find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct live *live = context;
    *ret = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    for (size_t i = 0; i < live->count; i++) {
        if (pc >= live->places[i].place.start && pc < live->places[i].place.end) {
            *ret = live->places[i].place;
            return;
        }
    }
}

static inline int live_read(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source) {
    struct live *live = context;
    struct iovec local = {to, length}, remote = {(void *)(uintptr_t)address, length};
    live->reads++;
    *ret_source = UNWIND_FROM_LIVE;
    return process_vm_readv(live->pid, &local, 1, &remote, 1, 0) == (ssize_t)length ? 0 : -EFAULT;
}

static inline struct elf_image *live_open_vdso(struct live *live, uint64_t start, uint64_t end) {
    struct elf_image *image = NULL;
    enum unwind_source source;
    void *bytes = malloc(end - start);
    if (bytes && live_read(live, start, bytes, end - start, &source) == 0)
        (void)elf_image_open_memory(bytes, end - start, &image);
    free(bytes);
    return image;
}

static inline void live_open(struct live *live, struct live_place *at, uint64_t offset) {
    struct unwind_place *place = &at->place;
    place->state = UNWIND_PLACE_UNLOADABLE;
    if (!strcmp(at->path, "[vdso]")) {
        at->image = live_open_vdso(live, place->start, place->end);
    } else {
        int fd = open(at->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        if (elf_image_open(fd, &at->image) < 0)
            at->image = NULL;
        close(fd);
    }
    if (!at->image || !elf_image_bias(at->image, place->start, place->end - place->start, offset, &place->bias) ||
        unwind_module_build(at->image, NULL, &at->module) < 0)
        return;
    place->module = at->module;
    place->state = UNWIND_PLACE_READY;
}

static inline void live_close(struct live *live) {
    for (size_t i = 0; i < live->count; i++) {
        unwind_module_free(live->places[i].module);
        if (live->places[i].image)
            elf_image_close(live->places[i].image);
    }
    live->count = 0;
}

/* 0 or -errno. Mappings made later are not seen. */
static inline int live_init(struct live *live, pid_t pid) {
    static uint64_t generation;
    char path[64], line[512];
    memset(live, 0, sizeof *live);
    live->pid = pid;
    live->space = (struct unwind_space){.generation = ++generation, .context = live, .find = live_find, .read = live_read};
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return -errno;
    while (fgets(line, sizeof line, maps) && live->count < LIVE_PLACES_MAX) {
        struct live_place *at = &live->places[live->count];
        char permissions[8];
        uint64_t offset;
        at->path[0] = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %255[^\n]", &at->place.start, &at->place.end, permissions,
                   &offset, at->path) < 4 ||
            permissions[2] != 'x')
            continue;
        at->place.module_id = (uint32_t)++live->count;
        if (!at->path[0])
            at->place.state = UNWIND_PLACE_ANONYMOUS;
        else
            live_open(live, at, offset);
    }
    fclose(maps);
    return 0;
}
