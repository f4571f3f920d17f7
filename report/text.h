/* SPDX-License-Identifier: MIT */
/*
 * Text from a recording (names of functions, files, commands) is hostile: these put it where people and tools can take it.
 *
 *   TEXT_TERMINAL   one printable line: control bytes, line and direction controls of Unicode and broken UTF-8 become \xNN
 *   TEXT_FOLDED     one frame of a folded stack, in the subset every consumer reads alike
 *
 * For the latter `;` becomes `:`, controls and all white space become spaces, broken UTF-8 becomes U+FFFD, outer spaces are trimmed, a
 * number behind the last space is tied to it by `_` (flamegraph.pl would take it for a count), and no more than TEXT_FRAME_MAX bytes are
 * left (`[...]` for the middle).
 *
 * No state; any thread.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

enum text_style { TEXT_TERMINAL, TEXT_FOLDED };

enum { TEXT_FRAME_MAX = 16 << 10 };

/* Appends `text` to `b` in that style. */
void text_put(struct buffer *b, enum text_style style, const char *text, size_t length);

/* How many columns a text takes that text_put has made; every character counts as one. */
size_t text_width(const char *text, size_t length);

/* The length of the longest prefix of at most `width` columns; for texts that text_put has made. */
size_t text_fit(const char *text, size_t length, size_t width);
