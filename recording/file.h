/* SPDX-License-Identifier: MIT */
/* How a recording comes by its name without ever destroying another. Private to the room. */
#pragma once

#include <stddef.h>

/*
 * Creates `path` with `head` in it and returns its descriptor in *ret_fd.
 *
 *     open path~ (O_EXCL, 0600) -> write head -> path becomes path.old -> path~ becomes path
 *
 * A failure removes path~ and leaves `path` as it was. A `path` that is a symbolic link is replaced, not followed. A `path` that is a pipe,
 * a socket's end or a character device (/dev/stdout, /dev/full) is written to as it is. -EISDIR, -ELOOP (a link of somebody else's to such
 * a thing), -EEXIST (what /dev/stdout
 * leads to is a file that is not empty), -EBUSY (another recorder took the name in the same instant), or what the system says.
 */
int file_create(const char *path, const void *head, size_t length, int *ret_fd);

/* All of it, whatever signals interrupt. */
int file_write(int fd, const void *data, size_t length);
