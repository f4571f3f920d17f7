/* SPDX-License-Identifier: MIT */
/* Modules and what has to be loaded of them: what is asked of the loader, and what becomes of its answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/private.h"

enum { OPEN_ATTEMPTS = 8 }; /* each through another mapping: a file that nobody can open is not tried for ever */

static void submit(struct pipeline *p, struct loader_job job) {
    struct loader_job *copy = malloc(sizeof *copy);
    if (!copy) { /* the answer to a job that could not be sent is that nothing could be loaded */
        p->error = -ENOMEM;
        if (job.module) {
            struct pipeline_module *module = p->modules.items[job.module->id];
            module->is_opening = module->is_building = module->is_naming = false;
        }
        if (job.maps)
            job.maps->is_pending = false;
        process_maps_unref(job.maps);
        process_space_unref(job.space);
        free(job.addresses);
        free(job.names);
        return;
    }
    *copy = job;
    loader_submit(p->loader, copy);
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------------- */

void pipeline_module_new(struct pipeline *p, struct process_module *module) {
    static const enum recording_module_kind kinds[] = {[PROCESS_MODULE_FILE] = MODULE_FILE,
                                                       [PROCESS_MODULE_VDSO] = MODULE_VDSO,
                                                       [PROCESS_MODULE_KERNEL] = MODULE_KERNEL,
                                                       [PROCESS_MODULE_ANONYMOUS] = MODULE_JIT};
    struct pipeline_module **slot = vec_push(&p->modules);
    if (slot)
        *slot = calloc(1, sizeof **slot);
    if (!slot || !*slot) {
        p->error = -ENOMEM;
        return;
    }
    (*slot)->module = module;
    recording_add_module(p->writer, &(struct recording_module){.kind = kinds[module->kind], .path = module->path});
    p->counts.modules++;
}

void pipeline_module_seen(struct pipeline *p, struct process_module *module, uint32_t pid, uint64_t start, uint64_t length) {
    struct pipeline_module *own = p->modules.items[module->id];
    if (module->kind == PROCESS_MODULE_ANONYMOUS)
        (void)pipeline_jit(p, module, pid);
    if (module->kind != PROCESS_MODULE_FILE && module->kind != PROCESS_MODULE_VDSO)
        return;
    enum process_module_state state = process_module_state(module);
    if (own->is_lost || own->is_opening || own->attempts >= OPEN_ATTEMPTS ||
        (state != PROCESS_MODULE_UNOPENED && state != PROCESS_MODULE_FAILED))
        return;
    own->attempts++;
    own->is_opening = true;
    submit(p, (struct loader_job){.task = LOADER_OPEN,
                                  .module = module,
                                  .sighting = {.pid = pid,
                                               .start = start,
                                               .length = length,
                                               .is_live = p->options.is_live,
                                               .is_same_kernel = p->options.has_kernel,
                                               .root = p->options.root}});
}

static void jit_submit(struct pipeline *p, struct loader_job job) {
    if (job.jit->is_lost)
        return;
    job.jit->opening++;
    submit(p, job);
}

struct jit *pipeline_jit(struct pipeline *p, struct process_module *module, uint32_t pid) {
    struct pipeline_module *own = p->modules.items[module->id];
    if (own->jit)
        return own->jit;
    own->jit = jit_new(pid);
    if (!own->jit)
        p->error = -ENOMEM;
    else if (p->options.is_live)
        jit_submit(p, (struct loader_job){.task = LOADER_JIT_BEGIN, .jit = own->jit});
    return own->jit;
}

void pipeline_jit_dump_seen(struct pipeline *p, struct process_space *space, const struct process_mapping *mapping) {
    if (mapping->module->kind != PROCESS_MODULE_FILE || !jit_dump_pid(mapping->module->path))
        return;
    struct process_module *anonymous = process_space_anonymous(p->table, space);
    struct jit *jit = anonymous ? pipeline_jit(p, anonymous, space->pid) : NULL;
    if (jit)
        jit_submit(p, (struct loader_job){.task = LOADER_JIT_DUMP,
                                          .jit = jit,
                                          .module = mapping->module,
                                          .sighting = {.pid = space->pid, .is_live = p->options.is_live, .root = p->options.root}});
}

void pipeline_jit_ask(struct pipeline *p, struct process_space *space) {
    struct jit *jit = space->anonymous ? p->modules.items[space->anonymous->id]->jit : NULL;
    if (jit && p->options.is_live)
        pipeline_jit_names_ask(p, jit);
}

void pipeline_jit_names_ask(struct pipeline *p, struct jit *jit) {
    if (!jit->is_touched || jit->is_asked || jit->is_lost)
        return;
    jit->is_asked = true;
    if (!jit->opening)
        submit(p, (struct loader_job){.task = LOADER_JIT_END, .jit = jit});
}

static void jit_opened(struct pipeline *p, struct jit *jit) {
    jit->opening--;
    if (!jit->opening && jit->is_asked && !jit->is_lost)
        submit(p, (struct loader_job){.task = LOADER_JIT_END, .jit = jit});
}

bool pipeline_maps_ask(struct pipeline *p, struct process_space *space) {
    if (!p->options.is_live)
        return false;
    p->counts.reread_processes++;
    submit(p, (struct loader_job){
                  .task = LOADER_MAPS, .pid = space->pid, .space = process_space_ref(space), .maps = process_maps_ref(space->maps)});
    return true;
}

static bool is_kernel(const struct pipeline *p, const struct pipeline_address *touched) {
    return p->modules.items[touched->module]->module->kind == PROCESS_MODULE_KERNEL;
}

static int compare_words(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void pipeline_kernel_ask(struct pipeline *p) {
    size_t count = 0;
    for (size_t i = 0; i < p->touched.count; i++)
        count += is_kernel(p, &p->touched.items[i]);
    if (!p->options.has_kernel || !count || p->kernel_symbols)
        return;
    struct loader_job job = {.task = LOADER_KALLSYMS, .addresses = malloc(count * sizeof *job.addresses)};
    if (!job.addresses) {
        p->error = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < p->touched.count; i++)
        if (is_kernel(p, &p->touched.items[i]))
            job.addresses[job.count++] = p->touched.items[i].address;
    qsort(job.addresses, job.count, sizeof *job.addresses, compare_words); /* the kernel proper and its modules may interleave */
    submit(p, job);
}

void pipeline_tables_ask(struct pipeline *p, struct pipeline_module *module) {
    if (module->is_building || module->is_unbuildable || module->is_lost)
        return;
    module->is_building = true;
    submit(p, (struct loader_job){.task = LOADER_BUILD, .module = module->module});
}

int pipeline_names_ask(struct pipeline *p, struct pipeline_module *module, const struct pipeline_address *addresses, size_t count) {
    struct loader_job job = {.task = LOADER_NAMES,
                             .module = module->module,
                             .addresses = malloc(count * sizeof *job.addresses),
                             .count = count,
                             .names = calloc(1, sizeof *job.names)};
    if (!job.addresses || !job.names) {
        free(job.addresses);
        free(job.names);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        job.addresses[i] = addresses[i].address;
    job.names->inlines = p->options.inlines;
    module->is_naming = true;
    module->names = job.names;
    submit(p, job);
    return p->error;
}

/* ---- the answers ----------------------------------------------------------------------------------------------------------------- */

/* Tells the recording what is known of the module by now. */
static void module_update(struct pipeline *p, const struct pipeline_module *own) {
    const struct process_module *module = own->module;
    const struct elf_build_id *id = &module->identity.build_id;
    if (!own->is_lost && process_module_state(module) == PROCESS_MODULE_OPEN)
        id = &elf_image_info(module->image)->build_id;
    struct recording_module row = {.kind = module->kind == PROCESS_MODULE_VDSO ? MODULE_VDSO : MODULE_FILE,
                                   .flags = own->flags,
                                   .path = module->path,
                                   .build_id_length = id->length};
    memcpy(row.build_id, id->bytes, id->length);
    recording_update_module(p->writer, module->id, &row);
}

static void module_opened(struct pipeline *p, struct pipeline_module *own, bool is_stripped) {
    enum process_module_state state = own->is_lost ? PROCESS_MODULE_FAILED : process_module_state(own->module);
    own->is_opening = false;
    bool was_unopened = own->flags & MODULE_NOT_OPENED;
    own->flags = 0;
    if (state == PROCESS_MODULE_FAILED) {
        own->flags |= MODULE_NOT_OPENED;
    } else if (state == PROCESS_MODULE_OPEN) {
        if (own->module->is_deleted)
            own->flags |= MODULE_DELETED;
        if (is_stripped)
            own->flags |= MODULE_STRIPPED;
    }
    bool is_unopened = own->flags & MODULE_NOT_OPENED;
    p->counts.modules_not_opened += (uint64_t)is_unopened - (uint64_t)was_unopened;
    module_update(p, own);
}

static void module_built(struct pipeline *p, struct pipeline_module *own, struct unwind_module *tables) {
    own->is_building = false;
    own->is_unbuildable = !tables;
    atomic_store_explicit(&own->tables, tables, memory_order_release); /* acquired by whoever walks */
    if (!own->is_lost && (!tables || !unwind_module_info(tables)->fdes)) {
        own->flags |= MODULE_NO_CFI;
        module_update(p, own);
    }
}

static void maps_read(struct pipeline *p, struct loader_job *job) {
    int r = process_reread_done(p->table, p->now, job->space, job->maps, job->text, job->length);
    if (r == -ENOMEM)
        p->error = r;
    for (struct process_task *task = job->space->tasks, *next; task; task = next) {
        next = task->next;
        if (job->is_gone) /* and the record that said so is among those lost */
            (void)process_exit(p->table, p->now, job->space->pid, task->tid);
        else if (*job->comm && (!*task->comm || task->tid == job->space->pid)) /* to a thread without a name its process's will do */
            (void)process_comm(p->table, p->now, job->space->pid, task->tid, job->comm);
    }
    process_maps_unref(job->maps);
    process_space_unref(job->space);
    free(job->text);
}

static void names_free(struct loader_names *names) {
    if (names->symbols)
        symbol_module_close(names->symbols);
    vec_free(&names->lengths);
    vec_free(&names->locations);
    free(names);
}

static void write_names(struct pipeline *p, const struct loader_job *job) {
    const struct recording_location *locations = job->names->locations.items;
    for (size_t i = 0; i < job->names->lengths.count; i++) {
        uint32_t count = job->names->lengths.items[i];
        recording_add_symbol(
            p->writer,
            &(struct recording_symbol){.module = job->module->id, .address = job->addresses[i], .count = count, .locations = locations});
        locations += count;
    }
    p->counts.mangled_names += job->names->mangled;
    if (job->names->error == -ENOMEM)
        p->error = -ENOMEM;
}

static void module_named(struct pipeline *p, struct pipeline_module *own, const struct loader_job *job) {
    own->is_naming = false;
    own->names = NULL;
    if (job->is_given_up)
        return;
    write_names(p, job);
    names_free(job->names);
    elf_image_unload(own->module->image);
}

/* A thread hangs in it: it is as if it could not be opened, or read further, and nobody may touch it again. */
static void give_up(struct pipeline *p, const struct loader_job *job) {
    p->counts.given_up++;
    recording_set(p->writer, "did not answer", job->module ? job->module->path : job->jit ? "the names of JIT code" : "/proc");
    if (job->jit)
        job->jit->is_lost = true;
    else if (job->module)
        p->modules.items[job->module->id]->is_lost = true;
}

void pipeline_take_jobs(struct pipeline *p) {
    struct loader_job *job = loader_take(p->loader);
    while (job) {
        struct loader_job *next = job->next;
        p->is_backlog_due = true;
        if (job->is_given_up)
            give_up(p, job);
        if (job->task == LOADER_OPEN)
            module_opened(p, p->modules.items[job->module->id], job->is_stripped);
        else if (job->task == LOADER_BUILD)
            module_built(p, p->modules.items[job->module->id], job->tables);
        else if (job->task == LOADER_MAPS)
            maps_read(p, job);
        else if (job->task == LOADER_JIT_BEGIN || job->task == LOADER_JIT_DUMP)
            jit_opened(p, job->jit);
        else if (job->task == LOADER_NAMES)
            module_named(p, p->modules.items[job->module->id], job);
        else if (job->task == LOADER_KALLSYMS)
            p->kernel_symbols = job->symbols;
        free(job->addresses);
        free(job);
        job = next;
    }
}

int pipeline_settle(struct pipeline *p) {
    int r = pipeline_retry(p, false);
    while (!r && loader_pending(p->loader)) {
        loader_wait(p->loader);
        pipeline_take_jobs(p);
        r = pipeline_retry(p, false);
    }
    return r ? r : p->error;
}

/* ---- the end --------------------------------------------------------------------------------------------------------------------- */

void pipeline_drop_job(void *context, struct loader_job *job) {
    (void)context;
    unwind_module_free(job->tables);
    if (job->names)
        names_free(job->names);
    if (job->symbols)
        symbol_table_free(job->symbols);
    process_maps_unref(job->maps);
    process_space_unref(job->space);
    free(job->text);
    free(job->addresses);
    free(job);
}

void pipeline_module_free(struct pipeline_module *module) {
    unwind_module_free(atomic_load_explicit(&module->tables, memory_order_relaxed));
    jit_free(module->jit);
    free(module);
}
