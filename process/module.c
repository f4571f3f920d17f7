/* SPDX-License-Identifier: MIT */
/* Modules: one for each file that is mapped, whoever maps it. */
#include <stdlib.h>
#include <string.h>

#include "process/private.h"

static uint64_t hash_more(uint64_t hash, uint64_t value) {
    return map_hash(hash ^ value) + 0x9e3779b97f4a7c15u;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash_more(hash, length);
}

/* What identifies a module: its build-id; or its inode; or, if neither is known, its path. */
static uint64_t module_hash(enum process_module_kind kind, const struct process_identity *identity, const char *path) {
    uint64_t hash = hash_more(0, kind);
    if (identity->build_id.length)
        return hash_bytes(hash, identity->build_id.bytes, identity->build_id.length);
    if (identity->inode) {
        hash = hash_more(hash, ((uint64_t)identity->device_major << 32) | identity->device_minor);
        return hash_more(hash, identity->inode);
    }
    return hash_bytes(hash, path, strlen(path));
}

static bool module_is(const struct process_module *module, enum process_module_kind kind, const struct process_identity *identity,
                      const char *path) {
    const struct process_identity *own = &module->identity;
    if (module->kind != kind || own->build_id.length != identity->build_id.length)
        return false;
    if (identity->build_id.length)
        return elf_build_id_equal(&own->build_id, &identity->build_id);
    if (own->device_major != identity->device_major || own->device_minor != identity->device_minor || own->inode != identity->inode)
        return false;
    /* /proc/PID/maps does not tell the generation: the newest with this inode it is. */
    if (own->inode_generation && identity->inode_generation && own->inode_generation != identity->inode_generation)
        return false;
    return identity->inode || !strcmp(module->path, path);
}

struct process_module *process_module_new(struct process_table *table, enum process_module_kind kind,
                                          const struct process_identity *identity, const char *path) {
    struct process_module *module = calloc(1, sizeof *module);
    struct process_module **slot = module && (module->path = strdup(path)) ? vec_push(&table->modules) : NULL;
    uint32_t *next = slot ? vec_push(&table->module_next) : NULL;
    if (!next) {
        if (slot)
            table->modules.count--;
        if (module)
            free(module->path);
        free(module);
        return NULL;
    }
    *slot = module;
    module->id = (uint32_t)table->modules.count - 1;
    module->kind = kind;
    module->identity = *identity;
    table->listener.module_new(table->listener.context, module);
    return module;
}

struct process_module *process_module_get(struct process_table *table, enum process_module_kind kind,
                                          const struct process_identity *identity, const char *path) {
    uint64_t hash = module_hash(kind, identity, path);
    bool is_new = false;
    uint64_t *slot = map_put(&table->module_index, hash, &is_new);
    if (!slot)
        return NULL;
    for (uint64_t at = *slot; at; at = table->module_next.items[at - 1])
        if (module_is(table->modules.items[at - 1], kind, identity, path))
            return table->modules.items[at - 1];

    struct process_module *module = process_module_new(table, kind, identity, path);
    if (module) {
        table->module_next.items[module->id] = (uint32_t)*slot;
        *slot = module->id + 1;
    }
    return module;
}

struct process_module *process_space_anonymous(struct process_table *table, struct process_space *space) {
    static const struct process_identity unknown;
    if (!space->anonymous)
        space->anonymous = process_module_new(table, PROCESS_MODULE_ANONYMOUS, &unknown, "//anon");
    return space->anonymous;
}

/* Memory without a file of its own, by the names the kernel gives it (kernel/events/core.c, perf_event_mmap_event; mm/mmap.c). */
static bool path_is_anonymous(const char *path) {
    static const char *const prefixes[] = {"//anon", "/dev/zero", "/anon_hugepage", "/SYSV"};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (!strncmp(path, prefixes[i], strlen(prefixes[i])))
            return true;
    return path[0] != '/'; /* "", "[heap]", "[stack]", "[anon:...]", "anon_inode:..." */
}

struct process_module *process_module_of(struct process_table *table, struct process_space *space, const struct process_map_event *event) {
    if (!strcmp(event->path, "[vdso]")) {
        /* The kernel has one for 64-bit programs and one for 32-bit programs, which are told apart by where they can be. */
        struct process_identity identity = {.build_id = event->identity.build_id};
        return process_module_get(table, PROCESS_MODULE_VDSO, &identity, event->start >> 32 ? "[vdso]" : "[vdso32]");
    }
    if (path_is_anonymous(event->path) && !event->identity.build_id.length)
        return process_space_anonymous(table, space);
    return process_module_get(table, PROCESS_MODULE_FILE, &event->identity, event->path);
}

void process_modules_free(struct process_table *table) {
    for (size_t i = 0; i < table->modules.count; i++) {
        struct process_module *module = table->modules.items[i];
        if (module->image)
            elf_image_close(module->image);
        free(module->path);
        free(module);
    }
    vec_free(&table->modules);
    vec_free(&table->module_next);
    map_free(&table->module_index);
}
