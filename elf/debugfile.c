/* SPDX-License-Identifier: MIT */
/* Finds separate debug files, in the places and order GDB's manual gives ("Debugging Information in Separate Files"). */
#include "elf/debugfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)

int elf_image_open_path(const char *path, struct elf_image **ret) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0)
        return -errno;
    return elf_image_open(fd, ret);
}

static int take_if_build_id(const char *path, const struct elf_build_id *wanted, struct elf_image **ret) {
    _cleanup_(elf_image_close_cleanup) struct elf_image *image = NULL;
    int r = elf_image_open_path(path, &image);
    if (r < 0)
        return r;
    if (!elf_build_id_equal(&image->info.build_id, wanted))
        return -ENOENT;
    *ret = TAKE_POINTER(image);
    return 0;
}

int elf_debug_path_of_build_id(const char *root, const struct elf_build_id *id, char *ret_path, size_t capacity) {
    char hex[2 * sizeof id->bytes + 1];
    if (id->length < 2)
        return -ENOENT;
    for (size_t i = 0; i < id->length; i++)
        snprintf(hex + 2 * i, 3, "%02x", id->bytes[i]);
    int n = snprintf(ret_path, capacity, "%s/usr/lib/debug/.build-id/%.2s/%s.debug", root, hex, hex + 2);
    return n > 0 && (size_t)n < capacity ? 0 : -ENAMETOOLONG;
}

static int open_by_build_id(const struct elf_image *image, const char *root, struct elf_image **ret, char **ret_path) {
    char path[PATH_MAX];
    int r = elf_debug_path_of_build_id(root, &image->info.build_id, path, sizeof path);
    if (r >= 0)
        r = take_if_build_id(path, &image->info.build_id, ret);
    if (r < 0)
        return r;
    *ret_path = strdup(path);
    return 0;
}

/* .gnu_debuglink names a file and gives the CRC of its content, for images without build-id. */
static int open_by_link(struct elf_image *image, const char *path, const char *root, struct elf_image **ret, char **ret_path) {
    struct elf_section section;
    int r = elf_image_section(image, ".gnu_debuglink", &section);
    if (r < 0)
        return r;
    struct bytes b = bytes_of(section.data, section.length);
    const char *name = bytes_string(&b);
    if (!name || !*name || strchr(name, '/'))
        return -EBADMSG;
    b.at = section.data + ROUND_UP((size_t)(b.at - section.data), 4);
    if (b.at > b.end)
        return -EBADMSG;
    uint32_t crc = bytes_u32(&b);
    const char *slash = strrchr(path, '/');
    int directory = slash ? (int)(slash - path) : 0;

    const char *const forms[][2] = {{"", ""}, {"", "/.debug"}, {"/usr/lib/debug", ""}};
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        char candidate[PATH_MAX];
        int n = snprintf(candidate, sizeof candidate, "%s%s%.*s%s/%s", root, forms[i][0], directory, path, forms[i][1], name);
        _cleanup_(elf_image_close_cleanup) struct elf_image *found = NULL;
        if (n < 0 || (size_t)n >= sizeof candidate || elf_image_open_path(candidate, &found) < 0)
            continue;
        bool same = image->info.build_id.length ? elf_build_id_equal(&found->info.build_id, &image->info.build_id)
                                                : crc32_z(0, found->data, found->length) == crc;
        if (!same)
            continue;
        *ret_path = strdup(candidate);
        *ret = TAKE_POINTER(found);
        return 0;
    }
    return -ENOENT;
}

int elf_debug_open(struct elf_image *image, const char *path, const char *root, struct elf_image **ret, char **ret_path) {
    struct elf_image *found = NULL;
    char *found_path = NULL;
    int r = open_by_build_id(image, root, &found, &found_path);
    if (r < 0 && path)
        r = open_by_link(image, path, root, &found, &found_path);
    if (r < 0)
        return -ENOENT;
    if (!found_path) {
        elf_image_close(found);
        return -ENOMEM;
    }
    *ret = found;
    *ret_path = found_path;
    return 0;
}
