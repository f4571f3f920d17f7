/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/private.h"

static bool get(const struct scope_memory *m, uint64_t offset, void *to, size_t length) {
    if (offset > SCOPE_MEMORY_BYTES || length > SCOPE_MEMORY_BYTES - offset)
        return false;
    ssize_t got;
    do
        got = pread(m->fd, to, length, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)length;
}

/* Where something of this size may lie. */
static bool place(uint32_t position, size_t size, uint64_t *ret_offset) {
    *ret_offset = (uint64_t)position * SCOPE_UNIT;
    return *ret_offset >= SCOPE_ARENA_AT && *ret_offset <= SCOPE_MEMORY_BYTES - size;
}

bool scope_read_shared(const struct scope_memory *m, struct scope_shared *ret) {
    return get(m, 0, ret, offsetof(struct scope_shared, threads));
}

bool scope_read_position(const struct scope_memory *m, uint32_t index, uint32_t *ret) {
    return index < SCOPE_THREADS_MAX && get(m, offsetof(struct scope_shared, threads) + (uint64_t)index * sizeof *ret, ret, sizeof *ret);
}

bool scope_read_block(const struct scope_memory *m, uint32_t position, struct scope_block *ret) {
    _Alignas(struct scope_thread) uint8_t bytes[offsetof(struct scope_thread, events)];
    uint64_t at;
    if (!place(position, sizeof(struct scope_thread), &at) || !get(m, at, bytes, sizeof bytes))
        return false;
#define FIELD(name) memcpy(&ret->name, bytes + offsetof(struct scope_thread, name), sizeof ret->name)
    FIELD(state), FIELD(tid), FIELD(start), FIELD(records), FIELD(node_count), FIELD(top);
    FIELD(unwound), FIELD(unbalanced), FIELD(spans_refused), FIELD(nodes_refused);
    FIELD(head), FIELD(lost), FIELD(spans_lost), FIELD(tail);
#undef FIELD
    ret->node_count = MIN(ret->node_count, (uint32_t)SCOPE_NODES_MAX);
    return true;
}

bool scope_read_record(const struct scope_memory *m, uint32_t position, struct scope_record *ret) {
    uint64_t at;
    return place(position, sizeof *ret, &at) && get(m, at, ret, offsetof(struct scope_record, histogram));
}

bool scope_read_histogram(const struct scope_memory *m, uint32_t position, uint64_t ret[LOGLINEAR_BUCKETS]) {
    uint64_t at, pending;
    if (!place(position, sizeof(struct scope_record), &at) ||
        !get(m, at + offsetof(struct scope_record, histogram), ret, LOGLINEAR_BUCKETS * sizeof *ret) ||
        !get(m, at + offsetof(struct scope_record, pending), &pending, sizeof pending))
        return false;
    if (pending - 1 < LOGLINEAR_BUCKETS)
        ret[pending - 1]++;
    return true;
}

bool scope_read_nodes(const struct scope_memory *m, uint32_t position, uint32_t first, uint32_t count, struct scope_node *ret) {
    uint64_t at;
    return first <= SCOPE_NODES_MAX && count <= SCOPE_NODES_MAX - first && place(position, sizeof(struct scope_thread), &at) &&
           get(m, at + offsetof(struct scope_thread, nodes) + (uint64_t)first * sizeof *ret, ret, (size_t)count * sizeof *ret);
}

uint32_t scope_read_events(const struct scope_memory *m, uint32_t position, uint64_t tail, uint64_t head, struct scope_event *ret,
                           uint32_t most) {
    uint64_t at, count = head - tail;
    uint32_t first = (uint32_t)(tail % SCOPE_EVENTS);
    if (!count || count > SCOPE_EVENTS || !place(position, sizeof(struct scope_thread), &at))
        return 0;
    count = MIN(MIN(count, (uint64_t)most), (uint64_t)SCOPE_EVENTS - first);
    at += offsetof(struct scope_thread, events) + (uint64_t)first * sizeof *ret;
    return get(m, at, ret, (size_t)count * sizeof *ret) ? (uint32_t)count : 0;
}

static void put(const struct scope_memory *m, uint32_t position, size_t field, const void *value, size_t length) {
    uint64_t at;
    if (place(position, sizeof(struct scope_thread), &at))
        (void)!pwrite(m->fd, value, length, (off_t)(at + field));
}

void scope_set_tail(const struct scope_memory *m, uint32_t position, uint64_t tail) {
    put(m, position, offsetof(struct scope_thread, tail), &tail, sizeof tail);
}

void scope_free_block(const struct scope_memory *m, uint32_t position) {
    uint32_t state = SCOPE_THREAD_FREE;
    put(m, position, offsetof(struct scope_thread, state), &state, sizeof state);
}

/* ---- sites ----------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return map_hash(hash + 1);
}

/* Two sites of one hash would be one row; at 64 bits that is left to chance. */
static uint64_t hash_site(const struct scope_site *site) {
    return hash_text(hash_text(hash_text(site->line ^ (uint64_t)site->kind << 32, site->name), site->file), site->function);
}

static uint32_t add_site(struct pipeline *p, const struct scope_site *site) {
    bool is_new;
    uint64_t *row = map_put(&p->scopes.rows, hash_site(site), &is_new);
    if (!row)
        return RECORDING_NONE;
    if (is_new) {
        uint32_t id = recording_add_site(
            p->writer,
            &(struct recording_site){
                .name = site->name, .function = site->function, .file = site->file, .line = site->line, .kind = (uint8_t)site->kind});
        *row = id;
    }
    return (uint32_t)*row;
}

static bool read_site(const struct scope_memory *m, uint32_t site, struct scope_site *ret) {
    if (!get(m, SCOPE_SITES_AT + (uint64_t)(site - 1) * SCOPE_SITE_SIZE, ret, sizeof *ret))
        return false;
    ret->name[SCOPE_NAME_BYTES - 1] = ret->function[SCOPE_NAME_BYTES - 1] = ret->file[SCOPE_NAME_BYTES - 1] = '\0';
    return atomic_load_explicit(&ret->state, memory_order_relaxed) == SCOPE_SITE_READY && ret->kind < SITE_KIND_COUNT;
}

uint32_t scope_site_row(struct pipeline *p, struct scope_memory *m, uint32_t site) {
    if (site == 0 || site > SCOPE_SITES_MAX)
        return RECORDING_NONE;
    while (m->sites.count < site) {
        uint32_t *slot = vec_push(&m->sites);
        if (!slot)
            return RECORDING_NONE;
        *slot = RECORDING_NONE;
    }
    uint32_t *row = &m->sites.items[site - 1];
    struct scope_site found;
    if (*row == RECORDING_NONE && read_site(m, site, &found))
        *row = add_site(p, &found);
    return *row;
}

struct scope_measure *scope_measure_of(struct scope_life *life, uint32_t site) {
    bool is_new;
    uint64_t *index = map_put(&life->by_site, site, &is_new);
    if (!index)
        return NULL;
    if (is_new) {
        struct scope_measure *measure = vec_push(&life->measures);
        if (!measure) {
            map_remove(&life->by_site, site);
            return NULL;
        }
        *measure = (struct scope_measure){.site = site};
        *index = life->measures.count - 1;
    }
    return &life->measures.items[*index];
}
