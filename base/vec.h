/* SPDX-License-Identifier: MIT */
/*
 * A typed growing array.
 *
 *     VEC(struct thing) things = {0};
 *     struct thing *new = vec_push(&things);      // NULL when memory is out; the element is zeroed
 *     for (size_t i = 0; i < things.count; i++) use(&things.items[i]);
 *     vec_free(&things);
 *
 * Invariant: count <= capacity; items is NULL exactly when capacity is 0. Pushing may move the items.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/macros.h"

#define VEC(type)        \
    struct {             \
        type *items;     \
        size_t count;    \
        size_t capacity; \
    }

/* Room for `wanted` items in all; false when memory is out, and then nothing changed. */
#define vec_reserve(vec, wanted)                                                               \
    ({                                                                                         \
        size_t wanted_ = (wanted);                                                             \
        void *grown_ = (vec)->items;                                                           \
        if (unlikely(wanted_ > (vec)->capacity || !grown_)) {                                  \
            grown_ = vec_grow_((vec)->items, &(vec)->capacity, wanted_, sizeof *(vec)->items); \
            if (grown_)                                                                        \
                (vec)->items = grown_;                                                         \
        }                                                                                      \
        grown_ != NULL;                                                                        \
    })

#define vec_push(vec)                                                                                                 \
    (vec_reserve((vec), (vec)->count + 1) ? __builtin_memset(&(vec)->items[(vec)->count++], 0, sizeof *(vec)->items), \
     &(vec)->items[(vec)->count - 1]      : NULL)

#define vec_clear(vec) ((void)((vec)->count = 0))
#define vec_free(vec)                       \
    do {                                    \
        free((vec)->items);                 \
        (vec)->items = NULL;                \
        (vec)->count = (vec)->capacity = 0; \
    } while (0)

/* The items, moved to where there is room for `wanted` (at least 1), or NULL; *capacity follows. */
void *vec_grow_(void *items, size_t *capacity, size_t wanted, size_t size);
