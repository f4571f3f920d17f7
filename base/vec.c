/* SPDX-License-Identifier: MIT */
#include "base/vec.h"

#include <stdint.h>

void *vec_grow_(void *items, size_t *capacity, size_t wanted, size_t size) {
    if (wanted <= *capacity && items)
        return items;
    size_t grown = *capacity ? *capacity : 8;
    while (grown < wanted) {
        if (grown > SIZE_MAX / 2 / size)
            return NULL;
        grown *= 2;
    }
    void *moved = realloc(items, grown * size);
    if (moved)
        *capacity = grown;
    return moved;
}
