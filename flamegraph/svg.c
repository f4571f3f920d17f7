/* SPDX-License-Identifier: MIT */
/*
 * The picture: a static one that any viewer shows, of every frame wide enough to be seen at rest; then the whole tree as data, and the
 * script that draws from it whatever the reader zooms to. The script replaces the static frames when it starts.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "flamegraph/assets.h"
#include "flamegraph/colors.h"
#include "flamegraph/data.h"
#include "flamegraph/frames.h"
#include "flamegraph/layout.h"
#include "flamegraph/palette.h"
#include "flamegraph/xml.h"

enum { FOOTER = 34, HEADER = 44, HEADER_LINE = 16 };

static bool svg_is_named_background(const char *background) {
    return !strcmp(background, "yellow") || !strcmp(background, "blue") || !strcmp(background, "green") || !strcmp(background, "grey");
}

static void svg_put_background(struct xml_output *output, const char *background) {
    static const struct {
        const char *name, *from, *to;
    } named[] = {
        {"yellow", "#eeeeee", "#eeeeb0"},
        {"blue", "#eeeeee", "#e0e0ff"},
        {"green", "#eef2ee", "#e0ffe0"},
        {"grey", "#f8f8f8", "#e8e8e8"},
    };
    if (background && svg_is_named_background(background)) {
        for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
            if (!strcmp(named[i].name, background))
                xml_printf(output,
                           "<defs><linearGradient id=\"bg\" y1=\"0\" y2=\"1\" x1=\"0\" x2=\"0\"><stop stop-color=\"%s\" offset=\"5%%\"/>"
                           "<stop stop-color=\"%s\" offset=\"95%%\"/></linearGradient></defs>\n",
                           named[i].from, named[i].to);
        }
        xml_puts(output, "<rect id=\"background\" width=\"100%\" height=\"100%\" style=\"fill:url(#bg)\"/>\n");
        return;
    }
    xml_puts(output, "<rect id=\"background\" width=\"100%\" height=\"100%\" fill=\"#f8f8f8\"");
    if (background) {
        xml_puts(output, " style=\"fill:");
        xml_put_escaped(output, background, strlen(background));
        xml_puts(output, "\"");
    }
    xml_puts(output, "/>\n");
}

static void svg_put_element(struct xml_output *output, const char *open, const char *text, const char *close) {
    xml_puts(output, open);
    xml_put_escaped(output, text, strlen(text));
    xml_puts(output, close);
}

/* "--" may not be in a comment, nor may it end in "-". */
static void svg_put_notes(struct xml_output *output, const char *notes) {
    xml_puts(output, "<!-- NOTES: ");
    for (const char *at = notes; *at;) {
        size_t length = strcspn(at, "-");
        xml_put_escaped(output, at, length);
        at += length;
        if (*at == '-') {
            xml_puts(output, "- ");
            at++;
        }
    }
    xml_puts(output, " -->\n");
}

static void svg_open(struct xml_output *output, const struct flamegraph_options *options, double height) {
    xml_puts(output, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n");
    xml_printf(output,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%.10g\" height=\"%.10g\" viewBox=\"0 0 %.10g %.10g\""
               " role=\"group\" aria-labelledby=\"document-title\"",
               options->width, height, options->width, height);
    xml_puts(output, options->background ? " class=\"fixed\">\n" : ">\n");
    svg_put_element(output, "<title id=\"document-title\">", options->title, "</title>\n");
    if (options->notes)
        svg_put_notes(output, options->notes);
    xml_puts(output, "<style><![CDATA[\n");
    xml_puts(output, asset_style);
    xml_puts(output, "]]></style>\n");
    svg_put_background(output, options->background);
}

/* In a differential graph the reader must know what the colours mean, and what is gone and so has no width. */
static void svg_put_difference(const struct svg *svg, double y) {
    const struct flamegraph *graph = svg->layout->graph;
    double vanished = 0;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (graph->nodes.items[i].total == 0 && graph->delta.items[i] < 0)
            vanished -= graph->delta.items[i];
    }
    char text[256], *to = text;
    to = svg->options->negate ? XML_COPY(to, "Blue grew, red shrank; ") : XML_COPY(to, "Red grew, blue shrank; ");
    to = xml_number_grouped(to, graph->total_before * svg->options->factor);
    to = XML_COPY(to, " before, ");
    to = xml_number_grouped(to, graph->total * svg->options->factor);
    to = XML_COPY(to, " after");
    if (vanished > 0) {
        to = XML_COPY(to, "; ");
        to = xml_hundredths(to, vanished * 100 / graph->total_before);
        to = XML_COPY(to, "% of before is gone");
    }
    xml_printf(svg->output, "<text id=\"difference\" x=\"%d\" y=\"%.10g\" font-size=\"12\">%.*s</text>\n", LAYOUT_MARGIN, y,
               (int)(to - text), text);
}

