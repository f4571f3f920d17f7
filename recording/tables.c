/* SPDX-License-Identifier: MIT */
/* The payloads of all chunks but samples and scopes, read. docs/FORMAT.md has one section for each function of this page. */
#include <errno.h>

#include "recording/format.h"
#include "recording/scope-tables.h"
#include "recording/store.h"
#include "recording/table-rows.h"

const char rows_out_of_memory[] = "out of memory";
const char rows_cut_off[] = "a row is cut off";

static const char *read_strings(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    size_t length = bytes_left(b);
    if (!length)
        return "it is empty";
    char *copy = store_allocate(s, length);
    if (!copy)
        return rows_out_of_memory;
    memcpy(copy, b->at, length);
    if (copy[length - 1])
        return "its last string has no end";
    size_t empty = 0;
    for (const char *at = copy, *end = copy + length; at < end; at += strlen(at) + 1) {
        if (!*at && empty++) /* 8 bytes of ours for one of theirs */
            return "a second empty string";
        if (s->strings.count >= RECORDING_NONE - 1)
            return "too many strings";
        *ROW(&s->strings) = at;
    }
    return NULL;
}

static const char *read_facts(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    while (!bytes_empty(b)) {
        const char *key = read_string(s, b), *value = read_string(s, b);
        if (b->failed)
            return "a fact is cut off or names no string";
        uint32_t id;
        if (strings_intern(&s->fact_keys, key, strlen(key), &id) < 0)
            return rows_out_of_memory;
        if (id == r->facts.count)
            ROW(&r->facts)->key = key;
        r->facts.items[id].value = value;
    }
    return NULL;
}

static const char *read_counters(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    while (!bytes_empty(b)) {
        const char *name = read_string(s, b);
        uint64_t value = bytes_uleb(b);
        if (b->failed)
            return "a counter is cut off or names no string";
        uint32_t id;
        if (strings_intern(&s->counter_names, name, strlen(name), &id) < 0)
            return rows_out_of_memory;
        if (id == r->counters.count)
            ROW(&r->counters)->name = name;
        r->counters.items[id].value = value;
    }
    return NULL;
}

static const char *read_clocks(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_clock_pair pair = {.monotonic_raw = bytes_uleb(b)};
        pair.realtime = bytes_uleb(b);
        pair.tsc = bytes_uleb(b);
        if (b->failed)
            return rows_cut_off;
        *ROW(&r->clock_pairs) = pair;
    }
    return NULL;
}

static const char *read_events(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    while (!bytes_empty(b)) {
        struct recording_event event = {.name = read_string(s, b)};
        event.unit = read_string(s, b);
        event.clock = read_string(s, b);
        event.source = read_string(s, b);
        event.blind = read_string(s, b);
        event.period = bytes_uleb(b);
        event.weights = bytes_u8(b);
        uint8_t flags = bytes_u8(b);
        event.is_jittered = flags & EVENT_JITTERED;
        event.is_untested = flags & EVENT_UNTESTED;
        event.is_at_ticks = flags & EVENT_AT_TICKS;
        if (b->failed)
            return "an event is cut off or names no string";
        if (!event.weights || event.weights > RECORDING_WEIGHTS_MAX || r->events.count >= UINT16_MAX)
            return "an event has no weight, or too many";
        *ROW(&r->events) = event;
        *ROW(&s->arity) = event.weights;
    }
    return NULL;
}

/* A module's flags and build-id. */
static bool read_identity(struct bytes *b, struct recording_module *module) {
    uint32_t flags = read_u32(b);
    uint64_t length = read_below(b, sizeof module->build_id + 1);
    const uint8_t *id = bytes_take(b, length);
    if (b->failed)
        return false;
    module->flags = flags;
    module->build_id_length = (uint8_t)length;
    memset(module->build_id, 0, sizeof module->build_id);
    memcpy(module->build_id, id, length);
    return true;
}

static const char *read_modules(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_module module = {.kind = (enum recording_module_kind)read_below(b, MODULE_KIND_COUNT)};
        module.path = read_string(r->store, b);
        if (!read_identity(b, &module))
            return "a module is cut off, of unknown kind or names no string";
        *ROW(&r->modules) = module;
    }
    return NULL;
}

static const char *read_module_updates(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        uint64_t id = read_below(b, r->modules.count);
        if (b->failed || !read_identity(b, &r->modules.items[id]))
            return "an update is cut off or names no module";
    }
    return NULL;
}

