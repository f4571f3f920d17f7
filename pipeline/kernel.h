/* SPDX-License-Identifier: MIT */
/*
 * Which module a kernel address belongs to: "[kernel]", or a loadable one ("[ext4]") by its range in /proc/modules, as it was when the
 * recording began. Without the right to see addresses (they read as 0) all of it is "[kernel]".
 */
#pragma once

#include <stdint.h>

#include "base/vec.h"
#include "process/process.h"

struct kernel_range {
    uint64_t start, end;
    char name[64];                 /* with brackets */
    struct process_module *module; /* made at the first address in it */
};

struct kernel {
    VEC(struct kernel_range) ranges; /* sorted by start */
    struct process_module *core;
};

/* Reads `path` (/proc/modules). A file that cannot be read is one without ranges. */
int kernel_read(struct kernel *kernel, const char *path);
void kernel_free(struct kernel *kernel);

/* NULL when memory is out. */
struct process_module *kernel_module(struct kernel *kernel, struct process_table *table, uint64_t address);
