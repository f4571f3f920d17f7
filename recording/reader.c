/* SPDX-License-Identifier: MIT */
/* Opening a recording: walks its chunks once, up to the first that is not good, and keeps tables but not samples. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "recording/chunk.h"
#include "recording/recording.h"
#include "recording/scope-tables.h"
#include "recording/store.h"

enum { WINDOW_SIZE = 1 << 20 };

/* Decompressed samples (about 5 bytes each) are kept up to here, to save the walk the work. */
enum { KEPT_MAX = 64 << 20 };

/* Tables may not expand beyond this, whatever the chunks claim: an honest file stays far below. */
enum { EXPANDED_FREE = 8 << 20, EXPANDED_PER_BYTE = 32 };

/* ---- bytes of the file ----------------------------------------------------------------------------------------------------------- */

/* A part of the file in memory. */
struct window {
    int fd;
    uint64_t offset; /* of data[0] */
    struct buffer data;
};

/* `length` bytes at `offset`; NULL when the file ends before, or memory or the disk fails (*ret_error, else 0). */
static const uint8_t *window_at(struct window *w, uint64_t offset, size_t length, int *ret_error) {
    *ret_error = 0;
    if (offset >= w->offset && offset + length <= w->offset + w->data.length)
        return w->data.data + (offset - w->offset);
    buffer_clear(&w->data);
    w->offset = offset;
    size_t wanted = MAX(length, (size_t)WINDOW_SIZE);
    uint8_t *to = buffer_reserve(&w->data, wanted);
    if (!to) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    while (w->data.length < wanted) {
        ssize_t n = pread(w->fd, to + w->data.length, wanted - w->data.length, (off_t)(offset + w->data.length));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            *ret_error = -errno;
        if (n <= 0)
            break;
        w->data.length += (size_t)n;
    }
    return w->data.length >= length ? to : NULL;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------- */

void *store_allocate(struct recording_store *s, size_t size) {
    enum { BLOCK_SIZE = 64 * 1024 };
    size = ROUND_UP(MAX(size, (size_t)1), (size_t)8);
    if (size > s->block_left) {
        size_t block_size = MAX(size, (size_t)BLOCK_SIZE);
        void **block = vec_push(&s->blocks);
        if (!block || !(*block = malloc(block_size)))
            return NULL;
        if (block_size - size < s->block_left) /* the old block has more room left than this one will */
            return *block;
        s->block_at = *block;
        s->block_left = block_size;
    }
    void *allocated = s->block_at;
    s->block_at += size;
    s->block_left -= size;
    return allocated;
}

void recording_free(struct recording *r) {
    if (!r)
        return;
    struct recording_store *s = r->store;
    if (s) {
        if (s->fd >= 0)
            close(s->fd);
        for (size_t i = 0; i < s->blocks.count; i++)
            free(s->blocks.items[i]);
        vec_free(&s->blocks);
        vec_free(&s->strings);
        vec_free(&s->arity);
        vec_free(&s->last_address);
        vec_free(&s->chunks);
        strings_free(&s->fact_keys);
        strings_free(&s->counter_names);
        free(s);
    }
    vec_free(&r->facts);
    vec_free(&r->clock_pairs);
    vec_free(&r->events);
    vec_free(&r->modules);
    vec_free(&r->processes);
    vec_free(&r->mappings);
    vec_free(&r->threads);
    vec_free(&r->thread_ends);
    vec_free(&r->tasks);
    vec_free(&r->frames);
    vec_free(&r->nodes);
    vec_free(&r->symbols);
    vec_free(&r->counters);
    vec_free(&r->sites);
    vec_free(&r->scope_nodes);
    vec_free(&r->scopes);
    vec_free(&r->scope_paths);
    vec_free(&r->instances);
    free(r);
}

DEFINE_CLEANUP(struct recording *, recording_free)

static struct recording *recording_allocate(int fd) {
    struct recording *r = calloc(1, sizeof *r);
    struct recording_store *s = r ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        free(r);
        close(fd);
        return NULL;
    }
    r->store = s;
    s->fd = fd;
    for (size_t i = 0; i < STACK_END_COUNT; i++) {
        struct recording_node *root = vec_push(&r->nodes);
        if (!root) {
            recording_free(r);
            return NULL;
        }
        *root = (struct recording_node){.parent = RECORDING_NONE, .frame = RECORDING_NONE};
    }
    s->epoch_base = STACK_END_COUNT;
    return r;
}

/* ---- chunks ---------------------------------------------------------------------------------------------------------------------- */

struct scan {
    struct recording *r;
    struct window window;
    struct buffer space;
    struct sample_decoder decoder;
    ZSTD_DCtx *zstd;
};

