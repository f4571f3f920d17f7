/* SPDX-License-Identifier: MIT */
/* The text of /proc/PID/maps (fs/proc/task_mmu.c, show_map_vma): "start-end perms offset major:minor inode      path\n". */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/bytes.h"
#include "process/private.h"

/* A number in `base` (10 or 16), one digit at least, that ends at `end`, which is taken too. */
static bool take_number(struct bytes *b, unsigned base, uint8_t end, uint64_t *ret) {
    uint64_t value = 0;
    for (size_t digits = 0;; digits++) {
        uint8_t c = bytes_u8(b);
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)c - '0' : c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10 : UINT_MAX;
        if (b->failed || (c == end && !digits))
            return false;
        if (c == end) {
            *ret = value;
            return true;
        }
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
}

/* The kernel writes a newline in a path as "\012", and nothing else in this way. */
static void take_path(struct bytes *line, char path[PATH_MAX]) {
    size_t length = 0;
    while (!bytes_empty(line) && *line->at == ' ')
        bytes_skip(line, 1);
    while (!bytes_empty(line) && length < PATH_MAX - 1) {
        if (bytes_left(line) >= 4 && !memcmp(line->at, "\\012", 4)) {
            path[length++] = '\n';
            bytes_skip(line, 4);
        } else {
            path[length++] = (char)bytes_u8(line);
        }
    }
    path[length] = 0;
}

static bool parse_line(struct bytes line, char path[PATH_MAX], struct process_map_event *ret) {
    uint64_t end, major, minor;
    *ret = (struct process_map_event){.path = path};
    if (!take_number(&line, 16, '-', &ret->start) || !take_number(&line, 16, ' ', &end) || end <= ret->start)
        return false;
    ret->length = end - ret->start;
    const uint8_t *permissions = bytes_take(&line, 5); /* "rwxp " */
    if (!permissions || permissions[4] != ' ')
        return false;
    ret->is_executable = permissions[2] == 'x';
    if (!take_number(&line, 16, ' ', &ret->offset) || !take_number(&line, 16, ':', &major) || !take_number(&line, 16, ' ', &minor) ||
        major > UINT32_MAX || minor > UINT32_MAX)
        return false;
    ret->identity.device_major = (uint32_t)major;
    ret->identity.device_minor = (uint32_t)minor;
    /* A blank follows the inode even where no path does. */
    if (!take_number(&line, 10, ' ', &ret->identity.inode))
        return false;
    take_path(&line, path);
    return true;
}

int process_maps_parse(const char *text, size_t length, process_maps_visit visit, void *context, size_t *ret_skipped) {
    char path[PATH_MAX];
    size_t skipped = 0;
    struct bytes all = bytes_of(text, length);
    while (!bytes_empty(&all)) {
        const uint8_t *newline = memchr(all.at, '\n', bytes_left(&all));
        size_t line_length = newline ? (size_t)(newline - all.at) : bytes_left(&all);
        struct process_map_event event;
        if (parse_line(bytes_of(all.at, line_length), path, &event)) {
            int r = visit(context, &event);
            if (r)
                return r;
        } else {
            skipped++;
        }
        bytes_skip(&all, line_length + (newline != NULL));
    }
    *ret_skipped = skipped;
    return 0;
}
