/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for elf/, unwind/ and symbol/, so that the pipeline's own work is tested alone and a module is loaded when the test says so.
 *
 *   file       any regular file is an image, unless it starts with "not ELF"; run-time address - bias = file offset
 *   unwinder   the sampled stack is an array of return addresses; a 0 ends it as complete
 *   symbols    the name of an address is "f_<hex>"
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* While set, unwind_module_build blocks. */
void fake_hold_builds(bool hold);

/* While set, whoever asks for the name of this address (of any module) blocks. */
enum { FAKE_HELD_NAME = 0x123 };
void fake_hold_names(bool hold);

/* How many times unwind_module_build was called. */
size_t fake_builds(void);

/* The frames whose memo the unwinder's cache had. */
size_t fake_memo_hits(void);
