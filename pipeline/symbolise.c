/* SPDX-License-Identifier: MIT */
/* Names for every address a stack led through: once each, module by module, so that one module's DWARF is in memory at a time. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/private.h"

enum { PROGRESS_EVERY = 64 };

/* ---- which addresses ------------------------------------------------------------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b) {
    const struct pipeline_address *left = a, *right = b;
    if (left->module != right->module)
        return left->module < right->module ? -1 : 1;
    return left->address < right->address ? -1 : left->address > right->address;
}

int pipeline_touch(struct pipeline *p) {
    for (size_t i = 0; i < p->intern.frames.count; i++) {
        const struct intern_frame *frame = &p->intern.frames.items[i];
        if (frame->module == RECORDING_NONE)
            continue;
        struct pipeline_address *touched = vec_push(&p->touched);
        if (!touched)
            return -ENOMEM;
        *touched = (struct pipeline_address){frame->module, frame->address - (frame->flags & FRAME_FLAG_RETURN ? 1 : 0)};
    }
    struct pipeline_address *items = p->touched.items;
    size_t kept = 0;
    if (p->touched.count)
        qsort(items, p->touched.count, sizeof *items, compare_addresses);
    for (size_t i = 0; i < p->touched.count; i++)
        if (!kept || compare_addresses(&items[kept - 1], &items[i]))
            items[kept++] = items[i];
    p->touched.count = kept;
    return 0;
}

/* ---- their names ----------------------------------------------------------------------------------------------------------------- */

struct naming {
    struct pipeline *p;
    bool (*progress)(void *context, size_t done, size_t total);
    void *context;
    size_t done;
};

static bool report(struct naming *naming) {
    if (!naming->progress || naming->done % PROGRESS_EVERY)
        return true;
    return naming->progress(naming->context, naming->done, naming->p->touched.count);
}

static void write_chain(struct naming *naming, const struct pipeline_address *at, const struct symbol_frame *chain, size_t count) {
    struct recording_location locations[SYMBOL_CHAIN_MAX];
    for (size_t i = 0; i < count; i++)
        locations[i] = (struct recording_location){
            .function = chain[i].function, .file = chain[i].file, .line = chain[i].line, .is_inlined = chain[i].is_inlined};
    recording_add_symbol(
        naming->p->writer,
        &(struct recording_symbol){.module = at->module, .address = at->address, .count = (uint32_t)count, .locations = locations});
}

static int name_file(struct naming *naming, const struct process_module *module, const struct pipeline_address *items, size_t count) {
    struct pipeline *p = naming->p;
    struct symbol_options options = {.inlines = p->options.inlines, .root = p->options.root};
    struct symbol_module *symbols;
    int r = symbol_module_open(module->image, module->path, &options, &symbols);
    if (r < 0) {
        naming->done += count;
        return r == -ENOMEM ? r : 0;
    }
    for (size_t i = 0; !r && i < count; i++, naming->done++) {
        struct symbol_frame chain[SYMBOL_CHAIN_MAX];
        int length = symbol_module_find(symbols, items[i].address, chain, ARRAY_SIZE(chain));
        write_chain(naming, &items[i], chain, length > 0 ? (size_t)length : 0);
        if (!report(naming))
            r = -ECANCELED;
    }
    p->counts.mangled_names += symbol_module_mangled(symbols);
    symbol_module_close(symbols);
    elf_image_unload(module->image);
    return r;
}

static int name_table(struct naming *naming, const struct symbol_table *table, const struct pipeline_address *items, size_t count) {
    for (size_t i = 0; i < count; i++, naming->done++) {
        struct symbol_frame frame = {0};
        const char *module;
        uint64_t start;
        bool is_found = table && symbol_table_find(table, items[i].address, &frame.function, &module, &start);
        write_chain(naming, &items[i], &frame, is_found);
        if (!report(naming))
            return -ECANCELED;
    }
    return 0;
}

static int name_module(struct naming *naming, const struct pipeline_address *items, size_t count) {
    struct pipeline_module *own = naming->p->modules.items[items->module];
    switch (own->module->kind) {
    case PROCESS_MODULE_KERNEL:
        return name_table(naming, naming->p->kernel_symbols, items, count); /* without it the rows say that nothing is known */
    case PROCESS_MODULE_ANONYMOUS:
        if (own->jit)
            jit_load(own->jit); /* of a process that still runs */
        return name_table(naming, own->jit ? own->jit->table : NULL, items, count);
    case PROCESS_MODULE_FILE:
    case PROCESS_MODULE_VDSO:
        if (process_module_state(own->module) == PROCESS_MODULE_OPEN)
            return name_file(naming, own->module, items, count);
        break;
    }
    naming->done += count;
    return 0;
}

/* Names the kernel's addresses, or all others. */
static int name_side(struct naming *naming, bool is_kernel) {
    const struct pipeline *p = naming->p;
    int r = 0;
    for (size_t i = 0, next; !r && i < p->touched.count; i = next) {
        uint32_t module = p->touched.items[i].module;
        for (next = i; next < p->touched.count && p->touched.items[next].module == module;)
            next++;
        if ((p->modules.items[module]->module->kind == PROCESS_MODULE_KERNEL) == is_kernel)
            r = name_module(naming, &p->touched.items[i], next - i);
    }
    return r;
}

int pipeline_symbolise(struct pipeline *p, bool (*progress)(void *context, size_t done, size_t total), void *context) {
    struct naming naming = {.p = p, .progress = progress, .context = context};
    int r = pipeline_settle(p); /* JIT maps may be on their way */
    if (!r)
        r = pipeline_touch(p);
    if (r < 0)
        return r;
    pipeline_kernel_ask(p); /* the kernel takes as long to tell its names as most programs' take to read: side by side */
    r = name_side(&naming, false);
    if (!r)
        r = pipeline_settle(p);
    if (!r)
        r = name_side(&naming, true);
    pipeline_counts_write(p);
    return r;
}
