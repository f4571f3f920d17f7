/* SPDX-License-Identifier: MIT */
/*
 * The whole tree, inside the SVG, for the script: <metadata> elements whose text is compact and XML-safe. Private to flamegraph/.
 *
 *     names   one line a name, in order of id (the most used first): 4 digits of colour, then the name, cleaned and escaped
 *     nodes   the nodes, depth first, left to right, in pieces of some 64 K nodes (XML parsers limit a text to 10 MB):
 *
 *             node    = flags+up  name  [self]  [delta]
 *             flags   bit 0: a self follows (else it is 0); bit 1: a delta follows (else 0); bit 2: a gap, without a name
 *             up      from bit 3: how many levels the node is above a child of the one before it
 *             self    weight * scale, where scale is 1, or 1000 if any weight has a fraction
 *             delta   zigzag: 2d if d >= 0, else -2d - 1
 *
 *     number  little endian base 32; a digit is one of DATA_DIGITS, 0-31 in the last place of the number, 32-63 in those before it
 *
 * What is left of a node that is dropped (total < least) is its weight, as self of its parent: sums stay what they were.
 */
#pragma once

#include "flamegraph/layout.h"
#include "flamegraph/xml.h"

#define DATA_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* `colors` by name id. 0 or -errno; errors of the output stay in it. */
int data_put(struct xml_output *output, const struct layout *layout, const uint32_t *colors);
