/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "tests/oracle/witness.h"

struct witness_answers {
    struct buffer text; /* lines end with a zero byte */
    struct map lines;   /* key_of a sample -> where its line's third field begins */
};

static uint64_t key_of(uint64_t tid, uint64_t time) {
    return map_hash(tid) ^ time;
}

static int read_all(const char *path, struct buffer *ret) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    for (size_t got = 1; got;) {
        uint8_t *to = buffer_reserve(ret, 1 << 20);
        if (!to)
            return -ENOMEM;
        got = fread(to, 1, 1 << 20, file);
        ret->length += got;
    }
    buffer_put_u8(ret, 0);
    return ferror(file) ? -EIO : 0;
}

static int find_lines(struct witness_answers *w) {
    char *save = NULL;
    for (char *line = strtok_r((char *)w->text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *at;
        bool is_new;
        uint64_t tid = strtoull(line, &at, 10), time = strtoull(at, &at, 10);
        if (*at != '\t')
            return -EBADMSG;
        uint64_t *value = map_put(&w->lines, key_of(tid, time), &is_new);
        if (!value)
            return -ENOMEM;
        *value = (uint64_t)(at + 1 - (char *)w->text.data);
    }
    return 0;
}

int witness_answers_open(const char *path, struct witness_answers **ret) {
    struct witness_answers *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    int r = read_all(path, &w->text);
    if (r == 0)
        r = find_lines(w);
    if (r < 0)
        witness_answers_free(w);
    else
        *ret = w;
    return r;
}

void witness_answers_free(struct witness_answers *w) {
    map_free(&w->lines);
    buffer_free(&w->text);
    free(w);
}

/* Where the `offset` of a file is mapped; 0: nowhere. */
static uint64_t address_of(const struct replay_scene *scene, const char *path, size_t path_length, uint64_t offset) {
    for (size_t i = 0; i < scene->maps->items.count; i++) {
        const struct process_mapping *m = &scene->maps->items.items[i];
        uint64_t address = m->origin + (offset - m->offset);
        if (address >= m->start && address < m->end && strlen(m->module->path) == path_length &&
            memcmp(m->module->path, path, path_length) == 0)
            return address;
    }
    return 0;
}

void witness_answers_ask(struct witness_answers *w, const struct replay_scene *scene, struct testimony *ret) {
    ret->count = 0;
    ret->is_at_end = false;
    const uint64_t *line = map_find(&w->lines, key_of(scene->tid, scene->time));
    if (!line)
        return;
    const char *at = (const char *)w->text.data + *line;
    ret->is_at_end = strncmp(at, "end", 3) == 0;
    while ((at = strchr(at, '\t')) && ret->count < WITNESS_FRAMES_MAX) {
        char *rest;
        uint64_t pc = strtoull(++at, &rest, 16);
        if (*rest == '@')
            pc = address_of(scene, rest + 1, strcspn(rest + 1, "\t"), pc);
        ret->frames[ret->count++] = (struct witness_frame){.pc = pc};
    }
}
