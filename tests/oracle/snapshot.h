/* SPDX-License-Identifier: MIT */
/*
 * Samples with their stacks and the modules they fall into, written down for an unwinder in another language. A stream of records, each
 *
 *     u64 type, u64 length in bytes of what follows, a multiple of 8; all numbers little endian, all addresses run-time addresses
 *
 *     1  forget all modules: the next are another address space's
 *     2  module: u64 start, end of an executable mapping; u64 bias (run-time address - svma); u64 path length, image length;
 *        path and image, each padded to 8 with zeros. The image is the file's whole content where the path does not lead to it (the vDSO),
 *        else empty
 *     3  sample: u64 tid, time; u64 valid registers (bit n: DWARF number n), u64 registers[17] by DWARF number, 16 is the pc;
 *        u64 stack base, stack length; the stack, padded to 8
 *
 * Answers are text, a line a sample, whoever gives them: tid, time, "end" or "lost" (is that all, or did it know no further), frames with
 * the innermost first. A frame is a pc, or offset@path, a place in a mapped file; separated by tabs, all numbers but the first two hex.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "unwind/unwind.h"

int snapshot_put_forget(FILE *file);

/* `image` may be NULL. */
int snapshot_put_module(FILE *file, const struct unwind_place *place, const char *path, const void *image, uint64_t image_length);
int snapshot_put_sample(FILE *file, uint64_t tid, uint64_t time, const struct unwind_sample *sample);
