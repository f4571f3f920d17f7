/* SPDX-License-Identifier: MIT */
/* The text of a JIT's perf-PID.map and of kallsyms, and each name of them as a mangled one. The same bytes are tried as all three. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct symbol_table *table, uint64_t address) {
    const char *name, *module;
    uint64_t start;
    if (!symbol_table_find(table, address, &name, &module, &start))
        return;
    if (start > address || !name)
        abort();
    char *readable = symbol_demangle(name);
    if (!readable)
        abort();
    free(readable);
}

/* At and around every number that could be one of its addresses. */
static void look_up_all(struct symbol_table *table, const uint8_t *data, size_t size) {
    enum { LOOKUPS_MAX = 256 };
    char digits[17] = "";
    for (size_t i = 0, n = 0; i + 16 <= size && n < LOOKUPS_MAX; i++) {
        if (i && data[i - 1] != '\n')
            continue;
        memcpy(digits, data + i, 16);
        uint64_t address = strtoull(digits, NULL, 16);
        look_up(table, address);
        look_up(table, address + 1);
        look_up(table, address - 1);
        n++;
    }
    look_up(table, 0);
    look_up(table, UINT64_MAX);
    symbol_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("table", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    struct symbol_table *table;
    size_t skipped;
    if (symbol_table_open_perf_map(fd, &table, &skipped) >= 0)
        look_up_all(table, data, size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (symbol_table_open_kallsyms(path, NULL, 0, &table) >= 0)
        look_up_all(table, data, size);
    close(fd);
    return 0;
}
