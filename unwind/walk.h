/* SPDX-License-Identifier: MIT */
/*
 * One walk in progress: what the files of the unwinder share.
 *
 *   trace    for each frame found so far, the slot its pc was read from; index 0 is the innermost. Witness for continuations, and what
 * becomes the thread's history. lean     a walk follows rsp, rbp and pc alone, which is all that nearly every rule needs. A rule that asks
 * for more starts the walk again with all registers (`is_full`): rare, and the price is the frames walked so far.
 */
#pragma once

#include "unwind/cache.h"
#include "unwind/code.h"
#include "unwind/module.h"
#include "unwind/step.h"

enum { WALK_FRAMES_MAX = 1 << 16 };

struct trace {
    uint64_t slot; /* 0: not read from memory (the sampled pc, a register) */
    uint64_t pc;   /* bit 63: is a return address */
};

#define TRACE_RETURN ((uint64_t)1 << 63)

struct fallback;

struct unwinder {
    struct cache_entry *cache;   /* CACHE_ENTRIES */
    struct unwind_frame *frames; /* head, FRAME_ELIDED, tail */
    struct unwind_frame *tail;   /* ring of the last UNWIND_TAIL_FRAMES */
    struct trace *trace;         /* WALK_FRAMES_MAX */
    uint8_t *piece;              /* MEMORY_PIECE */
    struct fallback *fallback;
    struct unwind_counts counts;
    size_t walked; /* frames of the last stack, the elided ones included */
    uint32_t stamp;
    uint32_t beyond; /* the last walk that came to the end of its bytes; 0: none did */
};

struct walk {
    struct unwinder *u;
    const struct unwind_sample *sample;
    const struct unwind_space *space;
    struct unwind_history *history; /* or NULL */
    struct memory memory;

    /* the frame being left */
    struct unwind_registers registers;
    uint32_t kept; /* see step.h */
    uint64_t slot;
    enum frame_class class;
    bool is_return;
    bool is_innermost;

    bool is_full;
    bool is_continued;   /* some bytes were not the sample's: every further frame must be proved */
    bool is_strict;      /* and no doubt is allowed in that (continuation.c) */
    bool has_jumped;     /* sp went back once, from an alternate stack */
    bool was_mid_signal; /* see signal-entry.h */
    bool is_other_stack; /* a signal interrupted a stack that is not the sampled one */
    size_t count;        /* frames found */
    size_t adopted;      /* of these, taken from history without a trace of their own */
    enum stack_end end;
    uint32_t classes, loading_module;
    uint64_t hits, misses;
    uint64_t frames_by_class[FRAME_CLASS_COUNT];
    struct cache_entry scratch; /* for a frame that goes uncached */
};

/* What the loop does next. */
enum walk_next {
    WALK_ON,
    WALK_ENDED,      /* `end` says why */
    WALK_LOADING,    /* `loading_module` */
    WALK_AGAIN_FULL, /* from the innermost frame, with all registers */
};

static inline enum walk_next walk_end(struct walk *w, enum stack_end end) {
    w->end = end;
    return WALK_ENDED;
}

/* Fills `place` with what is at the frame's pc (a return address belongs to the instruction before it). */
static inline void walk_find_place(const struct walk *w, uint64_t pc, bool is_return, struct unwind_place *place) {
    *place = (struct unwind_place){.state = UNWIND_PLACE_NONE};
    w->space->find(w->space->context, pc - is_return, place);
}

/* Finds the frame of `pc` in the cache, or looks it up. WALK_ON and *ret_entry, or why not. */
enum walk_next walk_look_up(struct walk *w, uint64_t pc, struct cache_entry **ret_entry);

/* Appends a frame. */
void walk_push(struct walk *w, uint64_t pc, struct cache_entry *entry);

/*
 * hot.c: goes on from the frame of `entry`, which is pushed, through all frames that RULE_RSP and RULE_RBP lead to on bytes of the sample
 * and that are in the cache. Returns the entry of the last frame pushed, which needs more than that, or NULL: the next frame is to be
 * looked up.
 */
struct cache_entry *hot_run(struct walk *w, struct cache_entry *entry);

/* gap.c: a step where no CFI covers the pc. 0 and the step with its class; 1: this is the outermost frame; -ENODATA: no way out. */
int gap_step(struct walk *w, struct step *ret, enum frame_class *ret_class);

/* Is `pc` in the function (the FDE) of the frame being left? */
bool walk_same_function(const struct walk *w, uint64_t pc, bool pc_is_return);

/*
 * continuation.c: the bytes of the outermost sampled frames, sixteen of them or, where the sample has not many more, half:
 * [*ret_start, *ret_end), both 0 before. Returns how many; WITNESSES_STRONG are strong evidence.
 */
enum { WITNESSES_STRONG = 4 };
size_t continuation_find_witnesses(const struct walk *w, uint64_t *ret_start, uint64_t *ret_end);

/* continuation.c: do the outermost sampled frames still lie there, byte for byte, in live memory? */
bool continuation_witnesses_agree(struct walk *w);

/* continuation.c: can the call before the return address `pc` have made the frame at `callee`? */
bool continuation_can_lead(struct walk *w, uint64_t pc, uint64_t callee, bool callee_is_return);

/* continuation.c: the step to `next` used bytes that are not the sample's. WALK_ON: proved, go on with it. */
enum walk_next continuation_check(struct walk *w, const struct step *next);

/* history.c */
void history_update(struct walk *w, struct unwind_history **history);
