/* SPDX-License-Identifier: MIT */
#include "base/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

enum { BLOCK_SIZE = 64 * 1024 };

void strings_free(struct strings *s) {
    for (size_t i = 0; i < s->blocks.count; i++)
        free(s->blocks.items[i]);
    vec_free(&s->blocks);
    vec_free(&s->entries);
    free(s->table);
    *s = (struct strings){0};
}

static uint64_t strings_hash_word(uint64_t hash, const char *data, size_t length) {
    uint64_t word = 0;
    memcpy(&word, data, length);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    return hash ^ hash >> 32;
}

/* 8 bytes a step, for the names hashed here are long and C++; the last 8 may overlap those before. */
uint32_t strings_hash(const char *data, size_t length) {
    uint64_t hash = 0xcbf29ce484222325ULL ^ length;
    if (length < 8)
        return (uint32_t)(length ? strings_hash_word(hash, data, length) : hash);
    for (size_t i = 0; i + 8 < length; i += 8)
        hash = strings_hash_word(hash, data + i, 8);
    return (uint32_t)strings_hash_word(hash, data + length - 8, 8);
}

static bool strings_grow(struct strings *s) {
    size_t capacity = s->table_capacity ? s->table_capacity * 2 : 64;
    uint32_t *table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (size_t id = 0; id < s->entries.count; id++) {
        size_t i = s->entries.items[id].hash & (capacity - 1);
        while (table[i])
            i = (i + 1) & (capacity - 1);
        table[i] = (uint32_t)id + 1;
    }
    free(s->table);
    s->table = table;
    s->table_capacity = capacity;
    return true;
}

static char *strings_store(struct strings *s, const char *data, size_t length) {
    if (s->block_left < length + 1) {
        size_t size = MAX((size_t)BLOCK_SIZE, length + 1);
        char *block = malloc(size);
        char **owner = block ? vec_push(&s->blocks) : NULL;
        if (!owner) {
            free(block);
            return NULL;
        }
        *owner = s->block_at = block;
        s->block_left = size;
    }
    char *stored = s->block_at;
    if (length)
        memcpy(stored, data, length);
    stored[length] = '\0';
    s->block_at += length + 1;
    s->block_left -= length + 1;
    return stored;
}

int strings_intern_hashed(struct strings *s, const char *data, size_t length, uint32_t hash, uint32_t *ret_id) {
    if (length > UINT32_MAX - 1 || s->entries.count >= UINT32_MAX - 1)
        return -ENOMEM;
    if (s->entries.count + 1 > s->table_capacity / 2 && !strings_grow(s))
        return -ENOMEM;

    size_t i = hash & (s->table_capacity - 1);
    for (; s->table[i]; i = (i + 1) & (s->table_capacity - 1)) {
        const struct strings_entry *entry = &s->entries.items[s->table[i] - 1];
        if (entry->hash == hash && entry->length == length && (!length || !memcmp(entry->data, data, length))) {
            *ret_id = s->table[i] - 1;
            return 0;
        }
    }

    char *stored = strings_store(s, data, length);
    struct strings_entry *entry = stored ? vec_push(&s->entries) : NULL;
    if (!entry)
        return -ENOMEM;
    *entry = (struct strings_entry){.data = stored, .length = (uint32_t)length, .hash = hash};
    *ret_id = (uint32_t)s->entries.count - 1;
    s->table[i] = *ret_id + 1;
    return 0;
}

int strings_intern(struct strings *s, const char *data, size_t length, uint32_t *ret_id) {
    return strings_intern_hashed(s, data, length, strings_hash(data, length), ret_id);
}
