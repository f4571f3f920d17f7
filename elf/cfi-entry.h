/* SPDX-License-Identifier: MIT */
/* One CIE or FDE at a time; private to elf/. Sources: LSB Core 5.0 section 10.6 (.eh_frame), DWARF 5 section 6.4.1 (.debug_frame). */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "elf/image.h"

/* A section of call frame information with where it lies. */
struct elf_cfi_section {
    const uint8_t *data;
    size_t length;
    uint64_t address; /* svma of data[0], for pc-relative pointers */
    bool is_eh;       /* .eh_frame, not .debug_frame */
    bool is_64;
    bool ends_at_zero; /* its length is not known: a zero length ends it */
};

struct elf_cfi_parsed_cie {
    size_t offset;
    struct elf_cfi_cie cie;
    uint8_t pointer_encoding; /* of the FDEs' addresses */
    bool has_augmentation_data;
    bool is_good;
};

/* The CIEs seen so far in one section. Zeroed: none. */
struct elf_cfi_cies {
    VEC(struct elf_cfi_parsed_cie) items; /* in order of first use */
    size_t last;                          /* the one last used, for most FDEs share theirs with the one before */
    struct map index;                     /* offset -> index; a file may have as many CIEs as FDEs */
};

void elf_cfi_cies_free(struct elf_cfi_cies *cies);

/* .eh_frame or .debug_frame of an image. -ENOENT. */
int elf_cfi_find_section(struct elf_image *image, bool is_eh, struct elf_cfi_section *ret);

/* A pointer in one of the DW_EH_PE_* encodings; `field` is the svma of the bytes read. False: omitted, indirect, or broken. */
bool elf_cfi_pointer(struct bytes *b, uint8_t encoding, uint64_t field, uint64_t data_base, bool is_64, uint64_t *ret);

/*
 * Reads the entry at *offset and moves *offset behind it. 1: an FDE; 0: a CIE, or an FDE of a garbage-collected function;
 * -EBADMSG: this entry is broken, the next may not be; -ENODATA: the section ends here.
 * ret->cie points into `cies` and is valid until the next call.
 */
int elf_cfi_entry(const struct elf_cfi_section *section, struct elf_cfi_cies *cies, size_t *offset, struct elf_cfi_fde *ret);
