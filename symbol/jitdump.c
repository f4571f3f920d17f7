/* SPDX-License-Identifier: MIT */
/*
 * jit-PID.dump: a header, then records, each with its length in front. The machine code that a LOAD carries is skipped.
 *
 *     header   u32 magic "JiTD", version 1, length; u32 machine, pad, pid; u64 time, flags
 *     record   u32 type, length; u64 time; then by type
 *       LOAD   u32 pid, tid; u64 vma, address, size, index; name, NUL; code
 *       MOVE   u32 pid, tid; u64 vma, old address, new address, size, index
 *       CLOSE  nothing more comes
 *
 * Numbers are those of the machine that wrote it: another byte order is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "symbol/table.h"

enum { LOAD = 0, MOVE = 1, CLOSE = 3 };
enum { MAGIC = 0x4a695444, VERSION = 1, HEADER_SIZE = 40, RECORD_SIZE = 16 };
enum {
    NAME_MAX_BYTES = 4096,
    BODY_MAX = 64 + NAME_MAX_BYTES, /* what is looked at of a record */
    WINDOW = 1 << 16,
    ENTRIES_MAX = 1 << 22, /* no JIT makes as many; a file may say so */
};

struct dump {
    int fd;
    uint32_t pid;
    struct symbol_table *table;
    struct map names; /* index of the code -> name */
    size_t skipped;
    uint8_t *window;
    uint64_t window_start;
    size_t window_length;
};

/* Up to `length` bytes (at most BODY_MAX) at `offset`: fewer at the end of the file. */
static struct bytes look(struct dump *d, uint64_t offset, size_t length) {
    if (offset < d->window_start || offset - d->window_start > d->window_length || d->window_length - (offset - d->window_start) < length) {
        ssize_t got = pread(d->fd, d->window, WINDOW, (off_t)offset);
        d->window_start = offset;
        d->window_length = got > 0 ? (size_t)got : 0;
    }
    size_t at = (size_t)(offset - d->window_start), left = d->window_length - at;
    return bytes_of(d->window + at, left < length ? left : length);
}

/* 0; 1: makes no sense; -ENOMEM */
static int add(struct dump *d, uint64_t start, uint64_t size, uint32_t name) {
    if (!size || size > UINT64_MAX - start || d->table->entries.count >= ENTRIES_MAX)
        return 1;
    struct symbol_entry *entry = vec_push(&d->table->entries);
    if (!entry)
        return -ENOMEM;
    *entry = (struct symbol_entry){
        .start = start, .end = start + size, .name = name, .module = SYMBOL_NO_MODULE, .order = (uint32_t)d->table->entries.count};
    return 0;
}

static int take_load(struct dump *d, struct bytes body) {
    uint32_t pid = bytes_u32(&body), name;
    bytes_skip(&body, 12); /* thread, vma */
    uint64_t start = bytes_u64(&body), size = bytes_u64(&body), index = bytes_u64(&body);
    const char *text = bytes_string(&body);
    if (body.failed || pid != d->pid || !*text)
        return 1;
    int r = strings_intern(&d->table->strings, text, strlen(text), &name);
    bool is_new;
    uint64_t *known = r < 0 ? NULL : map_put(&d->names, index, &is_new);
    if (!known)
        return -ENOMEM;
    *known = name;
    return add(d, start, size, name);
}

/* The old place keeps its name: samples were taken there. */
static int take_move(struct dump *d, struct bytes body) {
    uint32_t pid = bytes_u32(&body);
    bytes_skip(&body, 20); /* thread, vma, old address */
    uint64_t start = bytes_u64(&body), size = bytes_u64(&body), index = bytes_u64(&body);
    const uint64_t *name = body.failed || pid != d->pid ? NULL : map_find(&d->names, index);
    return name ? add(d, start, size, (uint32_t)*name) : 1;
}

static int read_records(struct dump *d, uint64_t offset) {
    for (;;) {
        struct bytes b = look(d, offset, RECORD_SIZE);
        if (bytes_empty(&b))
            return 0;
        uint32_t type = bytes_u32(&b), length = bytes_u32(&b);
        bytes_skip(&b, 8);                      /* time */
        if (b.failed || length < RECORD_SIZE) { /* cut off while it was written, or nonsense: where the next begins is not known */
            d->skipped++;
            return 0;
        }
        if (type == CLOSE)
            return 0;
        size_t wanted = length - RECORD_SIZE < BODY_MAX ? length - RECORD_SIZE : BODY_MAX;
        int r = type == LOAD   ? take_load(d, look(d, offset + RECORD_SIZE, wanted))
                : type == MOVE ? take_move(d, look(d, offset + RECORD_SIZE, wanted))
                               : 0;
        if (r < 0)
            return r;
        d->skipped += (size_t)r;
        offset += length;
    }
}

/* Where the records begin; 0: not a dump of this process. */
static uint64_t read_header(struct dump *d) {
    struct bytes b = look(d, 0, HEADER_SIZE);
    uint32_t magic = bytes_u32(&b), version = bytes_u32(&b), length = bytes_u32(&b);
    bytes_skip(&b, 8); /* machine, pad */
    uint32_t pid = bytes_u32(&b);
    return !b.failed && magic == MAGIC && version == VERSION && length >= HEADER_SIZE && pid == d->pid ? length : 0;
}

int symbol_table_add_jitdump(int fd, uint32_t pid, struct symbol_table **table, size_t *skipped) {
    _cleanup_free_ uint8_t *window = malloc(WINDOW);
    struct symbol_table *own = *table ? NULL : calloc(1, sizeof *own);
    struct dump d = {.fd = fd, .pid = pid, .table = *table ? *table : own, .window = window};
    uint64_t start = window && d.table ? read_header(&d) : 0;
    int r = !window || !d.table ? -ENOMEM : start ? read_records(&d, start) : -EBADMSG;
    map_free(&d.names);
    if (r < 0) {
        if (own)
            symbol_table_free(own);
        return r;
    }
    symbol_table_sort(d.table);
    *table = d.table;
    *skipped += d.skipped;
    return 0;
}