/* What the colours of the kinds mean. */
static void svg_put_legend(const struct svg *svg, double y) {
    static const struct {
        const char *label, *name;
    } kinds[] = {{"user", "f"}, {"kernel", "f_[k]"}, {"JIT", "f_[j]"}, {"inlined", "f_[i]"}, {"unknown", "[unknown]"}};
    double x = LAYOUT_MARGIN;
    xml_puts(svg->output, "<g id=\"legend\" font-size=\"12\">");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct palette_frame frame = {.name = kinds[i].name, .length = strlen(kinds[i].name)};
        char color[8] = "";
        xml_color(color, palette_color(FLAMEGRAPH_KIND, &frame, false));
        xml_printf(svg->output,
                   "<rect x=\"%.10g\" y=\"%.10g\" width=\"11\" height=\"11\" fill=\"%s\"/><text x=\"%.10g\" y=\"%.10g\">%s</text>", x,
                   y - 10, color, x + 16, y, kinds[i].label);
        x += 32 + 7.0 * (double)strlen(kinds[i].label);
    }
    xml_puts(svg->output, "</g>\n");
}

static bool svg_has_legend(const struct svg *svg) {
    return svg->options->palette == FLAMEGRAPH_KIND && !svg->layout->graph->differential;
}

static double svg_top(const struct svg *svg) {
    int lines = (svg->options->subtitle != NULL) + svg->layout->graph->differential + svg_has_legend(svg);
    return HEADER + lines * HEADER_LINE + (lines > 1 ? 4 : 0);
}

static void svg_put_heading(const struct svg *svg) {
    struct xml_output *output = svg->output;
    const struct flamegraph_options *options = svg->options;
    double y = 47;
    xml_printf(output, "<text id=\"title\" x=\"%d\" y=\"28\" font-size=\"17\">", LAYOUT_MARGIN);
    svg_put_element(output, "", options->title, "</text>\n");
    if (options->subtitle) {
        xml_printf(output, "<text id=\"subtitle\" x=\"%d\" y=\"%.10g\" font-size=\"12\">", LAYOUT_MARGIN, y);
        svg_put_element(output, "", options->subtitle, "</text>\n");
        y += HEADER_LINE + 2;
    }
    if (svg->layout->graph->differential)
        svg_put_difference(svg, y);
    if (svg_has_legend(svg))
        svg_put_legend(svg, y);
    xml_printf(output, "<text id=\"details\" x=\"%d\" y=\"%.10g\" font-size=\"12\"> </text>\n", LAYOUT_MARGIN, svg->height - 12);
}

/* What the static picture leaves out is said in it. */
static void svg_put_footnote(const struct svg *svg) {
    const struct layout *layout = svg->layout;
    uint64_t nodes = layout->graph->nodes.count, hidden = layout->kept - MIN(layout->drawn, layout->kept);
    char text[160], *to = text;
    if (hidden) {
        to = xml_number_grouped(to, (double)hidden);
        to = XML_COPY(to, " frames are too narrow to show at this scale");
    }
    if (nodes > layout->kept && layout->min_kept > 0) {
        if (hidden)
            to = XML_COPY(to, "; ");
        to = xml_number_grouped(to, (double)(nodes - layout->kept));
        to = XML_COPY(to, " narrower ones were left out");
    }
    xml_printf(svg->output, "<text id=\"matched\" x=\"%.10g\" y=\"%.10g\" text-anchor=\"end\" font-size=\"12\">%.*s</text>\n",
               svg->options->width - LAYOUT_MARGIN, svg->height - 12, (int)(to - text), text);
}

/* What the script needs to know beside the tree. */
static void svg_put_settings(const struct svg *svg) {
    const struct flamegraph_options *options = svg->options;
    const struct flamegraph *graph = svg->layout->graph;
    xml_puts(svg->output, "<metadata id=\"settings\"");
    xml_put_attribute(svg->output, "data-count-name", options->count_name);
    xml_put_attribute(svg->output, "data-name-type", options->name_type);
    xml_printf(svg->output, " data-total=\"%.17g\" data-scale=\"%d\" data-factor=\"%.17g\"", svg->layout->all, graph->fractional ? 1000 : 1,
               options->factor);
    xml_printf(svg->output, " data-icicle=\"%d\" data-differential=\"%d\" data-negate=\"%d\"", options->icicle, graph->differential,
               options->negate);
    xml_printf(svg->output, " data-frame-height=\"%.10g\" data-character=\"%.10g\" data-top=\"%.10g\" data-dropped=\"%llu\"/>\n",
               options->frame_height, options->font_size * options->font_width, svg->top,
               (unsigned long long)(graph->nodes.count - svg->layout->kept));
}