static const char *read_processes(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_process process = {.pid = read_u32(b)};
        process.parent = (uint32_t)read_below(b, r->processes.count + 1) - 1;
        process.start = bytes_uleb(b);
        process.flags = read_u32(b);
        if (b->failed)
            return "a process is cut off, or its parent does not come before it";
        *ROW(&r->processes) = process;
    }
    return NULL;
}

static const char *read_mappings(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_mapping mapping = {.process = (uint32_t)read_below(b, r->processes.count)};
        mapping.module = (uint32_t)read_below(b, r->modules.count);
        mapping.time = bytes_uleb(b);
        mapping.start = bytes_uleb(b);
        mapping.length = bytes_uleb(b);
        mapping.offset = bytes_uleb(b);
        if (b->failed || mapping.length > UINT64_MAX - mapping.start)
            return "a mapping is cut off, names no process or module, or passes the end of memory";
        *ROW(&r->mappings) = mapping;
    }
    return NULL;
}

static const char *read_threads(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_thread thread = {.pid = read_u32(b)};
        thread.tid = read_u32(b);
        thread.start = bytes_uleb(b);
        if (b->failed)
            return rows_cut_off;
        *ROW(&r->threads) = thread;
        ROW(&r->thread_ends)->thread = RECORDING_NONE;
    }
    return NULL;
}

static const char *read_thread_ends(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_thread_end end = {.thread = (uint32_t)read_below(b, r->threads.count)};
        uint8_t flags = bytes_u8(b);
        end.is_exited = flags & THREAD_END_EXITED;
        end.has_exact_cpu = flags & THREAD_END_EXACT_CPU;
        end.end = bytes_uleb(b);
        end.exact_cpu = bytes_uleb(b);
        if (b->failed)
            return "a thread's end is cut off or names no thread";
        r->thread_ends.items[end.thread] = end;
    }
    return NULL;
}

static const char *read_tasks(struct recording *r, struct bytes *b) {
    while (!bytes_empty(b)) {
        struct recording_task task = {.thread = (uint32_t)read_below(b, r->threads.count)};
        task.process = (uint32_t)read_below(b, r->processes.count);
        task.comm = read_string(r->store, b);
        task.start = bytes_uleb(b);
        if (b->failed)
            return "a task is cut off or names no thread, process or string";
        *ROW(&r->tasks) = task;
    }
    return NULL;
}

/* The columns of frames and nodes: all lengths, then all bytes. */
static bool read_columns(struct bytes *b, struct bytes *columns, size_t count) {
    uint64_t lengths[4];
    for (size_t i = 0; i < count; i++)
        lengths[i] = bytes_uleb(b);
    for (size_t i = 0; i < count; i++)
        columns[i] = bytes_sub(b, lengths[i]);
    return bytes_left(b) == 0 && !b->failed;
}

static const char *read_frames(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    struct bytes columns[4];
    struct bytes *kinds = &columns[0], *flags = &columns[1], *modules = &columns[2], *addresses = &columns[3];
    if (!read_columns(b, columns, 4))
        return "its columns do not fit";
    while (s->last_address.count <= r->modules.count)
        *ROW(&s->last_address) = 0;
    while (!bytes_empty(kinds)) {
        uint8_t kind = bytes_u8(kinds);
        uint64_t module = read_below(modules, r->modules.count + 1);
        struct recording_frame frame = {.kind = kind & 0xf, .class = kind >> 4, .flags = bytes_u8(flags), .module = (uint32_t)module - 1};
        frame.address = s->last_address.items[module] += (uint64_t)zigzag_decode(bytes_uleb(addresses));
        if (flags->failed || modules->failed || addresses->failed)
            return "a frame is cut off or names no module";
        if (frame.kind >= FRAME_KIND_COUNT || frame.class >= FRAME_CLASS_COUNT)
            return "a frame is of no known kind or class";
        if (frame.kind == FRAME_SCOPE && (module || frame.address >= r->sites.count))
            return "a scope's frame names no site";
        if (r->frames.count >= RECORDING_NONE - 1)
            return "too many frames";
        *ROW(&r->frames) = frame;
    }
    return bytes_empty(flags) && bytes_empty(modules) && bytes_empty(addresses) ? NULL : "a column is longer than its rows";
}

