/* SPDX-License-Identifier: MIT */
#include "flamegraph/frames.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "flamegraph/assets.h"
#include "flamegraph/palette.h"

enum { TEXT_MARGIN = 3, COLUMNS_MIN = 3, NUMBERS_MAX = 320 };

#define ELLIPSIS "\xe2\x80\xa6"

/* A name as it stands in titles: escaped once, kept with the others in one buffer. */
struct frames_name {
    size_t offset;
    size_t length;
    bool ready;
};

struct frames {
    const struct svg *svg;
    struct xml_output *output;
    const struct graph_node *nodes;
    const double *delta; /* by node; NULL: not a differential graph */
    double most_delta;
    struct frames_name *names; /* by name id */
    struct buffer escaped;     /* what they are in */
    struct buffer count_name;  /* options->count_name, escaped */
};

static const struct frames_name *frames_name(struct frames *frames, uint32_t id) {
    struct frames_name *name = &frames->names[id];
    if (!name->ready) {
        const struct strings_entry *entry = &frames->svg->layout->graph->names.entries.items[id];
        *name = (struct frames_name){.offset = frames->escaped.length, .ready = true};
        xml_escape(&frames->escaped, entry->data, entry->length);
        name->length = frames->escaped.length - name->offset;
    }
    return name;
}

static double frames_share(const struct frames *frames, double weight) {
    return weight * 100 / frames->svg->layout->all;
}

static char *frames_put_delta(char *to, const struct frames *frames, uint32_t node) {
    double delta = frames->delta[node];
    if (delta != 0)
        *to++ = delta > 0 ? '+' : '-';
    to = xml_hundredths(to, frames_share(frames, fabs(delta)));
    *to++ = '%';
    return to;
}

/* "name (1,234 samples, 12.34%)", or in a differential graph "name (1,234 samples, 12.34%; +1.23%)" */
static char *frames_put_title(char *to, const struct frames *frames, uint32_t node, const struct frames_name *name) {
    const struct buffer *count_name = &frames->count_name;
    double total = frames->nodes[node].total;
    memcpy(to, frames->escaped.data + name->offset, name->length);
    to = XML_COPY(to + name->length, " (");
    to = xml_number_grouped(to, total * frames->svg->options->factor);
    *to++ = ' ';
    memcpy(to, count_name->data, count_name->length);
    to = XML_COPY(to + count_name->length, ", ");
    to = node ? xml_hundredths(to, frames_share(frames, total)) : XML_COPY(to, "100");
    *to++ = '%';
    if (frames->delta && node)
        to = frames_put_delta(XML_COPY(to, "; "), frames, node);
    return XML_COPY(to, ")");
}

/* How many bytes of the name take at most `columns`; *ret_columns: how many they take. */
static size_t frames_fit(const char *name, size_t length, double columns, double *ret_columns) {
    size_t end = 0;
    double used = 0;
    while (end < length) {
        size_t taken;
        unsigned wide = xml_columns(xml_character(name + end, length - end, &taken));
        if (used + wide > columns)
            break;
        used += wide;
        end += taken;
    }
    *ret_columns = used;
    return end;
}

/* As much of the name as fits, ending in an ellipsis if that is not all; nothing if little fits. A difference follows where there is
 * room, so that colour does not tell it alone. The script does the same (label). */
static void frames_put_label(struct frames *frames, uint32_t node, double width, double x, double y) {
    const struct flamegraph_options *options = frames->svg->options;
    double columns = floor((width - 2 * TEXT_MARGIN) / (options->font_size * options->font_width)), used;
    if (columns < COLUMNS_MIN)
        return;
    const struct strings_entry *name = &frames->svg->layout->graph->names.entries.items[frames->nodes[node].name];
    size_t length = palette_visible(name->data, name->length), shown = frames_fit(name->data, length, columns, &used);
    char delta[64] = " ";
    if (shown < length)
        shown = frames_fit(name->data, length, columns - 1, &used);
    xml_printf(frames->output, "<text x=\"%.10g\" y=\"%.10g\">", round((x + TEXT_MARGIN) * 10) / 10, y);
    xml_put_escaped(frames->output, name->data, shown);
    if (shown < length)
        xml_puts(frames->output, ELLIPSIS);
    else if (frames->delta && node && frames->delta[node] != 0) {
        size_t extra = (size_t)(frames_put_delta(delta + 1, frames, node) - delta);
        if (used + (double)extra <= columns)
            xml_put(frames->output, delta, extra);
    }
    xml_puts(frames->output, "</text>");
}

static bool frames_is_link(const struct flamegraph_name_style *style) {
    return style && style->href && xml_link_is_safe(style->href);
}

