/* SPDX-License-Identifier: MIT */
#include "pipeline/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

static int compare_ranges(const void *a, const void *b) {
    const struct kernel_range *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* "name size references users state 0xaddress" (kernel/module/procfs.c, m_show). */
int kernel_read(struct kernel *kernel, const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char line[4096], name[60];
    uint64_t size, address;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%59s %" SCNu64 " %*s %*s %*s %" SCNx64, name, &size, &address) != 3 || !address || !size ||
            address + size < address)
            continue;
        struct kernel_range *range = vec_push(&kernel->ranges);
        if (!range)
            return -ENOMEM;
        range->start = address;
        range->end = address + size;
        snprintf(range->name, sizeof range->name, "[%s]", name);
    }
    if (kernel->ranges.count)
        qsort(kernel->ranges.items, kernel->ranges.count, sizeof *kernel->ranges.items, compare_ranges);
    return 0;
}

void kernel_free(struct kernel *kernel) {
    vec_free(&kernel->ranges);
}

/* The last range that starts at or before `address`, if it reaches so far. The size of a module counts all its regions while the address is
 * its text's, so ranges may overlap the next module's; its start decides. */
static struct kernel_range *find_range(const struct kernel *kernel, uint64_t address) {
    size_t low = 0, high = kernel->ranges.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kernel->ranges.items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < kernel->ranges.items[low - 1].end ? &kernel->ranges.items[low - 1] : NULL;
}

struct process_module *kernel_module(struct kernel *kernel, struct process_table *table, uint64_t address) {
    static const struct process_identity unknown;
    struct kernel_range *range = find_range(kernel, address);
    struct process_module **module = range ? &range->module : &kernel->core;
    if (!*module)
        *module = process_module_get(table, PROCESS_MODULE_KERNEL, &unknown, range ? range->name : "[kernel]");
    return *module;
}
