/* SPDX-License-Identifier: MIT */
/*
 * The door of flamegraph/: stacks in, one self-contained interactive SVG out.
 *
 *     struct flamegraph *graph = NULL;
 *     struct flamegraph_options options = flamegraph_defaults();
 *     flamegraph_new(0, &graph);
 *     flamegraph_push(graph, frames, count, weight);                 // as often as wanted, or:
 *     flamegraph_push_folded(graph, text, length);                   // "main;foo 12\n..."
 *     options.title = "CPU time";
 *     flamegraph_render(graph, &options, write_fd, &fd);
 *     flamegraph_free(graph);
 *
 * Glossary
 *   stack      frames from the root to the leaf, and a weight (samples, nanoseconds, bytes: whatever options.count_name says)
 *   node       a stack's prefix. Stacks that share a prefix share its nodes: the tree is a trie keyed by whole frame names, so siblings
 *              of one name are one node whatever order the stacks came in.
 *   self       the weight of the stacks that end at a node;   total(n) = self(n) + sum of total(children of n)
 *   delta      self after - self before, in a differential graph; widths show the "after"
 *
 * Memory is linear in the distinct nodes and names, never in the stacks pushed. Equal pushes and options give equal bytes.
 * One thread at a time for a graph; different graphs are independent. Nothing here prints or exits; errors are 0 or -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flamegraph;

enum flamegraph_flags {
    FLAMEGRAPH_REVERSE = 1 << 0, /* leaf first: who are the hot leaves, whoever called them */
    FLAMEGRAPH_CHART = 1 << 1,   /* stacks stay in order (last one leftmost, as flamegraph.pl --flamechart) and only neighbours merge */
};

/* What a frame is. AUTO reads the suffix that collapsers write: "_[k]" kernel, "_[j]" JIT, "_[i]" inlined, "_[w]" waker, "_[s]" scope. */
enum flamegraph_kind {
    FLAMEGRAPH_KIND_AUTO = 0,
    FLAMEGRAPH_KIND_USER,
    FLAMEGRAPH_KIND_KERNEL,
    FLAMEGRAPH_KIND_JIT,
    FLAMEGRAPH_KIND_INLINED,
    FLAMEGRAPH_KIND_WAKER,
    FLAMEGRAPH_KIND_SCOPE, /* an annotated region: no function */
    FLAMEGRAPH_KIND_COUNT
};

/* One frame to push. The strings are copied. Any bytes are allowed in a name: what XML cannot hold is replaced when drawn. Names decide
 * what merges; the kind and module of a name, used by palettes alone, are those of its first push that gives one. */
struct flamegraph_frame {
    const char *name;
    size_t length;
    enum flamegraph_kind kind;
    const char *module; /* NULL: read from the name ("module`function", "function [module]", "[module]") */
};

int flamegraph_new(unsigned flags, struct flamegraph **ret);
void flamegraph_free(struct flamegraph *graph);

/* So that no sum of weights is infinite. */
#define FLAMEGRAPH_WEIGHT_MAX 1e24

/* Adds a stack, root first; count == 0 adds to the root itself. Weights lie in 0..FLAMEGRAPH_WEIGHT_MAX (-EINVAL). */
int flamegraph_push(struct flamegraph *graph, const struct flamegraph_frame *frames, size_t count, double weight);

/* Adds a stack with its weights in the profile compared with and in this one, and makes the graph a differential one, where a stack pushed
 * with one weight counts as unchanged. */
int flamegraph_push_difference(struct flamegraph *graph, const struct flamegraph_frame *frames, size_t count, double before, double weight);

/* Adds folded text: whole lines, of which the last may lack its LF. A line is "frame;frame;... weight", or with two weights (before and
 * after) in a differential. Lines of another form are counted in `ignored`; a CR before the LF is dropped. Grammar: flamegraph.pl, in
 * cprof-flamegraph(1). 0 or -ENOMEM. */
int flamegraph_push_folded(struct flamegraph *graph, const char *text, size_t length);

struct flamegraph_counts {
    uint64_t stacks;  /* pushed, or valid lines */
    uint64_t ignored; /* folded lines without a weight, with one above FLAMEGRAPH_WEIGHT_MAX, or without a stack */
    uint64_t nodes;   /* distinct, the root included */
    uint64_t names;   /* distinct */
    double total;     /* sum of the weights */
    double before;    /* sum of the weights before */
};