static const char *read_nodes(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    struct bytes columns[2];
    struct bytes *parents = &columns[0], *frames = &columns[1];
    if (!read_columns(b, columns, 2))
        return "its columns do not fit";
    uint64_t epoch_frames = r->frames.count - s->epoch_frame_base;
    while (!bytes_empty(parents)) {
        uint64_t id = (uint64_t)s->file_roots + s->epoch_nodes; /* as the file counts */
        uint64_t distance = bytes_uleb(parents), frame = s->fresh_frame - (uint64_t)zigzag_decode(bytes_uleb(frames));
        if (parents->failed || frames->failed)
            return "a node is cut off";
        if (distance >= id)
            return "a node's parent does not come before it";
        if (frame >= epoch_frames)
            return "a node's frame does not exist";
        if (r->nodes.count >= RECORDING_NONE - 1)
            return "too many nodes";
        uint64_t parent = id - 1 - distance;
        *ROW(&r->nodes) = (struct recording_node){
            .parent = (uint32_t)(parent < s->file_roots ? parent : parent - s->file_roots + s->epoch_base),
            .frame = (uint32_t)(s->epoch_frame_base + frame),
        };
        s->fresh_frame = MAX(s->fresh_frame, (uint32_t)frame + 1);
        s->epoch_nodes++;
    }
    return bytes_empty(frames) ? NULL : "a column is longer than its rows";
}

static const char *read_epoch(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    if (bytes_left(b))
        return "it should be empty";
    s->epoch_base = (uint32_t)r->nodes.count;
    s->epoch_frame_base = (uint32_t)r->frames.count;
    s->epoch_nodes = s->fresh_frame = 0;
    return NULL;
}

static const char *read_symbols(struct recording *r, struct bytes *b) {
    struct recording_store *s = r->store;
    while (!bytes_empty(b)) {
        struct recording_symbol symbol = {.module = (uint32_t)read_below(b, r->modules.count)};
        symbol.address = bytes_uleb(b);
        symbol.count = (uint32_t)read_below(b, SYMBOL_LOCATIONS_MAX + 1);
        if (b->failed || symbol.count > bytes_left(b))
            return "a symbol is cut off or names no module";
        struct recording_location *locations = store_allocate(s, symbol.count * sizeof *locations);
        if (!locations)
            return rows_out_of_memory;
        for (uint32_t i = 0; i < symbol.count; i++) {
            struct recording_location *l = &locations[i];
            l->function = read_optional_string(s, b);
            l->file = read_optional_string(s, b);
            l->line = read_u32(b);
            l->is_inlined = bytes_u8(b) & LOCATION_INLINED;
        }
        if (b->failed)
            return "a location is cut off or names no string";
        symbol.locations = locations;
        *ROW(&r->symbols) = symbol;
    }
    return NULL;
}

static const char *read_end(struct recording *r, struct bytes *b) {
    uint64_t samples = bytes_uleb(b);
    if (b->failed || bytes_left(b))
        return rows_cut_off;
    if (samples != r->sample_count)
        return "it counts other samples than the file has";
    r->is_complete = true;
    return NULL;
}

typedef const char *(*table_reader)(struct recording *r, struct bytes *b);

static const struct {
    uint32_t type;
    table_reader read;
} readers[] = {
    {CHUNK_STRINGS, read_strings},
    {CHUNK_FACTS, read_facts},
    {CHUNK_CLOCKS, read_clocks},
    {CHUNK_EVENTS, read_events},
    {CHUNK_MODULES, read_modules},
    {CHUNK_MODULE_UPDATE, read_module_updates},
    {CHUNK_PROCESSES, read_processes},
    {CHUNK_MAPPINGS, read_mappings},
    {CHUNK_THREADS, read_threads},
    {CHUNK_TASKS, read_tasks},
    {CHUNK_FRAMES, read_frames},
    {CHUNK_NODES, read_nodes},
    {CHUNK_SYMBOLS, read_symbols},
    {CHUNK_COUNTERS, read_counters},
    {CHUNK_THREAD_ENDS, read_thread_ends},
    {CHUNK_EPOCH, read_epoch},
    {CHUNK_END, read_end},
    {CHUNK_SITES, scope_tables_sites},
    {CHUNK_SCOPES, scope_tables_scopes},
    {CHUNK_SCOPE_NODES, scope_tables_nodes},
    {CHUNK_SCOPE_PATHS, scope_tables_paths},
    {CHUNK_INSTANCES, scope_tables_instances},
};

static table_reader tables_find(uint32_t type) {
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (readers[i].type == type)
            return readers[i].read;
    return NULL;
}

bool tables_know(uint32_t type) {
    return tables_find(type) != NULL;
}

int tables_read(struct recording *r, uint32_t type, struct bytes payload, const char **ret_fault) {
    const char *fault = tables_find(type)(r, &payload);
    if (fault == rows_out_of_memory)
        return -ENOMEM;
    if (fault) {
        *ret_fault = fault;
        return -EBADMSG;
    }
    return 0;
}
