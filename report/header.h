/* SPDX-License-Identifier: MIT */
/*
 * The header of the table: what was recorded, and everything that was lost, cut or guessed. Every line starts with '#'.
 */
#pragma once

#include "base/buffer.h"
#include "report/counts.h"
#include "report/coverage.h"
#include "report/place.h"
#include "report/stacks.h"

/* `places`: those of the view, all resolved. 0 or -ENOMEM. */
int header_write(const struct recording *r, const struct counts *counts, const struct filter *filter, const struct coverage *coverage,
                 const struct places *places, struct buffer *out);

/* The lines about names: how many frames have none, where those came from that the recording does not hold, and which modules have none.
 * Part of header_write. */
void header_put_names(const struct recording *r, const struct stacks *stacks, const struct resolver *resolver, struct buffer *out);

/* What was recorded where and when; what was lost or cut: for views that are not of samples. Parts of header_write. */
void header_put_origin(const struct recording *r, struct buffer *out);
void header_put_state(const struct recording *r, struct buffer *out);
