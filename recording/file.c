/* SPDX-License-Identifier: MIT */
#include "recording/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int file_write(int fd, const void *data, size_t length) {
    for (const uint8_t *at = data; length;) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

/* A link such as /dev/stdout, which leads to what the caller's shell opened and must never be renamed. */
static bool file_is_system_link(const char *path, const struct stat *link) {
    return S_ISLNK(link->st_mode) && (!strncmp(path, "/proc/", 6) || (!strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9)));
}

/* 1: `path` is a pipe or a device, to be written to as it is; 0: it is to be replaced, or new. */
static int file_is_special(const char *path) {
    struct stat link, target;
    if (lstat(path, &link) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (stat(path, &target) < 0)
        return 0; /* a link to nothing */
    if (S_ISDIR(target.st_mode))
        return -EISDIR;
    if (S_ISBLK(target.st_mode))
        return -ENOTSUP; /* never write over a disk */
    if (S_ISREG(target.st_mode))
        return file_is_system_link(path, &link);
    bool is_trusted = !S_ISLNK(link.st_mode) || link.st_uid == 0 || link.st_uid == geteuid();
    return is_trusted ? 1 : -ELOOP;
}

static int file_open_new(const char *path) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        /* Left behind by a recorder that was killed between two system calls. */
        struct stat st;
        if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || unlink(path) < 0)
            return -EEXIST;
        fd = open(path, flags, 0600);
    }
    return fd < 0 ? -errno : fd;
}

/* Gives the temporary its name. */
static int file_take_name(int fd, const char *temporary, const char *path, const char *old) {
    if (rename(path, old) < 0 && errno != ENOENT)
        return -errno;
    if (rename(temporary, path) < 0) {
        int error = -errno;
        (void)rename(old, path);
        return error;
    }
    struct stat named, ours;
    if (stat(path, &named) < 0 || fstat(fd, &ours) < 0 || named.st_dev != ours.st_dev || named.st_ino != ours.st_ino)
        return -EBUSY;
    return 0;
}

int file_create(const char *path, const void *head, size_t length, int *ret_fd) {
    int special = file_is_special(path);
    if (special < 0)
        return special;
    if (special) {
        struct stat st;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
            return -errno;
        if (S_ISREG(st.st_mode) && st.st_size > 0)
            return -EEXIST; /* "-o /dev/stdout >>log": a descriptor of our own would begin at the beginning */
        int r = file_write(fd, head, length);
        if (r < 0)
            return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
    }

    _cleanup_free_ char *temporary = NULL, *old = NULL;
    if (asprintf(&temporary, "%s~", path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    if (asprintf(&old, "%s.old", path) < 0) {
        old = NULL;
        return -ENOMEM;
    }
    _cleanup_close_ int fd = file_open_new(temporary);
    if (fd < 0)
        return fd;
    int r = file_write(fd, head, length);
    if (r == 0)
        r = file_take_name(fd, temporary, path, old);
    if (r < 0) {
        if (r != -EBUSY) /* then it is not ours */
            (void)unlink(temporary);
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
