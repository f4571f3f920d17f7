/* SPDX-License-Identifier: MIT */
/*
 * Reading a mapped file that somebody truncates meanwhile: the kernel answers with SIGBUS. Here the page that is gone is replaced by zeros,
 * and whoever parses them finds a broken file, which he can bear. Private to elf/.
 *
 * The first guarded range installs a handler for SIGBUS; what is not in a guarded range goes to the handler that was there before.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* From any thread. More than 4,096 ranges at once are not guarded. */
void elf_guard_add(const void *start, size_t length);
void elf_guard_remove(const void *start);
