/* SPDX-License-Identifier: MIT */
#include "report/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "symbol/symbol.h"

struct disk_module {
    enum disk_state state;
    struct elf_image *image;
    struct symbol_module *symbols;
};

struct disk {
    const struct recording *recording;
    struct symbol_options options;
    struct disk_module *modules; /* by module id */
    enum disk_state kernel_state;
    struct symbol_table *kernel;
    struct recording_location locations[SYMBOL_CHAIN_MAX]; /* of the last look-up */
};

DEFINE_CLEANUP(struct elf_image *, elf_image_close)

int disk_new(const struct recording *r, bool inlines, struct disk **ret) {
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return -ENOMEM;
    disk->recording = r;
    disk->options = (struct symbol_options){.inlines = inlines, .root = ""};
    disk->modules = calloc(r->modules.count + 1, sizeof *disk->modules);
    if (!disk->modules) {
        free(disk);
        return -ENOMEM;
    }
    *ret = disk;
    return 0;
}

void disk_free(struct disk *disk) {
    if (!disk)
        return;
    for (size_t i = 0; i < disk->recording->modules.count; i++) {
        if (disk->modules[i].symbols)
            symbol_module_close(disk->modules[i].symbols);
        if (disk->modules[i].image)
            elf_image_close(disk->modules[i].image);
    }
    if (disk->kernel)
        symbol_table_free(disk->kernel);
    free(disk->modules);
    free(disk);
}

/* ---- files ----------------------------------------------------------------------------------------------------------------------- */

/* The path is the recording's word and may name anything by now: only regular files are opened, since opening alone moves some devices. */
static int open_regular(const char *path) {
    char again[32];
    struct stat st;
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
    return open(again, O_RDONLY | O_CLOEXEC);
}

static enum disk_state open_file(struct disk *disk, const struct recording_module *module, struct disk_module *ret) {
    struct elf_build_id wanted = {.length = module->build_id_length};
    if (module->kind != MODULE_FILE || !wanted.length || wanted.length > sizeof wanted.bytes)
        return DISK_UNPROVED;
    memcpy(wanted.bytes, module->build_id, wanted.length);
    _cleanup_close_ int fd = open_regular(module->path);
    _cleanup_(elf_image_close_cleanup) struct elf_image *image = NULL;
    if (fd < 0 || elf_image_open(fd, &image) < 0)
        return DISK_GONE;
    if (!elf_build_id_equal(&wanted, &elf_image_info(image)->build_id))
        return DISK_DIFFERENT;
    if (symbol_module_open(image, module->path, &disk->options, &ret->symbols) < 0)
        return DISK_GONE;
    ret->image = TAKE_POINTER(image);
    return DISK_USED;
}

static uint32_t find_in_file(struct disk *disk, struct disk_module *module, uint64_t address) {
    struct symbol_frame chain[SYMBOL_CHAIN_MAX];
    int length = symbol_module_find(module->symbols, address, chain, SYMBOL_CHAIN_MAX);
    for (int i = 0; i < length; i++)
        disk->locations[i] = (struct recording_location){
            .function = chain[i].function, .file = chain[i].file, .line = chain[i].line, .is_inlined = chain[i].is_inlined};
    return length > 0 ? (uint32_t)length : 0;
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------------------ */

/* Kernel addresses mean something until the next boot only. */
static bool is_same_boot(const struct recording *r) {
    const char *recorded = recording_fact(r, "boot id");
    _cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    char current[64];
    return recorded && file && fscanf(file, "%63s", current) == 1 && !strcmp(recorded, current);
}

static uint32_t find_in_kernel(struct disk *disk, uint64_t address) {
    const char *name, *module;
    uint64_t start;
    if (disk->kernel_state == DISK_UNTRIED) {
        disk->kernel_state = DISK_UNPROVED;
        if (is_same_boot(disk->recording))
            disk->kernel_state = symbol_table_open_kallsyms("/proc/kallsyms", NULL, 0, &disk->kernel) < 0 ? DISK_GONE : DISK_USED;
    }
    if (!disk->kernel || !symbol_table_find(disk->kernel, address, &name, &module, &start))
        return 0;
    disk->locations[0] = (struct recording_location){.function = name};
    return 1;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------ */

uint32_t disk_find(struct disk *disk, const struct recording_frame *frame, const struct recording_location **ret) {
    uint64_t address = frame->address - (frame->flags & FRAME_FLAG_RETURN ? 1 : 0);
    struct disk_module *module = &disk->modules[frame->module];
    *ret = disk->locations;
    if (frame->kind == FRAME_KERNEL) {
        uint32_t count = find_in_kernel(disk, address);
        module->state = disk->kernel_state;
        return count;
    }
    if (module->state == DISK_UNTRIED)
        module->state = open_file(disk, &disk->recording->modules.items[frame->module], module);
    return module->symbols ? find_in_file(disk, module, address) : 0;
}

enum disk_state disk_module_state(const struct disk *disk, uint32_t module) {
    return disk->modules[module].state;
}
