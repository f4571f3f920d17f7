/* SPDX-License-Identifier: MIT */
#include "report/view.h"

#include "report/coverage.h"
#include "report/header.h"
#include "report/scope-view.h"
#include "report/svg.h"
#include "report/table.h"

/* What a view works on; built once, whichever view it is. */
struct aggregate {
    struct filter filter;
    struct groups groups;
    struct counts counts;
    struct resolver *resolver;
    struct places places;
    struct tree tree;
};

static void aggregate_free(struct aggregate *a) {
    tree_free(&a->tree);
    places_free(&a->places);
    resolver_free(a->resolver);
    counts_free(&a->counts);
    groups_free(&a->groups);
    filter_free(&a->filter);
}

static int aggregate_build(const struct recording *r, const struct report_options *o, unsigned group_keys,
                           const struct place_options *place_options, const struct tree_options *tree_options, struct aggregate *a) {
    int error = filter_build(r, o, &a->filter);
    if (error == 0)
        error = groups_build(r, &a->filter, group_keys, &a->groups);
    if (error == 0)
        error = counts_collect(r, &a->filter, &a->groups, &a->counts);
    if (error == 0)
        error = resolver_new(r, o->inlines || o->keys & KEY_LINE, &a->resolver);
    if (error == 0)
        error = places_init(&a->places, r, a->resolver, place_options);
    if (error == 0)
        error = tree_build(r, &a->counts, &a->groups, &a->places, tree_options, &a->tree);
    return error;
}

static int write_folded(const struct recording *r, const struct report_options *o, struct aggregate *a, struct buffer *out,
                        const struct folded_drain *drain, struct view_notes *notes) {
    struct place_options place_options = {
        .style = TEXT_FOLDED,
        .keys = KEY_FUNCTION,
        .inlines = o->inlines,
        .full_names = o->full_names,
        .annotate_kernel = o->annotate_kernel,
        .annotate_inlined = o->annotate_inlined,
        .annotate_scopes = o->annotate_scopes,
    };
    struct tree_options tree_options = {.comm_places = true, .show_scopes = o->scopes, .show_ends = !o->no_ends};
    struct folded_counts counts;
    int error = aggregate_build(r, o, KEY_COMM, &place_options, &tree_options, a);
    if (error == 0)
        error = folded_write(&a->tree, &a->places, o->by_weight, out, drain, &counts);
    if (error == 0)
        notes->cut = counts.cut;
    return error;
}

/* The folded stacks with every mark that a palette can use. */
static int write_svg(const struct recording *r, const struct report_options *o, struct aggregate *a, struct buffer *out,
                     struct view_notes *notes) {
    struct report_options marked = *o;
    marked.annotate_kernel = marked.annotate_inlined = marked.annotate_scopes = true;
    struct buffer folded = {0};
    int error = write_folded(r, &marked, a, &folded, NULL, notes);
    if (error == 0)
        error = svg_write(r, o, &r->events.items[a->filter.event], &folded, out);
    buffer_free(&folded);
    return error;
}

/* Tasks that ran and that no sample hit: without these lines they would seem not to exist. */
static void put_shorts(const struct coverage *coverage, struct buffer *out) {
    for (size_t i = 0; i < coverage->shorts.count; i++) {
        const struct coverage_short *s = &coverage->shorts.items[i];
        buffer_printf(out, "%8s %8s %8d  ", "-", "-", 0);
        text_put(out, TEXT_TERMINAL, s->comm, strlen(s->comm));
        buffer_printf(out, ": too short to sample: %llu task%s, %.3f s\n", (unsigned long long)s->tasks, s->tasks == 1 ? "" : "s",
                      (double)s->cpu * 1e-9);
    }
}

static int write_table(const struct recording *r, const struct report_options *o, size_t width, struct aggregate *a, struct buffer *out) {
    struct place_options place_options = {
        .style = TEXT_TERMINAL,
        .keys = o->keys & (KEY_MODULE | KEY_FUNCTION | KEY_LINE),
        .inlines = o->inlines,
        .full_names = o->full_names,
    };
    struct tree_options tree_options = {0};
    int error = aggregate_build(r, o, o->keys & (KEY_COMM | KEY_PID | KEY_TID), &place_options, &tree_options, a);
    struct coverage coverage = {0};
    if (error == 0)
        error = coverage_measure(r, &a->counts, &a->filter, &coverage);
    if (error == 0 && !o->no_header)
        error = header_write(r, &a->counts, &a->filter, &coverage, &a->places, out);
    struct table_options table_options = {
        .keys = o->keys,
        .order = o->order,
        .percent_limit = o->percent_limit,
        .whole_samples = o->is_relative ? a->counts.samples : a->counts.event_samples,
        .whole_weight = o->is_relative ? a->counts.weight : a->counts.event_weight,
        .width = width,
        .no_header = o->no_header,
    };
    if (error == 0)
        error = table_write(&a->tree, &a->groups, &a->places, &table_options, out);
    if (error == 0)
        put_shorts(&coverage, out);
    coverage_free(&coverage);
    return error;
}

/* The views of what programs timed themselves; samples are not what they show. */
static int write_scopes(const struct recording *r, const struct report_options *o, struct buffer *out, struct view_notes *ret_notes) {
    size_t rows = 0;
    int error = o->view == VIEW_COMPARE ? compare_write(r, o, out, &rows) : scope_table_write(r, o, out, &rows);
    if (error == 0)
        *ret_notes = (struct view_notes){.has_no_scopes = rows == 0};
    return error;
}

int view_write(const struct recording *r, const struct report_options *options, size_t width, struct buffer *out,
               const struct folded_drain *drain, struct view_notes *ret_notes) {
    struct aggregate a = {0};
    struct view_notes notes = {0};
    if (options->view == VIEW_SCOPES || options->view == VIEW_COMPARE)
        return write_scopes(r, options, out, ret_notes);
    int error = options->view == VIEW_FOLDED ? write_folded(r, options, &a, out, drain, &notes)
                : options->view == VIEW_SVG  ? write_svg(r, options, &a, out, &notes)
                                             : write_table(r, options, width, &a, out);
    if (error == 0) {
        struct resolver_counts names = resolver_counts(a.resolver);
        notes.unnamed = names.missing - names.found;
        notes.is_empty = a.counts.samples == 0;
        notes.is_filtered = a.filter.is_narrowed && a.counts.event_samples;
        *ret_notes = notes;
    }
    aggregate_free(&a);
    return error;
}
