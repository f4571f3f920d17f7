/* SPDX-License-Identifier: MIT */
/*
 * Places: what a view calls the spot where a frame is. A frame has one place, or with inlined functions several; frames that a view does
 * not tell apart share a place.
 *
 *     frame --resolve--> locations --names, keys of the view--> places (dense ids)
 *
 * All text of a place has already passed text_put in the view's style. One thread.
 */
#pragma once

#include "base/strings.h"
#include "recording/recording.h"
#include "report/resolve.h"
#include "report/text.h"

struct place_options {
    enum text_style style;
    unsigned keys; /* of KEY_MODULE, KEY_FUNCTION, KEY_LINE: what tells places apart; texts of other keys are "" */
    bool inlines, full_names;
    bool annotate_kernel, annotate_inlined, annotate_scopes;
};

/* Ids of texts: see place_text. */
struct place {
    uint32_t module, function, line;
};

/* Where a frame's places lie in `chains`; count 0: it is not resolved yet. */
struct place_range {
    uint32_t first, count;
    bool is_unnamed; /* code of which nobody knows the function */
};

struct places {
    const struct recording *recording;
    struct resolver *resolver;
    struct place_options options;
    struct strings texts;
    struct strings keys; /* struct place -> place id */
    VEC(struct place) items;
    struct place_range *frames; /* by frame id */
    VEC(uint32_t) chains;       /* place ids, outermost first */
    struct buffer scratch;
};

/* The resolver stays the caller's. */
int places_init(struct places *p, const struct recording *r, struct resolver *resolver, const struct place_options *options);
void places_free(struct places *p);

/* The places of a frame, outermost first, at least one. Valid until the next call. 0 or -ENOMEM. */
int places_of_frame(struct places *p, uint32_t frame, const uint32_t **ret, uint32_t *ret_count);

/* The place of something that is no frame, such as "[truncated]". */
int places_of_label(struct places *p, const char *label, uint32_t *ret);

/* The place of a task's name: spaces become `_`, as collapsers write it, and a leading `#` too, which some readers skip as a comment. */
int places_of_comm(struct places *p, const char *comm, uint32_t *ret);

/* A text of a place, NUL-terminated. */
static inline const struct strings_entry *place_text(const struct places *p, uint32_t text) {
    return &p->texts.entries.items[text];
}

/* What lies behind the last slash. */
const char *place_basename(const char *path);
