/* SPDX-License-Identifier: MIT */
/*
 * Folded text through the parser and the renderer. The first byte chooses the options; what is checked beside memory is what must hold for
 * any input: weights are neither lost nor made up, and the text is the same tree however it is cut into pieces.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flamegraph/flamegraph.h"

static int count_bytes(void *context, const void *data, size_t length) {
    (void)data;
    *(size_t *)context += length;
    return 0;
}

static void require(bool condition) {
    if (!condition)
        abort();
}

static struct flamegraph *graph_of(unsigned flags, const char *text, size_t length, size_t cut) {
    struct flamegraph *graph = NULL;
    require(flamegraph_new(flags, &graph) == 0);
    require(flamegraph_push_folded(graph, text, cut) == 0);
    require(flamegraph_push_folded(graph, text + cut, length - cut) == 0);
    return graph;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    unsigned choice = data[0];
    const char *text = (const char *)data + 1;
    size_t length = size - 1;
    const char *newline = memrchr(text, '\n', length);
    size_t cut = newline ? (size_t)(newline + 1 - text) : 0;
    struct flamegraph *graph = graph_of(choice & 3, text, length, 0), *pieces = graph_of(choice & 3, text, length, cut);
    struct flamegraph_counts counts = flamegraph_count(graph), again = flamegraph_count(pieces);
    require(counts.nodes == again.nodes && counts.names == again.names && counts.stacks == again.stacks && counts.ignored == again.ignored);

    struct flamegraph_options options = flamegraph_defaults();
    options.icicle = choice & 4;
    options.min_width = choice & 8 ? 0 : 0.25;
    options.max_nodes = choice & 16 ? 5 : 0;
    options.palette = (enum flamegraph_palette)((choice >> 5) * 5 % FLAMEGRAPH_PALETTE_COUNT);
    size_t written = 0, written_again = 0;
    struct flamegraph_drawn drawn = {0};
    int r = flamegraph_render(graph, &options, count_bytes, &written, &drawn);
    require(r == (counts.total > 0 ? 0 : -ENODATA));
    require(flamegraph_render(pieces, &options, count_bytes, &written_again, NULL) == r && written == written_again);
    require(drawn.kept + drawn.pruned <= counts.nodes && drawn.frames <= counts.nodes);
    flamegraph_free(graph);
    flamegraph_free(pieces);
    return 0;
}
