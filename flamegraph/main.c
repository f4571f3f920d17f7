/* SPDX-License-Identifier: MIT */
/* cprof-flamegraph: folded stacks to an interactive SVG. See docs/man/cprof-flamegraph.1. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/macros.h"
#include "flamegraph/options.h"

enum { CHUNK = 512 * 1024, EXIT_NO_DATA = 2, LOW_COUNT = 100 };

static int complain(const char *what, int error) {
    fprintf(stderr, "cprof-flamegraph: %s: %s\n", what, strerror(-error));
    return EXIT_FAILURE;
}

/* Feeds the graph from the descriptor in pieces of whole lines; only a line's beginning is carried from one piece to the next. */
static int read_folded(struct flamegraph *graph, int fd, struct buffer *buffer) {
    buffer_clear(buffer);
    for (;;) {
        uint8_t *room = buffer_reserve(buffer, CHUNK);
        if (!room)
            return -ENOMEM;
        ssize_t got = read(fd, room, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return flamegraph_push_folded(graph, (const char *)buffer->data, buffer->length);
        buffer->length += (size_t)got;
        const uint8_t *newline = memrchr(room, '\n', (size_t)got);
        if (!newline)
            continue;
        size_t lines = (size_t)(newline + 1 - buffer->data), rest = buffer->length - lines;
        int r = flamegraph_push_folded(graph, (const char *)buffer->data, lines);
        if (r < 0)
            return r;
        memmove(buffer->data, newline + 1, rest);
        buffer->length = rest;
    }
}

static int read_inputs(struct flamegraph *graph, char **inputs) {
    struct buffer buffer = {0};
    static char standard_input[] = "-";
    char *just_stdin[] = {standard_input, NULL};
    int status = EXIT_SUCCESS;
    for (char **input = *inputs ? inputs : just_stdin; *input && status == EXIT_SUCCESS; input++) {
        bool is_stdin = !strcmp(*input, "-");
        _cleanup_close_ int opened = is_stdin ? -1 : open(*input, O_RDONLY | O_CLOEXEC);
        int r = !is_stdin && opened < 0 ? -errno : read_folded(graph, is_stdin ? STDIN_FILENO : opened, &buffer);
        if (r < 0)
            status = complain(is_stdin ? "standard input" : *input, r);
    }
    buffer_free(&buffer);
    return status;
}

static int write_all(void *context, const void *data, size_t length) {
    const char *at = data;
    while (length) {
        ssize_t written = write(*(int *)context, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

static int load_styles(struct program_options *options) {
    int r = options->consistent_palette ? options_read_palette_map(options) : 0;
    if (r < 0)
        return complain(PALETTE_MAP, r);
    size_t unknown = 0;
    if (options->name_attributes && (r = options_read_name_attributes(options, &unknown)) < 0)
        return complain(options->name_attributes, r);
    if (unknown)
        fprintf(stderr, "cprof-flamegraph: %s: %zu attributes other than title, class and a href without script were left out\n",
                options->name_attributes, unknown);
    return EXIT_SUCCESS;
}

static void report_input(const struct program_options *options, const struct flamegraph_counts *counts) {
    if (counts->ignored)
        fprintf(stderr, "Ignored %" PRIu64 " lines with invalid format\n", counts->ignored);
    if (counts->total > 0 && counts->total < LOW_COUNT && !strcmp(options->graph.count_name, "samples"))
        fprintf(stderr, "Stack count is low (%.10g). Did something go wrong?\n", counts->total);
    if (options->graph.total > 0 && options->graph.total < counts->total)
        fprintf(stderr, "Specified --total %.10g is less than actual total %.10g, so ignored\n", options->graph.total, counts->total);
}

static int draw(struct program_options *options, struct flamegraph *graph) {
    _cleanup_close_ int opened = -1;
    int fd = STDOUT_FILENO;
    if (options->output && strcmp(options->output, "-")) {
        fd = opened = open(options->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
            return complain(options->output, -errno);
    }
    struct flamegraph_drawn drawn;
    int r = flamegraph_render(graph, &options->graph, write_all, &fd, &drawn);
    if (r == -ENODATA) {
        fprintf(stderr, "ERROR: No stack counts found\n");
        flamegraph_render_error(&options->graph, "ERROR: No valid input provided to cprof-flamegraph", write_all, &fd);
        return EXIT_NO_DATA;
    }
    if (r == 0 && opened >= 0 && close(TAKE_FD(opened)) < 0) /* where NFS and quotas tell */
        r = -errno;
    if (r < 0)
        return complain(options->output ? options->output : "standard output", r);
    if (drawn.pruned)
        fprintf(stderr, "cprof-flamegraph: left out the %" PRIu64 " narrowest of %" PRIu64 " frames; --max-frames 0 keeps all\n",
                drawn.pruned, drawn.pruned + drawn.kept);
    if (options->consistent_palette && (r = options_write_palette_map(options, graph)) < 0)
        return complain(PALETTE_MAP, r);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct program_options options = {0};
    switch (options_parse(argc, argv, &options)) {
    case PROGRAM_DONE:
        return EXIT_SUCCESS;
    case PROGRAM_USAGE:
        return EXIT_FAILURE;
    case PROGRAM_RUN:
        break;
    }
    struct flamegraph *graph = NULL;
    int status = load_styles(&options);
    if (status == EXIT_SUCCESS && flamegraph_new(options.flags, &graph) < 0)
        status = complain("starting", -ENOMEM);
    if (status == EXIT_SUCCESS)
        status = read_inputs(graph, options.inputs);
    if (status == EXIT_SUCCESS) {
        struct flamegraph_counts counts = flamegraph_count(graph);
        report_input(&options, &counts);
        status = draw(&options, graph);
    }
    flamegraph_free(graph);
    options_free(&options);
    return status;
}
