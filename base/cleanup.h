/* SPDX-License-Identifier: MIT */
/*
 * Cleanup attributes: a resource is released where its variable goes out of scope.
 *
 *     _cleanup_free_ char *path = NULL;
 *     _cleanup_close_ int fd = -1;
 *
 * To hand a resource on, take it out of its variable: `*ret = TAKE_POINTER(path)`, `return TAKE_FD(fd)`.
 * Not for the agent: nothing inside a profiled program owns a resource in this sense.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines `<function>_cleanup(type *)`, to be used as _cleanup_(<function>_cleanup); the function is not called on NULL. */
#define DEFINE_CLEANUP(type, function)                      \
    static inline void function##_cleanup(type *variable) { \
        if (*variable)                                      \
            function(*variable);                            \
    }

#define _cleanup_(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void cleanup_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose)

#define _cleanup_free_   _cleanup_(cleanup_free)
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(fclose_cleanup)

#define TAKE_POINTER(pointer)                   \
    ({                                          \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

#define TAKE_FD(fd)        \
    ({                     \
        int taken_ = (fd); \
        (fd) = -1;         \
        taken_;            \
    })
