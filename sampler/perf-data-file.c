/* SPDX-License-Identifier: MIT */
#include "sampler/perf-data-file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sampler/perf-data-features.h"
#include "sampler/perf-data-input.h"

struct section {
    uint64_t offset, size;
};

struct file_header {
    char magic[8];
    uint64_t size;
    uint64_t attr_size; /* of one entry: attribute and the section of its ids */
    struct section attrs, data, event_types;
    uint64_t features[4];
};
static_assert(sizeof(struct file_header) == 104, "perf.data's header");

enum { PIPE_HEADER_SIZE = 16, SECTION_MAX = 64 << 20, FEATURES = 256 };

static int read_exactly(int fd, void *to, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, (char *)to + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

/* A section outside the data, which is small; *ret is malloc'ed. */
static int read_section(int fd, struct section section, uint8_t **ret) {
    if (section.size > SECTION_MAX)
        return -EBADMSG;
    _cleanup_free_ uint8_t *bytes = malloc(section.size + 1);
    if (!bytes)
        return -ENOMEM;
    for (size_t done = 0; done < section.size;) {
        ssize_t n = pread(fd, bytes + done, section.size - done, (off_t)(section.offset + done));
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        done += (size_t)n;
    }
    *ret = TAKE_POINTER(bytes);
    return 0;
}

int perf_data_add_attr(struct perf_data_file *file, struct bytes *attr, const uint8_t *ids, size_t ids_length) {
    struct perf_data_attr *added = vec_push(&file->attrs);
    if (!added)
        return -ENOMEM;
    size_t length = MIN(bytes_left(attr), sizeof added->attr);
    memcpy(&added->attr, attr->at, length);
    perf_data_name_attr(added);
    for (size_t i = 0; i + 8 <= ids_length; i += 8) {
        uint64_t id;
        bool is_new;
        memcpy(&id, ids + i, sizeof id);
        uint64_t *index = map_put(&file->attr_of_id, id, &is_new);
        if (!index)
            return -ENOMEM;
        *index = file->attrs.count - 1;
    }
    return 0;
}

static int read_attrs(struct perf_data_file *file, int fd, const struct file_header *header) {
    if (header->attr_size < PERF_ATTR_SIZE_VER0 + sizeof(struct section) || header->attr_size > 4096)
        return -EBADMSG;
    _cleanup_free_ uint8_t *bytes = NULL;
    int r = read_section(fd, header->attrs, &bytes);
    if (r < 0)
        return r;
    struct bytes b = bytes_of(bytes, header->attrs.size);
    while (bytes_left(&b) >= header->attr_size) {
        struct bytes attr = bytes_sub(&b, header->attr_size - sizeof(struct section));
        uint64_t ids_offset = bytes_u64(&b), ids_size = bytes_u64(&b);
        struct section ids = {.offset = ids_offset, .size = ids_size};
        _cleanup_free_ uint8_t *id_bytes = NULL;
        r = read_section(fd, ids, &id_bytes);
        if (r >= 0)
            r = perf_data_add_attr(file, &attr, id_bytes, ids.size);
        if (r < 0)
            return r;
    }
    return file->attrs.count ? 0 : -EBADMSG;
}

/* Behind the data: a table of sections, one for each bit that is set, in order of the bits. A broken feature costs itself alone. */
static void read_features(struct perf_data_file *file, int fd, const struct file_header *header) {
    uint64_t at = header->data.offset + header->data.size;
    for (unsigned feature = 0; feature < FEATURES; feature++) {
        if (!(header->features[feature / 64] >> feature % 64 & 1))
            continue;
        struct section section;
        if (pread(fd, &section, sizeof section, (off_t)at) != sizeof section) {
            file->is_truncated = true;
            return;
        }
        at += sizeof section;
        _cleanup_free_ uint8_t *bytes = NULL;
        if (read_section(fd, section, &bytes) >= 0)
            perf_data_feature(file, feature, bytes_of(bytes, section.size));
    }
}

static int open_file(struct perf_data_file *file, int fd, const struct file_header *header, const char **ret_problem) {
    int r = read_attrs(file, fd, header);
    if (r < 0) {
        *ret_problem = "its attributes are broken";
        return -EBADMSG;
    }
    uint64_t length = header->data.size;
    if (!length) { /* perf was killed before it could say */
        length = UINT64_MAX;
        file->is_truncated = true;
    } else
        read_features(file, fd, header);
    if (lseek(fd, (off_t)header->data.offset, SEEK_SET) < 0)
        return -errno;
    return perf_data_input_init(file->input, fd, length);
}

int perf_data_open(int fd, struct perf_data_file **ret, const char **ret_problem) {
    struct file_header header = {0};
    *ret_problem = NULL;
    struct perf_data_file *file = calloc(1, sizeof *file);
    if (file)
        file->input = calloc(1, sizeof *file->input);
    if (!file || !file->input) {
        free(file);
        close(fd);
        return -ENOMEM;
    }
    file->input->fd = fd;

    int r = read_exactly(fd, &header, PIPE_HEADER_SIZE);
    if (r < 0 || (memcmp(header.magic, "PERFILE2", 8) && memcmp(header.magic, "2ELIFREP", 8))) {
        *ret_problem = "it is not a perf.data file";
        r = r < 0 && r != -ENODATA ? r : -ENOEXEC;
    } else if (!memcmp(header.magic, "2ELIFREP", 8)) {
        *ret_problem = "it was recorded on a big-endian machine";
        r = -ENOEXEC;
    } else if (header.size == PIPE_HEADER_SIZE)
        r = perf_data_input_init(file->input, fd, UINT64_MAX);
    else if (header.size < sizeof header)
        r = -EBADMSG;
    else {
        r = read_exactly(fd, (char *)&header + PIPE_HEADER_SIZE, sizeof header - PIPE_HEADER_SIZE);
        if (r >= 0)
            r = open_file(file, fd, &header, ret_problem);
    }
    if (r < 0) {
        if (!*ret_problem)
            *ret_problem = "its header is broken";
        perf_data_close(file);
        return r;
    }
    *ret = file;
    return 0;
}

void perf_data_close(struct perf_data_file *file) {
    close(file->input->fd);
    perf_data_input_free(file->input);
    free(file->input);
    for (size_t i = 0; i < file->build_ids.count; i++)
        free(file->build_ids.items[i].path);
    vec_free(&file->build_ids);
    vec_free(&file->attrs);
    map_free(&file->attr_of_id);
    free(file->hostname);
    free(file->release);
    free(file->command);
    free(file);
}

/* Records that describe the recording; those are eaten here. 1: it was one. */
static int take_description(struct perf_data_file *file, const struct perf_event_header *record) {
    struct bytes b = bytes_of(record + 1, record->size - sizeof *record);
    switch (record->type) {
    case PERF_DATA_HEADER_ATTR: {
        uint32_t size = 0;
        if (bytes_left(&b) >= 8)
            memcpy(&size, b.at + 4, sizeof size); /* perf_event_attr.size */
        struct bytes attr = bytes_sub(&b, size ? size : PERF_ATTR_SIZE_VER0);
        if (attr.failed)
            return -EBADMSG;
        int r = perf_data_add_attr(file, &attr, b.at, bytes_left(&b));
        return r < 0 ? r : 1;
    }
    case PERF_DATA_HEADER_FEATURE: {
        uint64_t feature = bytes_u64(&b);
        if (!b.failed && feature < FEATURES)
            perf_data_feature(file, (unsigned)feature, b);
        return 1;
    }
    case PERF_DATA_HEADER_BUILD_ID:
        perf_data_add_build_id(file, record);
        return 1;
    case PERF_DATA_AUXTRACE: {
        int r = perf_data_input_skip(file->input, bytes_u64(&b));
        return r < 0 ? r : 1;
    }
    default:
        return 0;
    }
}

int perf_data_next(struct perf_data_file *file, const struct perf_event_header **ret_record, struct perf_data_block **ret_block) {
    for (;;) {
        int r = perf_data_input_next(file->input, ret_record, ret_block, &file->problem);
        if (r == -ENODATA || (r == 0 && file->input->left && file->input->left != UINT64_MAX)) {
            file->is_truncated = true;
            return 0;
        }
        if (r <= 0)
            return r;
        r = take_description(file, *ret_record);
        if (r == 0)
            return 1;
        if (r < 0)
            return r;
    }
}
