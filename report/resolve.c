/* SPDX-License-Identifier: MIT */
#include "report/resolve.h"

#include <errno.h>
#include <stdlib.h>

struct resolver {
    const struct recording *recording;
    struct disk *disk;
    struct resolver_counts counts;
};

int resolver_new(const struct recording *r, bool inlines, struct resolver **ret) {
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return -ENOMEM;
    resolver->recording = r;
    int error = disk_new(r, inlines, &resolver->disk);
    if (error < 0)
        free(resolver);
    else
        *ret = resolver;
    return error;
}

void resolver_free(struct resolver *resolver) {
    if (!resolver)
        return;
    disk_free(resolver->disk);
    free(resolver);
}

uint32_t resolver_find(struct resolver *resolver, const struct recording_frame *frame, const struct recording_location **ret) {
    if (frame->module == RECORDING_NONE)
        return 0;
    uint64_t address = frame->address - (frame->flags & FRAME_FLAG_RETURN ? 1 : 0);
    const struct recording_symbol *symbol = recording_symbol(resolver->recording, frame->module, address);
    if (symbol) {
        *ret = symbol->locations;
        return symbol->count;
    }
    uint32_t count = disk_find(resolver->disk, frame, ret);
    resolver->counts.missing++;
    resolver->counts.found += count > 0;
    return count;
}

struct resolver_counts resolver_counts(const struct resolver *resolver) {
    return resolver->counts;
}

enum disk_state resolver_module_state(const struct resolver *resolver, uint32_t module) {
    return disk_module_state(resolver->disk, module);
}
