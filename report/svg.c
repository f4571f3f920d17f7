/* SPDX-License-Identifier: MIT */
#include "report/svg.h"

#include <errno.h>
#include <string.h>

#include "flamegraph/flamegraph.h"
#include "report/text.h"

static int append(void *context, const void *data, size_t length) {
    struct buffer *out = context;
    buffer_put(out, data, length);
    return out->failed ? -ENOMEM : 0;
}

/* One line that fits above the picture: control bytes and broken UTF-8 are for text.h, length is ours. */
static void put_title(const struct recording *r, const struct report_options *options, struct buffer *title) {
    enum { TITLE_MAX = 100 };
    const char *command = recording_fact(r, "command");
    const char *text = options->title ? options->title : command ? command : options->input;
    size_t length = strlen(text);
    text_put(title, TEXT_TERMINAL, text, MIN(length, (size_t)TITLE_MAX));
    buffer_printf(title, "%s", length > TITLE_MAX ? "..." : "");
    buffer_put_u8(title, 0);
}

int svg_write(const struct recording *r, const struct report_options *options, const struct recording_event *event,
              const struct buffer *folded, struct buffer *out) {
    struct buffer title = {0}, subtitle = {0};
    struct flamegraph *graph = NULL;
    struct flamegraph_options drawing = flamegraph_defaults();
    drawing.count_name = options->by_weight ? event->unit : "samples";
    put_title(r, options, &title);
    int error = flamegraph_new(0, &graph);
    if (error == 0 && folded->length)
        error = flamegraph_push_folded(graph, (const char *)folded->data, folded->length);
    if (error == 0) {
        buffer_printf(&subtitle, "%.0f %s of %s", flamegraph_count(graph).total, drawing.count_name, event->name);
        buffer_put_u8(&subtitle, 0);
    }
    if (error == 0 && (title.failed || subtitle.failed))
        error = -ENOMEM;
    if (error == 0) {
        drawing.title = (const char *)title.data;
        drawing.subtitle = (const char *)subtitle.data;
        drawing.palette = FLAMEGRAPH_KIND;
        drawing.hash = true; /* the same function has the same colour in every picture */
        drawing.icicle = options->icicle;
        error = flamegraph_render(graph, &drawing, append, out, NULL);
    }
    if (error == -ENODATA)
        error = flamegraph_render_error(&drawing, "no samples", append, out);
    if (graph)
        flamegraph_free(graph);
    buffer_free(&title);
    buffer_free(&subtitle);
    return error;
}
