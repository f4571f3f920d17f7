/* SPDX-License-Identifier: MIT */
/*
 * The last stack of a thread that was seen whole: its slots and what they held, outermost first; and the sampled bytes of it.
 *
 *     entries | 0: outermost | 1 | 2 | ... | count - 1: innermost, slot 0 |        slots fall strictly
 *
 * Let t0 be the instant of that stack, t1 > t0 that of a truncated sample, t2 that of reading the live stack. Callers do not change while
 * what they called goes on: if a frame at t1 is the very call that it was at t0, all that is further out is as it was. Two ways to see
 * that:
 *
 *   - Standing: the outermost frames that the sample shows, at least WITNESSES_STRONG, lie in the same slots as at t0, with the same bytes:
 *     return addresses, saved registers, locals. Nothing need be read; it holds even if the thread has ended since. But frames may say too
 *     little: if in live memory the very same frames have other callers, they do, and stacks of this thread are cut for a while.
 *
 *   - Joining: the walk, which goes on in live memory, comes to a slot and pc of the history, and the next JOIN_WINDOW slots outwards (or
 *     all there are) hold at t2 what they held at t0. The sample's stack pointer says that these slots were in use at t1; they held the
 *     same then, unless written twice in between, to something else and back. Loops do that to single slots, so the join itself must also
 *     be a direct call to the function being left, or one that history saw make it.
 *
 * Either way the rest of the history is true without being read, and a stack of ten thousand frames costs one read or none.
 */
#pragma once

#include "unwind/walk.h"

struct unwind_history {
    VEC(struct trace) entries;
    VEC(uint8_t) bytes; /* of the sample, from `base` on */
    uint64_t base;
    unsigned doubts;  /* stacks for which nothing is continued any more */
    unsigned skipped; /* whole stacks that were not kept because this one is much deeper */
};

/* Tries to join the history at `next`. WALK_ENDED: joined, all frames are pushed. WALK_ON: no join. WALK_LOADING as ever. */
enum walk_next history_adopt(struct walk *w, const struct step *next);

/* Does the sample's outer end stand as it stood? All that is further out then comes from the history, as above. */
enum walk_next history_adopt_standing(struct walk *w);

/* In the last whole stack, did the slot of `next` hold this very address, as that of a call to the function being left now? A loop that
 * calls one function after the other through pointers puts the same addresses into the same slot again and again. */
bool history_knows(const struct walk *w, const struct step *next);
