/* SPDX-License-Identifier: MIT */
#include "unwind/history.h"

#include <stdlib.h>

enum {
    JOIN_WINDOW = 64,
    /* A stack that takes less than this share of the sample's bytes needs no history yet; now and then it is kept all the same, for the
     * sake of handlers on alternate stacks. */
    WORTH_SHARE = 4,
    WORTH_BYTES_SHARE = 2,
    DOUBTS = 64,
    DEEPER_KEPT = 64,
    WORTH_EVERY = 32,
    BEYOND_RECENT = 10000, /* walks */
};

void unwind_history_free(struct unwind_history *history) {
    if (!history)
        return;
    vec_free(&history->entries);
    vec_free(&history->bytes);
    free(history);
}

/* The entry whose slot is `slot`, or -1. */
static ptrdiff_t find_slot(const struct unwind_history *history, uint64_t slot) {
    size_t low = 0, high = history->entries.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint64_t at = history->entries.items[middle].slot;
        if (at == slot)
            return (ptrdiff_t)middle;
        if (at > slot)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static bool window_agrees(struct walk *w, size_t join) {
    size_t end = join > JOIN_WINDOW ? join - JOIN_WINDOW : 0;
    for (size_t i = join; i-- > end;) {
        const struct trace *entry = &w->history->entries.items[i];
        uint64_t live;
        if (memory_read_beyond(&w->memory, entry->slot, &live, sizeof live) < 0 || live != (entry->pc & ~TRACE_RETURN))
            return false;
    }
    return true;
}

/* Pushes entry `i`; those that would fall into the elided middle are only counted. */
static enum walk_next push_entry(struct walk *w, size_t i) {
    const struct trace *entry = &w->history->entries.items[i];
    bool is_middle = w->count >= UNWIND_HEAD_FRAMES && i > UNWIND_TAIL_FRAMES;
    w->adopted++;
    if (is_middle) {
        w->count++;
        w->frames_by_class[FRAME_CONTINUED]++;
        return WALK_ON;
    }
    uint64_t pc = entry->pc & ~TRACE_RETURN;
    struct cache_entry *found;
    w->class = FRAME_CONTINUED;
    w->is_return = entry->pc & TRACE_RETURN;
    w->slot = entry->slot;
    enum walk_next next = walk_look_up(w, pc, &found);
    if (next == WALK_ON)
        walk_push(w, pc, found);
    return next;
}

/* The entry that `next` is again, or -1. */
static ptrdiff_t find_entry(const struct walk *w, const struct step *next) {
    if (!w->history || !next->return_slot)
        return -1;
    ptrdiff_t at = find_slot(w->history, next->return_slot);
    uint64_t pc = next->registers.value[UNWIND_PC] | (next->is_signal_frame ? 0 : TRACE_RETURN);
    return at >= 0 && w->history->entries.items[at].pc == pc ? at : -1;
}

bool history_knows(const struct walk *w, const struct step *next) {
    ptrdiff_t at = find_entry(w, next);
    if (at < 0 || (size_t)at + 1 >= w->history->entries.count)
        return false;
    const struct trace *callee = &w->history->entries.items[at + 1];
    return walk_same_function(w, callee->pc & ~TRACE_RETURN, callee->pc & TRACE_RETURN);
}

/* Entries `count` - 1 to 0. */
static enum walk_next push_entries(struct walk *w, size_t count) {
    w->is_continued = true;
    for (size_t i = count; i-- > 0;) {
        enum walk_next pushed = push_entry(w, i);
        if (pushed != WALK_ON)
            return pushed;
    }
    return walk_end(w, STACK_COMPLETE);
}

enum walk_next history_adopt(struct walk *w, const struct step *next) {
    ptrdiff_t join = find_entry(w, next);
    if (join < 0 || !window_agrees(w, (size_t)join))
        return WALK_ON;
    return push_entries(w, (size_t)join + 1);
}

/* The bytes of the outermost sampled frames stand as they stood. */
static bool is_standing(const struct walk *w) {
    const struct unwind_history *history = w->history;
    uint64_t start = 0, end = 0;
    return continuation_find_witnesses(w, &start, &end) >= WITNESSES_STRONG && start >= history->base &&
           end - history->base <= history->bytes.count &&
           !memcmp(&history->bytes.items[start - history->base], w->memory.stack + (start - w->memory.base), end - start);
}

/*
 * Where the same frames lie in the history, in the sample and in live memory: do the live slots further out tell of other callers? Then
 * these frames do not determine who called them, and for DOUBTS stacks nothing is continued. A slot that holds what cannot have called its
 * callee is merely stale, and says nothing.
 */
static bool is_contradicted(struct walk *w, size_t join) {
    for (size_t i = join; i-- > 0;) {
        const struct trace *entry = &w->history->entries.items[i], *callee = entry + 1;
        uint64_t live;
        bool is_near = join - i <= JOIN_WINDOW, is_outermost = i < JOIN_WINDOW;
        if (!is_near && !is_outermost)
            i = JOIN_WINDOW; /* the middle of a deep stack is left out */
        else if (memory_read_beyond(&w->memory, entry->slot, &live, sizeof live) < 0)
            return false;
        else if (live != (entry->pc & ~TRACE_RETURN))
            return continuation_can_lead(w, live, callee->pc & ~TRACE_RETURN, callee->pc & TRACE_RETURN);
    }
    return false;
}

enum walk_next history_adopt_standing(struct walk *w) {
    const struct trace *outermost = &w->u->trace[w->count - 1];
    if (!w->history || w->is_other_stack || w->count > WALK_FRAMES_MAX || outermost->slot == 0)
        return WALK_ON;
    ptrdiff_t join = find_slot(w->history, outermost->slot);
    if (join < 0 || w->history->entries.items[join].pc != outermost->pc)
        return WALK_ON;
    if (w->history->doubts > 0) {
        w->history->doubts--;
        return walk_end(w, STACK_TRUNCATED);
    }
    if (!is_standing(w))
        return WALK_ON;
    if (continuation_witnesses_agree(w) && is_contradicted(w, (size_t)join)) {
        w->history->doubts = DOUBTS;
        return walk_end(w, STACK_TRUNCATED);
    }
    return push_entries(w, (size_t)join);
}

/* ---- keeping it ------------------------------------------------------------------------------------------------------------------ */

/* Slots must fall from frame to frame outermost first, or they could not be searched: stacks that jump are not kept. */
static bool is_worth_keeping(const struct walk *w) {
    const struct trace *trace = w->u->trace;
    if (w->end != STACK_COMPLETE || w->is_other_stack || w->count < 2 || w->count > WALK_FRAMES_MAX)
        return false;
    if (w->adopted || !w->history)
        return true;
    /* A copy of 60 KiB costs as much as the walk itself: where no stack has been cut of late, an older history must do. */
    bool is_needed = w->u->beyond && w->u->stamp - w->u->beyond < BEYOND_RECENT;
    if (!is_needed && w->u->stamp % WORTH_EVERY != 0)
        return false;
    uint64_t outermost = trace[w->count - 1].slot;
    struct unwind_history *history = w->history;
    bool is_deeper = history->entries.count / 2 > w->count && history->entries.items[0].slot == outermost;
    if (is_deeper && history->skipped++ < DEEPER_KEPT)
        return false;
    history->skipped = 0;
    if (w->u->stamp % WORTH_EVERY == 0)
        return true;
    return outermost - w->memory.base >= w->memory.length / WORTH_SHARE;
}

/* The bytes are worth their copying once the next stack might not fit the sample. */
static int keep_bytes(const struct walk *w, struct unwind_history *history) {
    const struct memory *memory = &w->memory;
    history->bytes.count = 0;
    history->base = memory->base;
    if (!w->is_continued && w->u->trace[w->count - 1].slot - memory->base < memory->length / WORTH_BYTES_SHARE)
        return 0;
    if (!vec_reserve(&history->bytes, memory->length))
        return -ENOMEM;
    memcpy(history->bytes.items, memory->stack, memory->length);
    history->bytes.count = memory->length;
    return 0;
}

static int keep(const struct walk *w, struct unwind_history *history) {
    /* What was adopted is there already: entries 0 .. adopted - 1. */
    history->entries.count = w->adopted;
    size_t own = w->count - w->adopted;
    if (!vec_reserve(&history->entries, w->adopted + own))
        return -ENOMEM;
    for (size_t i = own; i-- > 0;) {
        const struct trace *trace = &w->u->trace[i];
        size_t count = history->entries.count;
        if (trace->slot == 0 && i > 0)
            continue;
        if (count && history->entries.items[count - 1].slot <= trace->slot)
            return -EINVAL;
        history->entries.items[history->entries.count++] = *trace;
    }
    return keep_bytes(w, history);
}

void history_update(struct walk *w, struct unwind_history **history) {
    if (!is_worth_keeping(w))
        return;
    if (!*history)
        *history = calloc(1, sizeof **history);
    if (*history && keep(w, *history) < 0)
        (*history)->entries.count = (*history)->bytes.count = 0;
}
