/* SPDX-License-Identifier: MIT */
/* What the files of elf/ know of an image; private to the room. */
#pragma once

#include <libelf.h>
#include <pthread.h>

#include "elf/elf.h"

/* One section header, normalised to 64 bits; `name` lies in the file, or is "". */
struct elf_section_header {
    const char *name;
    uint32_t type, link, info;
    uint64_t flags, address, offset, size, entry_size;
};

/* The FDEs by start, for elf_cfi_function; made on first use when there is no usable .eh_frame_hdr. */
struct elf_function_range {
    uint64_t start, end;
};

struct elf_image {
    const uint8_t *data; /* the file's bytes: mapped, or malloc'ed for a copy from memory */
    size_t length;
    bool is_mapped;

    struct elf_info info;
    struct elf_segment *segments;
    struct elf_section_header *sections;
    size_t section_count;
    uint64_t eh_frame_hdr, eh_frame_hdr_size; /* PT_GNU_EH_FRAME, svma; 0: none */
    uint64_t dynamic, dynamic_size;           /* PT_DYNAMIC, svma; 0: none */

    pthread_mutex_t lock; /* guards what is below */
    uint8_t **inflated;   /* by section index: decompressed content, or NULL */
    size_t *inflated_length;
    Elf *libelf; /* made on first use, for libdw */

    struct elf_function_range *functions; /* sorted by start */
    size_t function_count;
    bool functions_made;
};

/* The section's index, or -ENOENT. */
int elf_image_section_index(const struct elf_image *image, const char *name);
int elf_image_section_at(struct elf_image *image, size_t index, struct elf_section *ret);

/* libelf's view of the same bytes, owned by the image; NULL if libelf cannot read them. */
Elf *elf_image_libelf(struct elf_image *image);
