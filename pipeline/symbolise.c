/* SPDX-License-Identifier: MIT */
/* Names for every address a stack led through: once each, module by module, so that one module's DWARF is in memory at a time. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/private.h"

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

/* `more`: of the module at work. */
static bool report(const struct naming *naming, size_t more) {
    return !naming->progress || naming->progress(naming->context, naming->done + more, naming->p->touched.count);
}

static int name_file(struct naming *naming, struct pipeline_module *own, const struct pipeline_address *items, size_t count) {
    struct pipeline *p = naming->p;
    if (!report(naming, 0))
        return -ECANCELED;
    int r = pipeline_names_ask(p, own, items, count);
    while (!r && own->is_naming) {
        loader_wait(p->loader);
        pipeline_take_jobs(p);
        if (own->is_naming && !report(naming, atomic_load_explicit(&own->names->done, memory_order_relaxed)))
            r = -ECANCELED;
    }
    while (own->is_naming) { /* what is known by now is kept */
        atomic_store_explicit(&own->names->stop, true, memory_order_relaxed);
        loader_wait(p->loader);
        pipeline_take_jobs(p);
    }
    naming->done += count;
    return r ? r : p->error;
}

static void write_entry(const struct naming *naming, const struct symbol_table *table, const struct pipeline_address *at) {
    struct recording_location location = {0};
    const char *module;
    uint64_t start;
    bool is_found = table && symbol_table_find(table, at->address, &location.function, &module, &start);
    recording_add_symbol(naming->p->writer, &(struct recording_symbol){
                                                .module = at->module, .address = at->address, .count = is_found, .locations = &location});
}

static int name_table(struct naming *naming, const struct symbol_table *table, const struct pipeline_address *items, size_t count) {
    if (!report(naming, 0))
        return -ECANCELED;
    for (size_t i = 0; i < count; i++)
        write_entry(naming, table, &items[i]);
    naming->done += count;
    return 0;
}

static int name_module(struct naming *naming, const struct pipeline_address *items, size_t count) {
    struct pipeline_module *own = naming->p->modules.items[items->module];
    switch (own->module->kind) {
    case PROCESS_MODULE_KERNEL:
        return name_table(naming, naming->p->kernel_symbols, items, count); /* without it the rows say that nothing is known */
    case PROCESS_MODULE_ANONYMOUS:
        return name_table(naming, own->jit && !own->jit->is_lost ? own->jit->table : NULL, items, count);
    case PROCESS_MODULE_FILE:
    case PROCESS_MODULE_VDSO:
        if (!own->is_lost && process_module_state(own->module) == PROCESS_MODULE_OPEN)
            return name_file(naming, own, items, count);
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

/* The maps of processes that still run, and the dumps of an import. */
static void ask_for_jits(struct pipeline *p) {
    for (size_t i = 0; i < p->modules.count; i++)
        if (p->modules.items[i]->jit)
            pipeline_jit_names_ask(p, p->modules.items[i]->jit);
}

int pipeline_symbolise(struct pipeline *p, bool (*progress)(void *context, size_t done, size_t total), void *context) {
    struct naming naming = {.p = p, .progress = progress, .context = context};
    int r = pipeline_settle(p); /* what is to be opened of a JIT is, and maybe its names are on their way */
    ask_for_jits(p);
    if (!r)
        r = pipeline_settle(p);
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