static void frames_open_styled(struct frames *frames, const struct flamegraph_name_style *style) {
    xml_puts(frames->output, "<g");
    if (style->class)
        xml_put_attribute(frames->output, "class", style->class);
    xml_puts(frames->output, ">");
    if (frames_is_link(style)) {
        xml_puts(frames->output, "<a target=\"_top\"");
        xml_put_attribute(frames->output, "href", style->href);
        xml_puts(frames->output, ">");
    }
    xml_puts(frames->output, "<title>");
    if (style->title)
        xml_put_escaped(frames->output, style->title, strlen(style->title));
}

static uint32_t frames_color(const struct frames *frames, uint32_t node) {
    if (frames->delta)
        return palette_difference(frames->delta[node], frames->most_delta, frames->svg->options->negate);
    return frames->svg->colors->by_name[frames->nodes[node].name];
}

static void frames_put_one(struct frames *frames, const struct layout_walk *walk) {
    const struct svg *svg = frames->svg;
    double height = svg->options->frame_height;
    uint32_t id = frames->nodes[walk->node].name;
    const struct frames_name *name = frames_name(frames, id);
    const struct flamegraph_name_style *style = svg->colors->styles ? svg->colors->styles[id] : NULL;
    if (style)
        frames_open_styled(frames, style);
    char *to = xml_reserve(frames->output, name->length + frames->count_name.length + NUMBERS_MAX);
    if (!to || frames->escaped.failed)
        return;
    if (!style)
        to = XML_COPY(to, "<g><title>");
    if (!style || !style->title)
        to = frames_put_title(to, frames, walk->node, name);

    /* Both edges are rounded, not the width: neighbours touch. */
    int64_t left = (int64_t)((LAYOUT_MARGIN + walk->x * svg->px) * 10 + 0.5);
    int64_t right = (int64_t)((LAYOUT_MARGIN + (walk->x + frames->nodes[walk->node].total) * svg->px) * 10 + 0.5);
    uint32_t row = svg->options->icicle ? walk->depth : svg->layout->drawn_depth - 1 - walk->depth;
    double y = svg->top + row * height;
    to = xml_tenths(XML_COPY(to, "</title><rect x=\""), left);
    to = xml_tenths(XML_COPY(to, "\" y=\""), (int64_t)(y * 10));
    to = xml_tenths(XML_COPY(to, "\" width=\""), right - left);
    to = xml_tenths(XML_COPY(to, "\" height=\""), (int64_t)(height * 10) - 10);
    to = xml_color(XML_COPY(to, "\" fill=\""), frames_color(frames, walk->node));
    to = XML_COPY(to, "\"/>");
    xml_advance(frames->output, to);
    if (right - left > 10 * 2 * TEXT_MARGIN)
        frames_put_label(frames, walk->node, (double)(right - left) / 10, (double)left / 10,
                         y + height / 2 + svg->options->font_size * 0.33);
    xml_puts(frames->output, frames_is_link(style) ? "</a></g>\n" : "</g>\n");
}

static int frames_put_all(struct frames *frames) {
    const struct layout *layout = frames->svg->layout;
    struct layout_walk walk = {0};
    int r;
    for (r = layout_first(&walk, layout, layout->min_drawn); r > 0 && !frames->output->error; r = layout_next(&walk)) {
        if (frames->nodes[walk.node].name != GRAPH_NAME_GAP)
            frames_put_one(frames, &walk);
    }
    layout_end(&walk);
    return r < 0 || frames->escaped.failed ? -ENOMEM : 0;
}

int frames_put(const struct svg *svg) {
    const struct flamegraph *graph = svg->layout->graph;
    struct frames frames = {.svg = svg, .output = svg->output, .nodes = graph->nodes.items, .delta = graph->delta.items};
    for (size_t i = 0; i < graph->delta.count; i++)
        frames.most_delta = MAX(frames.most_delta, fabs(graph->delta.items[i]));
    frames.names = calloc(graph->names.entries.count, sizeof *frames.names);
    xml_escape(&frames.count_name, svg->options->count_name, strlen(svg->options->count_name));
    int r = frames.names && !frames.count_name.failed ? 0 : -ENOMEM;
    if (r == 0) {
        xml_puts(svg->output, "<g id=\"frames\"");
        xml_put_attribute(svg->output, "font-family", svg->options->font ? svg->options->font : asset_font);
        xml_printf(svg->output, " font-size=\"%.10g\">\n", svg->options->font_size);
        r = frames_put_all(&frames);
        xml_puts(svg->output, "</g>\n");
    }
    free(frames.names);
    buffer_free(&frames.escaped);
    buffer_free(&frames.count_name);
    return r;
}
