/* SPDX-License-Identifier: MIT */
/*
 * A frame's colour: a pure function of its name, so that a function keeps its colour from one graph to the next. Private to flamegraph/.
 *
 * Every colour contrasts with the labels' ink (PALETTE_INK) by 4.5 : 1 or more (WCAG 2.1, 1.4.3); test-palette holds it to that.
 */
#pragma once

#include "flamegraph/flamegraph.h"

enum { PALETTE_INK = 0x111111 };

struct palette_frame {
    const char *name;
    size_t length;
    enum flamegraph_kind kind; /* AUTO: told by the name */
    const char *module;        /* NULL: told by the name */
};

/* 0xRRGGBB. `hash`: names that begin alike get colours alike. */
uint32_t palette_color(enum flamegraph_palette palette, const struct palette_frame *frame, bool hash);

/* A node of a differential graph: white where delta is 0, to red at +most and blue at -most. The script mirrors it (differenceColor). */
uint32_t palette_difference(double delta, double most, bool negate);

/* The kind a name's suffix tells, or AUTO. */
enum flamegraph_kind palette_kind(const char *name, size_t length);

/* How long the name is without the suffix that tells its kind: what people should see. */
size_t palette_visible(const char *name, size_t length);

/* The part of the name that says where the frame is from: the binary, else the outermost namespace; *ret_length 0 if nothing does. */
const char *palette_module(const char *name, size_t length, size_t *ret_length);
