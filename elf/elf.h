/* SPDX-License-Identifier: MIT */
/*
 * The door of elf/: what a binary says about itself.
 *
 * Glossary
 *   image     one ELF file (or memory image such as the vDSO), mapped read-only
 *   svma      "stated virtual memory address": an address as the file's own headers and symbols count
 *   bias      run-time address - svma, for one mapping of one module
 *   CFI       call frame information, .eh_frame or .debug_frame (DWARF 5 section 6.4; LSB core, "Exception Frames")
 *
 * Every byte of a file is hostile: all reads are bounds-checked, counts are bounded by the file's size, a broken part costs that part
 * alone. Nothing here prints. Functions return 0 or -errno unless they say otherwise; -ENOEXEC = not an ELF file we can read,
 * -ENOENT = the file has no such part, -EBADMSG = the part is broken.
 * Threads: an image is immutable once open and may be read by several threads, except where a function says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

/* ---- identity -------------------------------------------------------------------------------------------------------------------- */

struct elf_build_id {
    uint8_t length; /* 0: the file has none */
    uint8_t bytes[32];
};

bool elf_build_id_equal(const struct elf_build_id *a, const struct elf_build_id *b);

/* One PT_LOAD. */
struct elf_segment {
    uint64_t address; /* p_vaddr, svma */
    uint64_t memory_size;
    uint64_t offset; /* in the file */
    uint64_t file_size;
    uint32_t flags; /* PF_R, PF_W, PF_X */
};

struct elf_info {
    bool is_64;
    uint16_t machine; /* EM_* */
    uint16_t type;    /* ET_EXEC, ET_DYN, ET_REL */
    struct elf_build_id build_id;
    const struct elf_segment *segments; /* PT_LOADs, in file order */
    size_t segment_count;
};

struct elf_image;

/* Maps the file behind `fd`, a regular file (else -EINVAL). The descriptor stays the caller's and may be closed. */
int elf_image_open(int fd, struct elf_image **ret);

/* Copies `length` bytes of an image that sits in memory as it was linked (the vDSO). */
int elf_image_open_memory(const void *bytes, size_t length, struct elf_image **ret);

void elf_image_close(struct elf_image *image);

/* Gives back the pages of the file that are in our memory, after work that went through much of it; they come again when they are read. Any
 * thread, while others read. */
void elf_image_unload(struct elf_image *image);

const struct elf_info *elf_image_info(const struct elf_image *image);

struct elf_section {
    const uint8_t *data; /* owned by the image; already decompressed if it was SHF_COMPRESSED or .zdebug_* */
    size_t length;
    uint64_t address; /* svma; 0 for sections that are not loaded */
    uint32_t type;
    uint64_t flags;
};

/* By exact name. Decompressing happens on first use under a lock of the image's own. */
int elf_image_section(struct elf_image *image, const char *name, struct elf_section *ret);

/* `length` bytes of loaded code or data at `svma`, straight from the file, or NULL if the file does not hold them all. */
const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t svma, size_t length);

/*
 * The bias of a mapping [start, start + length) of file offset `offset`: found through the PT_LOAD whose page-rounded file range covers the
 * offset (not by assuming p_offset == p_vaddr, which lld, mold and -z separate-code break). False if no segment covers it.
 */
bool elf_image_bias(const struct elf_image *image, uint64_t start, uint64_t length, uint64_t offset, uint64_t *ret_bias);

/* ---- call frame information ------------------------------------------------------------------------------------------------------ */

struct elf_cfi_cie {
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_register;
    uint8_t version;
    uint8_t address_size;
    bool is_signal_frame; /* 'S' in the augmentation */
    struct bytes instructions;
};

struct elf_cfi_fde {
    const struct elf_cfi_cie *cie; /* valid during the callback */
    uint64_t start, end;           /* svma range of pcs, start < end */
    struct bytes instructions;
};

struct elf_cfi_counts {
    uint64_t entries; /* FDEs given */
    uint64_t skipped; /* FDEs dropped because they, or their CIE, are broken or of a form nobody uses */
};

