/* SPDX-License-Identifier: MIT */
/*
 * From the call tree to rows: one for each (group, place), with what was sampled in it (self) and in it or below (total).
 * A place that is on a stack twice, by recursion, counts once in its total.
 */
#pragma once

#include "report/options.h"
#include "report/tree.h"

struct row {
    uint32_t group, place;
    uint64_t self_samples, self_weight;
    uint64_t total_samples, total_weight;
};

typedef VEC(struct row) row_list;

/* 0 or -ENOMEM. In no particular order. */
int rows_collect(const struct tree *tree, const struct places *places, row_list *ret);

/* Greatest first; equal ones by the other figures, then by text, so that the order does not depend on ids. */
void rows_sort(row_list *rows, enum report_order order, const struct groups *groups, const struct places *places);