/* The styles that names of the graph have, for the script. */
static void svg_put_styles(const struct svg *svg) {
    const struct strings *names = &svg->layout->graph->names;
    for (size_t i = 0; svg->colors->styles && i < names->entries.count; i++) {
        const struct flamegraph_name_style *style = svg->colors->styles[i];
        if (!style)
            continue;
        xml_puts(svg->output, "<metadata class=\"style\"");
        xml_put_attribute(svg->output, "data-name", style->name);
        if (style->title)
            xml_put_attribute(svg->output, "data-title", style->title);
        if (style->href && xml_link_is_safe(style->href))
            xml_put_attribute(svg->output, "data-href", style->href);
        if (style->class)
            xml_put_attribute(svg->output, "data-class", style->class);
        xml_puts(svg->output, "/>\n");
    }
}

static int svg_put(const struct svg *svg) {
    svg_open(svg->output, svg->options, svg->height);
    svg_put_heading(svg);
    svg_put_footnote(svg);
    int r = frames_put(svg);
    svg_put_settings(svg);
    svg_put_styles(svg);
    if (r == 0)
        r = data_put(svg->output, svg->layout, svg->colors->by_name);
    xml_puts(svg->output, "<script><![CDATA[\n");
    xml_puts(svg->output, asset_script);
    xml_puts(svg->output, "]]></script>\n</svg>\n");
    return r;
}

struct flamegraph_options flamegraph_defaults(void) {
    return (struct flamegraph_options){
        .title = "Flame Graph",
        .count_name = "samples",
        .name_type = "Function:",
        .font_size = 12,
        .font_width = 0.6,
        .frame_height = 16,
        .width = 1200,
        .min_width = 0.25,
        .factor = 1,
        .max_nodes = 2000000,
    };
}

static bool svg_in_range(double value, double least, double most) {
    return value >= least && value <= most; /* false for NaN */
}

static bool svg_options_are_sane(const struct flamegraph_options *o) {
    return svg_in_range(o->width, 50, 1e5) && svg_in_range(o->frame_height, 2, 1000) && svg_in_range(o->font_size, 1, 500) &&
           svg_in_range(o->font_width, 0.1, 10) && svg_in_range(o->min_width, 0, 1e5) && svg_in_range(o->factor, 1e-15, 1e15) &&
           svg_in_range(o->total, 0, 1e300) && o->palette < FLAMEGRAPH_PALETTE_COUNT;
}

int flamegraph_render(struct flamegraph *graph, const struct flamegraph_options *options, flamegraph_write *write, void *context,
                      struct flamegraph_drawn *ret_drawn) {
    struct xml_output output = {.write = write, .context = context};
    struct layout layout = {0};
    struct colors colors = {0};
    if (!svg_options_are_sane(options))
        return -EINVAL;
    int r = colors_make(graph, options, &colors);
    if (r == 0)
        r = layout_make(graph, options, &layout);
    if (r == 0) {
        struct svg svg = {.output = &output, .options = options, .layout = &layout, .colors = &colors};
        svg.px = (options->width - 2 * LAYOUT_MARGIN) / layout.all;
        svg.top = svg_top(&svg);
        svg.height = svg.top + layout.drawn_depth * options->frame_height + FOOTER;
        r = svg_put(&svg);
        int written = xml_finish(&output);
        r = r < 0 ? r : written;
    }
    if (r == 0 && ret_drawn)
        *ret_drawn = (struct flamegraph_drawn){.frames = layout.drawn, .kept = layout.kept, .pruned = graph->nodes.count - layout.kept};
    layout_free(&layout);
    colors_free(&colors);
    return r;
}

int flamegraph_render_error(const struct flamegraph_options *options, const char *message, flamegraph_write *write, void *context) {
    struct xml_output output = {.write = write, .context = context};
    svg_open(&output, options, 100);
    xml_printf(&output, "<text id=\"title\" x=\"%.10g\" y=\"55\" text-anchor=\"middle\" font-size=\"17\">", options->width / 2);
    svg_put_element(&output, "", message, "</text>\n</svg>\n");
    return xml_finish(&output);
}