typedef int (*elf_cfi_visit)(void *context, const struct elf_cfi_fde *fde);

/*
 * Gives every FDE of .eh_frame (found by section, else through PT_GNU_EH_FRAME when section headers are stripped), then of .debug_frame of
 * `image` and, where `debug` is not NULL, of the separate debug file. 32- and 64-bit DWARF, CIE versions 1, 3, 4, augmentations z R P L S B
 * G and "eh". Zero-address and empty FDEs (garbage-collected functions) are left out silently. In file order, so possibly unsorted and
 * overlapping: an .eh_frame FDE wins over a .debug_frame one. Stops with the visitor's value when that is not 0. -ENOENT: no CFI at all.
 */
int elf_cfi_each(struct elf_image *image, struct elf_image *debug, elf_cfi_visit visit, void *context, struct elf_cfi_counts *ret_counts);

/* The start and end of the function whose FDE covers `svma`, by .eh_frame_hdr's sorted table or, without one, by a scan that is cached.
 * Used to name functions of stripped modules. -ENOENT: none covers it. One thread at a time per image. */
int elf_cfi_function(struct elf_image *image, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end);

/* ---- symbols --------------------------------------------------------------------------------------------------------------------- */

struct elf_symbol {
    uint64_t start, end; /* svma; end is the symbol's size or, for size 0, the next symbol or the section's end */
    const char *name;    /* as in the file, version suffix kept out; owned by the symbols */
    bool is_plt;         /* a synthesised name for a PLT entry: `name` is the function called; shown as name@plt */
    bool is_sized;       /* its end is the symbol's own word, not the start of the next */
};

struct elf_symbols;

/*
 * Function symbols of the image, of its separate debug file (may be NULL), of .gnu_debugdata, and PLT entries (.plt, .plt.got, .plt.sec) by
 * their relocations. Of several names for one address the one a programmer knows wins: exported before local, then the fewest leading
 * underscores (`__GI_` counts as most), then global before weak, then the shortest, then the first by strcmp. The images must outlive it.
 */
int elf_symbols_load(struct elf_image *image, struct elf_image *debug, struct elf_symbols **ret);
void elf_symbols_free(struct elf_symbols *symbols);

/* The symbol that covers `svma`, or NULL. */
const struct elf_symbol *elf_symbols_find(const struct elf_symbols *symbols, uint64_t svma);

/* ---- lines and inlines (libdw) --------------------------------------------------------------------------------------------------- */

struct elf_line {
    const char *function;  /* linkage name (mangled), or where there is none "space::name"; NULL: the symbol table knows better */
    const char *file;      /* full path as DWARF joins it, or NULL */
    uint32_t line, column; /* 0: unknown */
    bool is_inlined;       /* this frame was inlined into the next one given */
};

struct elf_lines;

/* Opens the DWARF of `image` or of its debug file (`debug` may be NULL; its own .gnu_debugaltlink is followed below `debug_root`). -ENOENT:
 * no DWARF. Nothing is parsed before it is asked for. One thread at a time. The images must outlive it. */
int elf_lines_open(struct elf_image *image, struct elf_image *debug, const char *debug_path, struct elf_lines **ret);
void elf_lines_close(struct elf_lines *lines);

/* Gives the inline chain at `svma`, innermost first, the physical function last. Returns the number given, 0 if DWARF does not cover it, or
 * -errno. Strings live as long as `lines`. */
int elf_lines_find(struct elf_lines *lines, uint64_t svma, struct elf_line *chain, size_t capacity);

/* ---- separate debug files -------------------------------------------------------------------------------------------------------- */

/*
 * Looks for the separate debug file of `image`, whose own path is `path`: /usr/lib/debug/.build-id/xx/yyy.debug, then .gnu_debuglink beside
 * the file, in .debug/ and below /usr/lib/debug, with build-id or CRC checked. `root` is put before every path ("" for this machine).
 * -ENOENT: none.
 */
int elf_debug_open(struct elf_image *image, const char *path, const char *root, struct elf_image **ret, char **ret_path);
