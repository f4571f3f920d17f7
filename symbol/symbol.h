/* SPDX-License-Identifier: MIT */
/*
 * The door of symbol/: address -> function, inline chain, file and line. One naming policy for every kind of module; used by the recorder
 * once per touched address at the end of a recording, and by the reporter for recordings that lack it. There is no third place.
 *
 * Naming policy
 *   - DWARF's inline chain if there is one; its outermost name is replaced by the symbol table's when both know the function
 *   - C++ and Rust (legacy and v0) names are demangled in full, the kernel's too; a name that is too long for that stays mangled, whole.
 *     What compilers append to the names of copies and parts (".part.0", ".cold", ".constprop.0", ".isra.0", ".lto_priv.0") stays: whoever
 *     shows a name may leave it out (symbol_base_length)
 *   - a PLT entry is "name@plt"; a function known only by its FDE is "fun_<svma of its start, hex>", stable from run to run
 *   - nothing covers the address: NULL, which views show as [unknown]
 *
 * Threads: one symboliser, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf/elf.h"

struct symbol_frame {
    const char *function; /* demangled; NULL: unknown. Owned by the module or table it came from */
    const char *file;     /* NULL: unknown */
    uint32_t line, column;
    bool is_inlined; /* inlined into the next frame of the chain */
};

struct symbol_options {
    bool inlines;     /* read DWARF for inline chains and lines; without it only symbol tables are read */
    const char *root; /* put before the paths of debug files; "" for this machine */
};

enum { SYMBOL_CHAIN_MAX = 64 };

/* ---- a file or the vDSO ---------------------------------------------------------------------------------------------------------- */

struct symbol_module;

/* `image` must outlive it; `path` is where debug files are looked for from (may be NULL). */
int symbol_module_open(struct elf_image *image, const char *path, const struct symbol_options *options, struct symbol_module **ret);
void symbol_module_close(struct symbol_module *module);

/* The chain at `svma`, innermost first; the look-up address, so for a return address the caller passes address - 1. Returns the length, 0 =
 * unknown. */
int symbol_module_find(struct symbol_module *module, uint64_t svma, struct symbol_frame *chain, size_t capacity);

/* How many of the names given out so far are mangled: too long to be made readable, or broken. */
size_t symbol_module_mangled(const struct symbol_module *module);

/* ---- sorted name tables: the kernel and JITs ------------------------------------------------------------------------------------- */

struct symbol_table;

/*
 * /proc/kallsyms: text symbols, with "[module]" names kept apart; all of them, or those that cover one of `count` addresses (sorted; 0:
 * all), which takes no memory to speak of and less time, for the kernel writes each line as it is read. -EACCES: the addresses are all zero
 * (kptr_restrict).
 */
int symbol_table_open_kallsyms(const char *path, const uint64_t *wanted, size_t count, struct symbol_table **ret);

/*
 * A JIT's /tmp/perf-PID.map ("start size name" in hex, kernel tools/perf/Documentation/jit-interface.txt), from an open descriptor that the
 * caller has checked (regular file, owned by the target's user, not a symlink). Later lines win where they overlap. Broken lines are
 * skipped and counted.
 */
int symbol_table_open_perf_map(int fd, struct symbol_table **ret, size_t *ret_skipped);

/*
 * A JIT's jit-PID.dump (kernel tools/perf/Documentation/jitdump-specification.txt), from such a descriptor: adds which function was put
 * where to `*table`, which may be NULL before; it wins over what is there. `pid`: the process by its own name, which the dump must give.
 * Records that make no sense are left out and added to `*skipped`. Lines and unwind information in it are not read. -EBADMSG: no dump, or
 * not this process's.
 */
int symbol_table_add_jitdump(int fd, uint32_t pid, struct symbol_table **table, size_t *skipped);

void symbol_table_free(struct symbol_table *table);

/* The entry that covers `address`: its name and, for the kernel, its module ("[kernel]", "[ext4]"; NULL for JITs). False: none. */
bool symbol_table_find(const struct symbol_table *table, uint64_t address, const char **ret_name, const char **ret_module,
                       uint64_t *ret_start);

/* ---- names ----------------------------------------------------------------------------------------------------------------------- */

/* A malloc'ed readable name for a linkage name, or a copy of it where it is not mangled or has no readable form. NULL when memory is out.
 */
char *symbol_demangle(const char *name);

/* Does it look like a linkage name of C++ or Rust v0? */
bool symbol_is_mangled(const char *name);

/* How much of a name, readable or not, comes before what compilers append for copies and parts of a function. */
size_t symbol_base_length(const char *name, size_t length);
