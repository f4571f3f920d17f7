/* SPDX-License-Identifier: MIT */
/* Names for procedure linkage table entries; private to elf/. */
#pragma once

#include "base/vec.h"
#include "elf/image.h"

/* Code at [start, end) that jumps through the GOT to the function `name`. */
struct elf_plt_entry {
    uint64_t start, end;
    const char *name; /* in the image, or of `symbols` */
};

struct elf_plt {
    VEC(struct elf_plt_entry) items;
};

/* Adds the entries that relocations give a name; `symbols` names the targets of IRELATIVE ones. x86-64 only: none for other machines.
 * 0 or -ENOMEM; the caller frees the items either way. */
int elf_plt_find(struct elf_image *image, const struct elf_symbols *symbols, struct elf_plt *plt);
