/* SPDX-License-Identifier: MIT */
/* The collection that elf_symbols_load sorts and thins out; private to elf/. */
#pragma once

#include "base/strings.h"
#include "elf/image.h"

struct elf_symbol_candidate {
    uint64_t start, size;
    const char *name;
    uint8_t binding;  /* STB_* */
    bool is_function; /* typed as one; else an untyped label in code */
    uint64_t limit;   /* the end of its section: a symbol cannot go past */
};

struct elf_symbol_set {
    VEC(struct elf_symbol_candidate) items;
    struct strings names; /* those that are not in a file as they should be shown */
};

/* Function symbols of a symbol table section (".symtab", ".dynsym"). A missing or broken one adds nothing. 0 or -ENOMEM. */
int elf_symbol_set_add_table(struct elf_symbol_set *set, struct elf_image *image, const char *section);

/* The ELF file in .gnu_debugdata (xz; "MiniDebugInfo" in GDB's manual). -ENOENT, -EBADMSG, -ENOMEM. */
int elf_minidebug_open(struct elf_image *image, struct elf_image **ret);
