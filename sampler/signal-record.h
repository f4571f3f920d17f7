/* SPDX-License-Identifier: MIT */
/* One record of an agent -> raw events. Pure: a private copy of the bytes in, events out, whose pointers point into the copy. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "pipeline/raw.h"

struct signal_exec {
    uint32_t pid, image; /* of the program that starts with the record; 0: none does */
};

/* `record` is aligned to 16. `processes` are the pids heard of: a program that starts in another was forked unseen (vfork), which is said
 * first. The events' times are left to the caller. At most SIGNAL_EVENTS_MAX; 0: the record makes no sense. */
size_t signal_record_decode(const uint8_t *record, size_t size, uint16_t event, const struct map *processes, struct raw_event *ret,
                            struct signal_exec *ret_exec);
