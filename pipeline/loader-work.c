/* SPDX-License-Identifier: MIT */
#include "pipeline/loader-work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "pipeline/jit.h"

static void do_open(struct loader_job *job) {
    (void)process_module_open(job->module, &job->sighting); /* the result is in the module's state */
    struct elf_section section;
    job->is_stripped = process_module_state(job->module) == PROCESS_MODULE_OPEN &&
                       elf_image_section(job->module->image, ".symtab", &section) < 0 &&
                       elf_image_section(job->module->image, ".gnu_debugdata", &section) < 0;
}

static void do_build(const char *root, struct loader_job *job) {
    struct elf_image *image = job->module->image;
    struct unwind_module *tables;
    if (unwind_module_build(image, NULL, &tables) < 0)
        return;
    /* .debug_frame may be in a separate file, which is looked for only where there is no CFI without it. */
    struct elf_image *debug;
    char *debug_path;
    if (!unwind_module_info(tables)->fdes && job->module->kind == PROCESS_MODULE_FILE &&
        !elf_debug_open(image, job->module->path, root, &debug, &debug_path)) {
        struct unwind_module *better;
        if (!unwind_module_build(image, debug, &better)) {
            unwind_module_free(tables);
            tables = better;
        }
        elf_image_close(debug);
        free(debug_path);
    }
    elf_image_unload(image);
    job->tables = tables;
}

static void do_comm(struct loader_job *job) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/comm", job->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, job->comm, sizeof job->comm - 1);
    if (length > 0 && job->comm[length - 1] == '\n')
        job->comm[length - 1] = 0;
}

static void do_maps(struct loader_job *job) {
    enum { MAPS_MAX = 64 << 20 }; /* 65,530 mappings of ~100 bytes are 6 MiB */
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/maps", job->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        job->is_gone = errno == ENOENT;
        return;
    }
    VEC(char) text = {0};
    for (;;) {
        ssize_t got = -1;
        if (text.count < MAPS_MAX && vec_reserve(&text, text.count + 65536))
            got = read(fd, text.items + text.count, text.capacity - text.count);
        if (got < 0) {
            vec_free(&text);
            return;
        }
        if (!got)
            break;
        text.count += (size_t)got;
    }
    if (!text.count) { /* a zombie, or a kernel thread: it has no memory */
        vec_free(&text);
        return;
    }
    job->text = text.items;
    job->length = text.count;
}

static int add_chain(struct loader_names *names, const struct symbol_frame *chain, size_t count) {
    uint32_t *length = vec_push(&names->lengths);
    if (!length || !vec_reserve(&names->locations, names->locations.count + count))
        return -ENOMEM;
    *length = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        names->locations.items[names->locations.count++] = (struct recording_location){
            .function = chain[i].function, .file = chain[i].file, .line = chain[i].line, .is_inlined = chain[i].is_inlined};
    return 0;
}

static void do_names(const char *root, struct loader_job *job) {
    struct loader_names *names = job->names;
    struct symbol_options options = {.inlines = names->inlines, .root = root};
    names->error = symbol_module_open(job->module->image, job->module->path, &options, &names->symbols);
    for (size_t i = 0; !names->error && i < job->count && !atomic_load_explicit(&names->stop, memory_order_relaxed); i++) {
        struct symbol_frame chain[SYMBOL_CHAIN_MAX];
        int length = symbol_module_find(names->symbols, job->addresses[i], chain, ARRAY_SIZE(chain));
        names->error = add_chain(names, chain, length > 0 ? (size_t)length : 0);
        atomic_store_explicit(&names->done, i + 1, memory_order_relaxed);
    }
    if (names->symbols)
        names->mangled = symbol_module_mangled(names->symbols);
}

void loader_work(const char *root, struct loader_job *job) {
    switch (job->task) {
    case LOADER_OPEN:
        do_open(job);
        break;
    case LOADER_MAPS:
        do_comm(job);
        do_maps(job);
        break;
    case LOADER_JIT_BEGIN:
        jit_begin(job->jit);
        break;
    case LOADER_JIT_DUMP:
        jit_begin_dump(job->jit, job->module, &job->sighting);
        break;
    case LOADER_JIT_END:
        jit_load(job->jit);
        break;
    case LOADER_KALLSYMS:
        (void)symbol_table_open_kallsyms("/proc/kallsyms", job->addresses, job->count, &job->symbols);
        break;
    case LOADER_BUILD:
        do_build(root, job);
        break;
    case LOADER_NAMES:
        do_names(root, job);
        break;
    }
}