static void scan_free(struct scan *s) {
    buffer_free(&s->window.data);
    buffer_free(&s->space);
    sample_decoder_free(&s->decoder);
    ZSTD_freeDCtx(s->zstd);
}

struct sample_limits store_limits(const struct recording_store *s, const struct store_chunk *chunk) {
    return (struct sample_limits){
        .arity = s->arity.items,
        .events = (uint32_t)s->arity.count,
        .tasks = chunk->tasks,
        .file_roots = s->file_roots,
        .epoch_nodes = chunk->epoch_nodes,
        .epoch_base = chunk->epoch_base,
    };
}

static bool scan_keep(struct recording_store *s, struct bytes payload, struct store_chunk *chunk) {
    size_t length = bytes_left(&payload);
    if (s->kept + length > KEPT_MAX)
        return true;
    uint8_t *copy = store_allocate(s, length);
    if (!copy)
        return false;
    memcpy(copy, payload.at, length);
    chunk->payload = copy;
    chunk->payload_length = (uint32_t)length;
    s->kept += length;
    return true;
}

static int scan_samples(struct scan *s, struct bytes payload, uint64_t offset, uint32_t size, const char **ret_fault) {
    struct recording *r = s->r;
    struct store_chunk chunk = {.offset = offset,
                                .size = size,
                                .epoch_base = r->store->epoch_base,
                                .epoch_nodes = r->store->epoch_nodes,
                                .tasks = (uint32_t)r->tasks.count};
    struct sample_limits limits = store_limits(r->store, &chunk);
    int error = sample_decode(&s->decoder, payload, &limits, ret_fault);
    if (error)
        return error;

    const struct sample_row *rows = s->decoder.samples.rows.items;
    chunk.rows = (uint32_t)s->decoder.samples.rows.count;
    uint64_t first = r->sample_count ? r->first_time : rows[0].time, last = r->sample_count ? r->last_time : rows[0].time;
    for (uint32_t i = 0; i < chunk.rows; i++) {
        first = MIN(first, rows[i].time);
        last = MAX(last, rows[i].time);
    }
    struct store_chunk *kept = vec_push(&r->store->chunks);
    if (!kept || !scan_keep(r->store, payload, &chunk))
        return -ENOMEM;
    *kept = chunk;
    r->first_time = first;
    r->last_time = last;
    r->sample_count += chunk.rows;
    return 0;
}

static int scan_payload(struct scan *s, const struct chunk_head *head, const uint8_t *stored, const char **ret_fault) {
    struct recording_store *store = s->r->store;
    if (head->type != CHUNK_SAMPLES) {
        store->expanded += head->raw_length;
        if (store->expanded > EXPANDED_FREE + EXPANDED_PER_BYTE * s->r->file_size) {
            *ret_fault = "the file expands beyond all reason";
            return -EBADMSG;
        }
    }
    struct bytes payload;
    int error = chunk_unpack(head, stored, s->zstd, &s->space, &payload);
    if (error) {
        *ret_fault = "it does not decompress";
        return error;
    }
    if (head->type == CHUNK_SAMPLES)
        return scan_samples(s, payload, s->r->good_size, (uint32_t)sizeof *head + head->length, ret_fault);
    return tables_read(s->r, head->type, payload, ret_fault);
}

static bool scan_knows(uint32_t type) {
    return type == CHUNK_SAMPLES || tables_know(type);
}

static const char *chunk_fault_text(enum chunk_fault fault) {
    switch (fault) {
    case CHUNK_CUT:
        return "the file ends inside it (cut off, or still being written)";
    case CHUNK_BAD_HEAD:
        return "its head makes no sense";
    case CHUNK_BAD_CHECKSUM:
        return "its checksum is wrong";
    default:
        return "";
    }
}

