/* SPDX-License-Identifier: MIT */
#include "flamegraph/colors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flamegraph/palette.h"

static struct palette_frame colors_frame(const struct flamegraph *graph, size_t name) {
    const struct strings_entry *entry = &graph->names.entries.items[name];
    struct palette_frame frame = {.name = entry->data, .length = entry->length};
    if (name < graph->attributes.count) {
        const struct graph_name *attribute = &graph->attributes.items[name];
        frame.kind = (enum flamegraph_kind)attribute->kind;
        frame.module = attribute->module ? strings_get(&graph->modules, attribute->module - 1) : NULL;
    }
    return frame;
}

int colors_make(struct flamegraph *graph, const struct flamegraph_options *options, struct colors *ret) {
    /* A style for a name that no stack has becomes a name without nodes, which is never drawn. */
    uint32_t id;
    for (size_t i = 0; i < options->styles_count; i++) {
        if (strings_intern(&graph->names, options->styles[i].name, strlen(options->styles[i].name), &id) < 0)
            return -ENOMEM;
    }
    size_t count = graph->names.entries.count;
    struct colors colors = {.by_name = malloc(count * sizeof *colors.by_name)};
    if (options->styles_count)
        colors.styles = calloc(count, sizeof *colors.styles);
    if (!colors.by_name || (options->styles_count && !colors.styles)) {
        colors_free(&colors);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct palette_frame frame = colors_frame(graph, i);
        colors.by_name[i] = palette_color(options->palette, &frame, options->hash);
    }
    for (size_t i = 0; i < options->styles_count; i++) {
        const struct flamegraph_name_style *style = &options->styles[i];
        if (strings_intern(&graph->names, style->name, strlen(style->name), &id) < 0)
            continue; /* not reached: it is there */
        if (style->has_color)
            colors.by_name[id] = style->color & 0xffffff;
        if (style->title || style->href || style->class)
            colors.styles[id] = style;
    }
    *ret = colors;
    return 0;
}

void colors_free(struct colors *colors) {
    free(colors->by_name);
    free(colors->styles);
    *colors = (struct colors){0};
}

int flamegraph_each_name(struct flamegraph *graph, const struct flamegraph_options *options, flamegraph_name_seen *seen, void *context) {
    struct colors colors;
    int r = colors_make(graph, options, &colors);
    if (r < 0)
        return r;
    for (size_t i = 1; i < graph->names.entries.count; i++)
        seen(context, graph->names.entries.items[i].data, graph->names.entries.items[i].length, colors.by_name[i]);
    colors_free(&colors);
    return 0;
}
