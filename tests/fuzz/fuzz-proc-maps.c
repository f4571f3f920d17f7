/* SPDX-License-Identifier: MIT */
/* The text of /proc/PID/maps. */
#include <stdlib.h>
#include <string.h>

#include "process/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *context, const struct process_map_event *event) {
    (void)context;
    if (!event->length || event->start + event->length < event->start || strlen(event->path) >= 4096)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t skipped;
    return process_maps_parse((const char *)data, size, check, NULL, &skipped);
}
