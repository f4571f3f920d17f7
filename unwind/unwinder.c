/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "unwind/fallback.h"
#include "unwind/walk.h"

void unwinder_free(struct unwinder *u) {
    if (!u)
        return;
    fallback_free(u->fallback);
    free(u->cache);
    free(u->frames);
    free(u->tail);
    free(u->trace);
    free(u->piece);
    free(u);
}

int unwinder_new(struct unwinder **ret) {
    struct unwinder *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->cache = aligned_alloc(sizeof *u->cache, CACHE_ENTRIES * sizeof *u->cache);
    u->frames = calloc(UNWIND_HEAD_FRAMES + 1 + UNWIND_TAIL_FRAMES, sizeof *u->frames);
    u->tail = calloc(UNWIND_TAIL_FRAMES, sizeof *u->tail);
    u->trace = calloc(WALK_FRAMES_MAX, sizeof *u->trace); /* touched as deep as stacks are */
    u->piece = malloc(MEMORY_PIECE);
    int r = u->cache && u->frames && u->tail && u->trace && u->piece ? fallback_new(&u->fallback) : -ENOMEM;
    if (r < 0) {
        unwinder_free(u);
        return r;
    }
    memset(u->cache, 0, CACHE_ENTRIES * sizeof *u->cache);
    *ret = u;
    return 0;
}

const struct unwind_counts *unwinder_counts(const struct unwinder *u) {
    return &u->counts;
}

uint64_t unwinder_slot(const struct unwinder *u, size_t frame) {
    size_t at = frame;
    if (frame > UNWIND_HEAD_FRAMES) { /* behind the elided ones, which stand for as many as there are too many */
        size_t kept = MIN(u->walked, (size_t)UNWIND_HEAD_FRAMES + UNWIND_TAIL_FRAMES);
        at = frame + u->walked - kept - (u->walked > kept);
    }
    return at < MIN(u->walked, (size_t)WALK_FRAMES_MAX) ? u->trace[at].slot : 0;
}