/* 1: a good chunk was taken, at r->good_size; 0: the reading ends here (r->damage says why, if there is a why). -EPROTO, -ENOMEM... */
static int scan_chunk(struct scan *s) {
    struct recording *r = s->r;
    struct recording_store *store = r->store;
    uint64_t offset = r->good_size;
    if (offset == r->file_size)
        return 0;

    struct chunk_head head = {0};
    enum chunk_fault fault = CHUNK_CUT;
    const char *text = NULL;
    int error = 0;
    const uint8_t *at = r->file_size - offset < sizeof head ? NULL : window_at(&s->window, offset, sizeof head, &error);
    if (at) {
        memcpy(&head, at, sizeof head);
        fault = chunk_check_head(&head, r->file_size - offset - sizeof head);
    }
    if (fault == CHUNK_GOOD) {
        at = window_at(&s->window, offset, sizeof head + head.length, &error);
        fault = at ? chunk_check_sum(&head, at + sizeof head) : CHUNK_CUT;
    }
    if (error)
        return error;
    if (fault != CHUNK_GOOD)
        text = chunk_fault_text(fault);
    else if (r->is_complete)
        text = "it stands behind the end of the recording";
    else if (!scan_knows(head.type) || head.version > format_chunk_version(head.type)) {
        if (!(head.flags & CHUNK_OPTIONAL)) {
            snprintf(store->damage, sizeof store->damage, "chunk \"%s\", version %u, at byte %llu", chunk_name(head.type).text,
                     head.version, (unsigned long long)offset);
            return -EPROTO;
        }
    } else {
        error = scan_payload(s, &head, at + sizeof head, &text);
        if (error && error != -EBADMSG)
            return error;
    }
    if (text) {
        if (fault == CHUNK_CUT && !at)
            snprintf(store->damage, sizeof store->damage, "chunk at byte %llu: %s", (unsigned long long)offset, text);
        else
            snprintf(store->damage, sizeof store->damage, "chunk \"%s\" at byte %llu: %s", chunk_name(head.type).text,
                     (unsigned long long)offset, text);
        r->damage = store->damage;
        return 0;
    }
    r->good_size += sizeof head + head.length;
    return 1;
}

/* ---- the door -------------------------------------------------------------------------------------------------------------------- */

static int compare_symbols(const void *a, const void *b) {
    const struct recording_symbol *x = a, *y = b;
    if (x->module != y->module)
        return x->module < y->module ? -1 : 1;
    return x->address < y->address ? -1 : x->address > y->address;
}

/* 1: go on with the chunks. */
static int read_head(struct recording *r, struct window *window) {
    struct recording_store *s = r->store;
    struct file_head head;
    int error;
    const uint8_t *at = window_at(window, 0, sizeof head, &error);
    if (error)
        return error;
    if (!at || memcmp(at, FORMAT_MAGIC, sizeof head.magic) != 0)
        return -ENOEXEC;
    memcpy(&head, at, sizeof head);
    bool is_sound = head.checksum == chunk_sum(0, &head, offsetof(struct file_head, checksum));
    if (head.version != FORMAT_VERSION) { /* then nothing behind the version can be read */
        snprintf(s->damage, sizeof s->damage, "format version %u", head.version);
        return -EPROTO;
    }
    if (is_sound && head.roots > STACK_END_COUNT) {
        snprintf(s->damage, sizeof s->damage, "%u kinds of stack ends", head.roots);
        return -EPROTO;
    }
    if (!is_sound || head.length != sizeof head) {
        r->damage = "the head of the file is damaged";
        return 0;
    }
    s->file_roots = head.roots;
    r->good_size = sizeof head;
    return 1;
}

static int scan_all(struct recording *r) {
    struct scan scan = {.r = r, .window = {.fd = r->store->fd}, .zstd = ZSTD_createDCtx()};
    int status = scan.zstd ? read_head(r, &scan.window) : -ENOMEM;
    while (status > 0)
        status = scan_chunk(&scan);
    scan_free(&scan);
    return status;
}

int recording_open(const char *path, struct recording **ret, const char **ret_damage) {
    static _Thread_local char newer[sizeof((struct recording_store *)0)->damage];

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO is refused below, not waited for */
    if (fd < 0)
        return -errno;
    _cleanup_(recording_free_cleanup) struct recording *r = recording_allocate(fd);
    if (!r)
        return -ENOMEM;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -ESPIPE;
    r->file_size = (uint64_t)st.st_size;

    int error = scan_all(r);
    if (error == -EPROTO && ret_damage) {
        memcpy(newer, r->store->damage, sizeof newer);
        *ret_damage = newer;
    }
    if (error)
        return error;
    error = scope_tables_merge(r);
    if (error)
        return error;
    if (r->symbols.count)
        qsort(r->symbols.items, r->symbols.count, sizeof *r->symbols.items, compare_symbols);
    *ret = TAKE_POINTER(r);
    return 0;
}

const char *recording_fact(const struct recording *r, const char *key) {
    for (size_t i = 0; i < r->facts.count; i++)
        if (!strcmp(r->facts.items[i].key, key))
            return r->facts.items[i].value;
    return NULL;
}

uint64_t recording_counter(const struct recording *r, const char *name) {
    for (size_t i = 0; i < r->counters.count; i++)
        if (!strcmp(r->counters.items[i].name, name))
            return r->counters.items[i].value;
    return 0;
}

const struct recording_symbol *recording_symbol(const struct recording *r, uint32_t module, uint64_t address) {
    if (!r->symbols.count)
        return NULL;
    const struct recording_symbol key = {.module = module, .address = address};
    return bsearch(&key, r->symbols.items, r->symbols.count, sizeof key, compare_symbols);
}