struct flamegraph_counts flamegraph_count(const struct flamegraph *graph);

enum flamegraph_palette {
    FLAMEGRAPH_HOT = 0,
    FLAMEGRAPH_MEM,
    FLAMEGRAPH_IO,
    FLAMEGRAPH_WAKEUP,
    FLAMEGRAPH_CHAIN,
    FLAMEGRAPH_JAVA,
    FLAMEGRAPH_JS,
    FLAMEGRAPH_PERL,
    FLAMEGRAPH_RED,
    FLAMEGRAPH_GREEN,
    FLAMEGRAPH_BLUE,
    FLAMEGRAPH_AQUA,
    FLAMEGRAPH_YELLOW,
    FLAMEGRAPH_PURPLE,
    FLAMEGRAPH_ORANGE,
    FLAMEGRAPH_KIND,   /* by what the frame is: user, kernel, JIT, inlined, scope */
    FLAMEGRAPH_MODULE, /* by the binary, or the namespace, that the frame is from */
    FLAMEGRAPH_PALETTE_COUNT
};

/* The palette of that name ("hot", "mem", ...), or -EINVAL; and back. */
int flamegraph_palette_parse(const char *name, enum flamegraph_palette *ret);
const char *flamegraph_palette_name(enum flamegraph_palette palette);

/* A colour given to a name for good (flamegraph.pl --cp), or extra attributes of its frames (--nameattr). */
struct flamegraph_name_style {
    const char *name;
    uint32_t color; /* 0xRRGGBB, if has_color */
    bool has_color;
    const char *title; /* instead of "name (weight, percent)"; NULL: none */
    const char *href;  /* the frame is a link to it, unless it could run script; NULL: none */
    const char *class;
};

struct flamegraph_options {
    const char *title;
    const char *subtitle;   /* NULL: none */
    const char *count_name; /* "samples" */
    const char *name_type;  /* "Function:" */
    const char *notes;      /* put into the file as a comment; NULL: none */
    const char *font;       /* of the frames; NULL: the viewer's monospace */
    const char *background; /* "yellow", "blue", "green", "grey" or "#rrggbb"; NULL: by the viewer's preference, light or dark */
    double font_size;       /* px */
    double font_width;      /* a character's width, in font sizes */
    double frame_height;    /* px a row */
    double width;           /* px of the picture; scripted viewers fit it to their window */
    double min_width;       /* px, or percent if min_width_percent: narrower frames are not drawn at rest (they are when zoomed to) */
    bool min_width_percent;
    bool icicle;        /* root at the top */
    bool negate;        /* differential: swap red and blue */
    bool hash;          /* names that begin alike get colours alike */
    double total;       /* > sum of weights: what 100 % is; else the sum is */
    double factor;      /* multiplies the weights that are shown */
    uint64_t max_nodes; /* keep at most about so many nodes for zooming, dropping the narrowest that no pixel shows; 0: all */
    enum flamegraph_palette palette;
    const struct flamegraph_name_style *styles;
    size_t styles_count;
};

struct flamegraph_options flamegraph_defaults(void);

/* Receives the output piece by piece; 0 or -errno, which ends the rendering. */
typedef int flamegraph_write(void *context, const void *data, size_t length);

struct flamegraph_drawn {
    uint64_t frames; /* rectangles in the static picture */
    uint64_t kept;   /* nodes there for zooming */
    uint64_t pruned; /* nodes dropped by max_nodes */
};

/* Draws the graph. -ENODATA: it has no weight, and nothing was written (see flamegraph_render_error). -EINVAL: options out of range.
 * ret_drawn may be NULL. */
int flamegraph_render(struct flamegraph *graph, const struct flamegraph_options *options, flamegraph_write *write, void *context,
                      struct flamegraph_drawn *ret_drawn);

/* Calls `seen` for each distinct name with its colour under the options, for --cp's palette file. 0 or -ENOMEM. */
typedef void flamegraph_name_seen(void *context, const char *name, size_t length, uint32_t color);
int flamegraph_each_name(struct flamegraph *graph, const struct flamegraph_options *options, flamegraph_name_seen *seen, void *context);

/* A small picture that shows `message`, so that what was to hold a flame graph says why it does not. */
int flamegraph_render_error(const struct flamegraph_options *options, const char *message, flamegraph_write *write, void *context);
