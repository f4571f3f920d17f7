/* SPDX-License-Identifier: MIT */
/*
 * The names of one process's JIT code: /tmp/perf-PID.map, in the mount and pid name space of that process, and the jit-PID.dump that it
 * mapped to make it known.
 *
 * A file is trusted no further than the process itself: it must be a regular file, no symbolic link, and belong to the user the process ran
 * as (or to root). The map's directory is held open from when the process was first seen with executable memory of its own, and the dump
 * from when it was mapped, so that they are found after the process has ended. An import has the dump only, and knows no user: the file
 * must be root's or ours, if we are not root.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/process.h"
#include "symbol/symbol.h"

struct jit {
    uint32_t pid;
    bool is_touched;  /* a stack led through it (drain) */
    bool is_asked;    /* its names are wanted as soon as nothing is being opened (drain) */
    bool is_lost;     /* the loader has given it up: what follows is not to be touched (drain) */
    uint32_t opening; /* jobs that have not come back: jit_begin, jit_begin_dump (drain) */

    /* The loader's, from jit_begin on. */
    int directory; /* its /tmp, or -1 */
    int dump;      /* its jit-PID.dump, or -1 */
    uint32_t dump_pid;
    uint32_t inner_pid;
    uid_t owner;
    bool is_loaded;
    struct symbol_table *table; /* NULL: no names */
    size_t skipped;             /* lines and records that made no sense */
};

struct jit *jit_new(uint32_t pid); /* NULL when memory is out */
void jit_free(struct jit *jit);

/* Remembers where the map will be, while the process lives. */
void jit_begin(struct jit *jit);

/* The PID of a path that ends in "/jit-PID.dump"; 0: it does not. */
uint32_t jit_dump_pid(const char *path);

/* Opens the dump of which `module` is the mapping. */
void jit_begin_dump(struct jit *jit, const struct process_module *module, const struct process_sighting *sighting);

/* Reads map and dump as they are now. A second call does nothing. */
void jit_load(struct jit *jit);
