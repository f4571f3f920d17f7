/* SPDX-License-Identifier: MIT */
/* A JIT's jit-PID.dump, as its process wrote it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each word of it may be one of its addresses. */
static void look_up_all(const struct symbol_table *table, const uint8_t *data, size_t size) {
    enum { LOOKUPS_MAX = 4096 };
    static volatile size_t sink;
    for (size_t i = 0; i + 8 <= size && i < LOOKUPS_MAX; i++) {
        const char *name, *module;
        uint64_t address, start;
        memcpy(&address, data + i, sizeof address);
        if (!symbol_table_find(table, address, &name, &module, &start))
            continue;
        if (start > address || module)
            abort();
        sink = sink + strlen(name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { PID = 77, PID_OFFSET = 20 };
    struct symbol_table *table = NULL;
    size_t skipped = 0;
    uint32_t pid = PID;
    int fd = memfd_create("dump", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (size >= PID_OFFSET + sizeof pid)
        memcpy(&pid, data + PID_OFFSET, sizeof pid);
    if (symbol_table_add_jitdump(fd, pid, &table, &skipped) >= 0) {
        look_up_all(table, data, size);
        symbol_table_free(table);
    }
    close(fd);
    return 0;
}
