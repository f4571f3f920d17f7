/* SPDX-License-Identifier: MIT */
#include "sampler/notes.h"

#include <errno.h>

static struct notes *of(struct raw_source *base) {
    return (struct notes *)(void *)((char *)base - offsetof(struct notes, base));
}

static bool notes_peek(struct raw_source *base, uint64_t *ret_time) {
    const struct notes *notes = of(base);
    if (notes->taken == notes->events.count)
        return false;
    *ret_time = notes->events.items[notes->taken].time;
    return true;
}

static void notes_next(struct raw_source *base, struct raw_event *ret) {
    struct notes *notes = of(base);
    *ret = notes->events.items[notes->taken++];
}

void notes_init(struct notes *notes) {
    *notes = (struct notes){.base = {.peek = notes_peek, .next = notes_next}};
}

void notes_free(struct notes *notes) {
    vec_free(&notes->events);
}

int notes_add(struct notes *notes, const struct raw_event *event) {
    struct raw_event *added = vec_push(&notes->events);
    if (!added)
        return -ENOMEM;
    *added = *event;
    return 0;
}
