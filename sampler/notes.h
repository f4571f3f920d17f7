/* SPDX-License-Identifier: MIT */
/* A raw_source of the recorder's own remarks: what it learns not from a ring but at the end, from counters. First in, first out. */
#pragma once

#include "base/vec.h"
#include "pipeline/raw.h"

struct notes {
    struct raw_source base;
    VEC(struct raw_event) events;
    size_t taken;
};

void notes_init(struct notes *notes);
void notes_free(struct notes *notes);

/* Strings in the event must outlive the notes. -ENOMEM. */
int notes_add(struct notes *notes, const struct raw_event *event);
