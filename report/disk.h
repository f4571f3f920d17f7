/* SPDX-License-Identifier: MIT */
/*
 * Names for recordings whose recorder had no time to look them up: from the files of this machine, and only where they are proved to be
 * those that ran. A module's file must have the recorded build-id; kernel names are used in the recorded boot alone.
 *
 * The names come by the same road as the recorder's, symbol/. One thread.
 */
#pragma once

#include <stdbool.h>

#include "recording/recording.h"

enum disk_state {
    DISK_UNTRIED,
    DISK_USED,
    DISK_GONE,      /* the file cannot be opened or is no ELF file */
    DISK_DIFFERENT, /* its build-id is another one */
    DISK_UNPROVED,  /* the recording has nothing to know the file by: no build-id, another boot, code made at run time */
};

struct disk;

/* `inlines`: read DWARF for inline chains and lines. */
int disk_new(const struct recording *r, bool inlines, struct disk **ret);
void disk_free(struct disk *disk);

/* The locations of a frame, innermost first; 0: unknown. Valid until the next call. */
uint32_t disk_find(struct disk *disk, const struct recording_frame *frame, const struct recording_location **ret);

enum disk_state disk_module_state(const struct disk *disk, uint32_t module);
