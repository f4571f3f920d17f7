/* SPDX-License-Identifier: MIT */
#include "sampler/perf-data-features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/macros.h"

enum { FEATURE_BUILD_ID = 2, FEATURE_HOSTNAME = 3, FEATURE_OSRELEASE = 4, FEATURE_CMDLINE = 11, FEATURE_EVENT_DESC = 12 };

enum { MISC_BUILD_ID_SIZE = 1 << 15 };

/* perf's strings: a padded length, then bytes with at least one NUL among them. NULL if broken. */
static const char *take_string(struct bytes *b) {
    struct bytes padded = bytes_sub(b, bytes_u32(b));
    return bytes_string(&padded);
}

static void take_copy(struct bytes *b, char **to) {
    const char *string = take_string(b);
    if (string) {
        free(*to);
        *to = strdup(string);
    }
}

static void take_command(struct perf_data_file *file, struct bytes *b) {
    struct buffer line = {0};
    uint32_t count = bytes_u32(b);
    for (uint32_t i = 0; i < count && !bytes_empty(b); i++) {
        const char *word = take_string(b);
        if (word)
            buffer_printf(&line, "%s%s", i ? " " : "", word);
    }
    buffer_put_u8(&line, 0);
    if (line.failed)
        buffer_free(&line);
    free(file->command);
    file->command = (char *)line.data;
}

void perf_data_name_attr(struct perf_data_attr *attr) {
    static const char *const software[] = {"cpu-clock",        "task-clock",   "page-faults",  "context-switches",
                                           "cpu-migrations",   "minor-faults", "major-faults", "alignment-faults",
                                           "emulation-faults", "dummy",        "bpf-output",   "cgroup-switches"};
    static const char *const hardware[] = {
        "cycles",        "instructions", "cache-references",        "cache-misses",           "branches",
        "branch-misses", "bus-cycles",   "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles"};
    uint64_t config = attr->attr.config & UINT32_MAX;
    if (attr->attr.type == PERF_TYPE_SOFTWARE && config < ARRAY_SIZE(software))
        snprintf(attr->name, sizeof attr->name, "%s", software[config]);
    else if (attr->attr.type == PERF_TYPE_HARDWARE && config < ARRAY_SIZE(hardware))
        snprintf(attr->name, sizeof attr->name, "%s", hardware[config]);
    else
        snprintf(attr->name, sizeof attr->name, "event %u:0x%llx", attr->attr.type, (unsigned long long)attr->attr.config);
}

/* Names for the attributes we have: an entry belongs to the attribute that owns its first id. */
static void take_event_names(struct perf_data_file *file, struct bytes *b) {
    uint32_t count = bytes_u32(b), attr_size = bytes_u32(b);
    for (uint32_t i = 0; i < count && !bytes_empty(b); i++) {
        bytes_skip(b, attr_size);
        uint32_t id_count = bytes_u32(b);
        const char *name = take_string(b);
        uint64_t id = 0;
        struct bytes ids = bytes_sub(b, (uint64_t)id_count * 8);
        if (id_count)
            id = bytes_u64(&ids);
        uint64_t *index = id_count ? map_find(&file->attr_of_id, id) : NULL;
        if (name && (index || i < file->attrs.count)) {
            struct perf_data_attr *attr = &file->attrs.items[index ? *index : i];
            snprintf(attr->name, sizeof attr->name, "%s", name);
        }
    }
}

void perf_data_add_build_id(struct perf_data_file *file, const struct perf_event_header *record) {
    struct bytes b = bytes_of(record + 1, record->size - sizeof *record);
    bytes_skip(&b, 4); /* pid */
    const uint8_t *id = bytes_take(&b, 24);
    const char *path = bytes_string(&b);
    if (!id || !path)
        return;
    uint8_t length = record->misc & MISC_BUILD_ID_SIZE ? id[20] : 20;
    struct perf_data_build_id *added = length && length <= 20 ? vec_push(&file->build_ids) : NULL;
    if (!added)
        return;
    added->path = strdup(path);
    added->length = length;
    memcpy(added->bytes, id, length);
}

static void take_build_ids(struct perf_data_file *file, struct bytes *b) {
    struct perf_event_header header;
    while (bytes_left(b) >= sizeof header) {
        memcpy(&header, b->at, sizeof header);
        const uint8_t *record = bytes_take(b, MAX(header.size, (uint16_t)sizeof header));
        if (!record)
            return;
        uint64_t aligned[(UINT16_MAX + 1) / 8];
        memcpy(aligned, record, MAX(header.size, (uint16_t)sizeof header));
        perf_data_add_build_id(file, (const struct perf_event_header *)aligned);
    }
}

void perf_data_feature(struct perf_data_file *file, unsigned feature, struct bytes content) {
    switch (feature) {
    case FEATURE_BUILD_ID:
        take_build_ids(file, &content);
        break;
    case FEATURE_HOSTNAME:
        take_copy(&content, &file->hostname);
        break;
    case FEATURE_OSRELEASE:
        take_copy(&content, &file->release);
        break;
    case FEATURE_CMDLINE:
        take_command(file, &content);
        break;
    case FEATURE_EVENT_DESC:
        take_event_names(file, &content);
        break;
    default:
        break;
    }
}
