/* SPDX-License-Identifier: MIT */
/* The command line of cprof-flamegraph, and the two files it may name: --cp's palette.map and --nameattr. Private to the program. */
#pragma once

#include "base/strings.h"
#include "base/vec.h"
#include "flamegraph/flamegraph.h"

struct program_options {
    struct flamegraph_options graph;
    unsigned flags;     /* enum flamegraph_flags */
    const char *output; /* NULL or "-": stdout */
    const char *name_attributes;
    bool consistent_palette; /* --cp */
    char **inputs;           /* NULL-terminated; none: stdin */

    VEC(struct flamegraph_name_style) styles; /* what graph.styles points to */
    struct strings texts;                     /* what the styles point to */
};

enum program_next { PROGRAM_RUN, PROGRAM_DONE, PROGRAM_USAGE };

/* Reads argv and says on stderr what is wrong with it. PROGRAM_DONE: help or version was printed. */
enum program_next options_parse(int argc, char **argv, struct program_options *ret);
void options_free(struct program_options *options);

#define PALETTE_MAP "palette.map"

/* "name->rgb(r,g,b)" lines, the colours that earlier graphs gave. A missing file is an empty one. 0 or -errno. */
int options_read_palette_map(struct program_options *options);
int options_write_palette_map(struct program_options *options, struct flamegraph *graph);

/* "name<TAB>attribute=value<TAB>..." lines; attributes: title, href, class. 0 or -errno; *ret_unknown counts others, which are not put
 * into the picture: they could be script. */
int options_read_name_attributes(struct program_options *options, size_t *ret_unknown);
