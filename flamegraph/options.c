/* SPDX-License-Identifier: MIT */
#include "flamegraph/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

enum option_id {
    OPTION_TITLE = 256,
    OPTION_SUBTITLE,
    OPTION_WIDTH,
    OPTION_HEIGHT,
    OPTION_MINWIDTH,
    OPTION_FONTTYPE,
    OPTION_FONTSIZE,
    OPTION_FONTWIDTH,
    OPTION_COUNTNAME,
    OPTION_NAMETYPE,
    OPTION_COLORS,
    OPTION_BGCOLORS,
    OPTION_HASH,
    OPTION_RANDOM,
    OPTION_CP,
    OPTION_REVERSE,
    OPTION_ICICLE,
    OPTION_FLAMECHART,
    OPTION_NEGATE,
    OPTION_NOTES,
    OPTION_NAMEATTR,
    OPTION_TOTAL,
    OPTION_FACTOR,
    OPTION_ENCODING,
    OPTION_MAX_FRAMES,
    OPTION_VERSION,
};

static const struct option option_table[] = {
    {"title", required_argument, NULL, OPTION_TITLE},
    {"subtitle", required_argument, NULL, OPTION_SUBTITLE},
    {"width", required_argument, NULL, OPTION_WIDTH},
    {"height", required_argument, NULL, OPTION_HEIGHT},
    {"minwidth", required_argument, NULL, OPTION_MINWIDTH},
    {"fonttype", required_argument, NULL, OPTION_FONTTYPE},
    {"fontsize", required_argument, NULL, OPTION_FONTSIZE},
    {"fontwidth", required_argument, NULL, OPTION_FONTWIDTH},
    {"countname", required_argument, NULL, OPTION_COUNTNAME},
    {"nametype", required_argument, NULL, OPTION_NAMETYPE},
    {"colors", required_argument, NULL, OPTION_COLORS},
    {"colours", required_argument, NULL, OPTION_COLORS},
    {"color", required_argument, NULL, OPTION_COLORS},
    {"bgcolors", required_argument, NULL, OPTION_BGCOLORS},
    {"bgcolours", required_argument, NULL, OPTION_BGCOLORS},
    {"hash", no_argument, NULL, OPTION_HASH},
    {"random", no_argument, NULL, OPTION_RANDOM},
    {"cp", no_argument, NULL, OPTION_CP},
    {"reverse", no_argument, NULL, OPTION_REVERSE},
    {"inverted", no_argument, NULL, OPTION_ICICLE},
    {"icicle", no_argument, NULL, OPTION_ICICLE},
    {"flamechart", no_argument, NULL, OPTION_FLAMECHART},
    {"negate", no_argument, NULL, OPTION_NEGATE},
    {"notes", required_argument, NULL, OPTION_NOTES},
    {"nameattr", required_argument, NULL, OPTION_NAMEATTR},
    {"total", required_argument, NULL, OPTION_TOTAL},
    {"factor", required_argument, NULL, OPTION_FACTOR},
    {"encoding", required_argument, NULL, OPTION_ENCODING},
    {"max-frames", required_argument, NULL, OPTION_MAX_FRAMES},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static const char usage_text[] =
    "Usage: cprof-flamegraph [options] [folded...] > graph.svg\n"
    "Draws folded stacks (\"main;foo;bar 12\" lines) as an interactive flame graph.\n"
    "\n"
    "  -o, --output FILE   write there (default: stdout)\n"
    "      --title TEXT    --subtitle TEXT    --notes TEXT (a comment in the file)\n"
    "      --icicle        root at the top (also --inverted)\n"
    "      --reverse       merge stacks from the leaf\n"
    "      --flamechart    keep the order of the stacks, merge neighbours only\n"
    "      --colors NAME   hot (default), mem, io, wakeup, chain, java, js, perl, red, green, blue, aqua, yellow,\n"
    "                      purple, orange, kind (user, kernel, JIT, inlined), module (binary or namespace)\n"
    "      --bgcolors NAME yellow, blue, green, grey or #rrggbb (default: light or dark, as the viewer prefers)\n"
    "      --hash          names that begin alike get colours alike    --cp  keep colours in palette.map\n"
    "      --width PX      of the picture, 1200    --height PX  of a frame, 16\n"
    "      --minwidth W    px, or percent as in 0.5%: draw no narrower frame at rest, 0.25\n"
    "      --max-frames N  keep so many frames for zooming, 2000000; 0: all\n"
    "      --fonttype F    --fontsize PX    --fontwidth RATIO\n"
    "      --countname T   what is counted, samples    --nametype T  what a frame is, Function:\n"
    "      --total N       what 100 % is    --factor F  multiply the counts shown\n"
    "      --negate        swap red and blue in a differential graph (lines with two counts)\n"
    "      --nameattr FILE title, href and class of frames, by name\n"
    "      --help          --version\n";

static bool option_number(const char *name, const char *text, double least, double most, double *ret) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !(value >= least && value <= most)) {
        fprintf(stderr, "cprof-flamegraph: --%s wants a number from %g to %g, not \"%s\"\n", name, least, most, text);
        return false;
    }
    *ret = value;
    return true;
}

static bool option_min_width(const char *text, struct flamegraph_options *graph) {
    char number[64];
    size_t length = strlen(text);
    graph->min_width_percent = length && text[length - 1] == '%';
    length -= graph->min_width_percent;
    if (length >= sizeof number)
        length = sizeof number - 1;
    memcpy(number, text, length);
    number[length] = '\0';
    return option_number("minwidth", number, 0, graph->min_width_percent ? 100 : 1e5, &graph->min_width);
}

static bool option_colors(const char *text, struct flamegraph_options *graph) {
    if (flamegraph_palette_parse(text, &graph->palette) == 0)
        return true;
    fprintf(stderr, "cprof-flamegraph: unknown palette \"%s\"; there are", text);
    for (unsigned i = 0; i < FLAMEGRAPH_PALETTE_COUNT; i++)
        fprintf(stderr, " %s", flamegraph_palette_name((enum flamegraph_palette)i));
    fprintf(stderr, "\n");
    return false;
}

static bool option_background(const char *text, struct flamegraph_options *graph) {
    graph->background = text;
    bool named = !strcmp(text, "yellow") || !strcmp(text, "blue") || !strcmp(text, "green") || !strcmp(text, "grey");
    if (named || (text[0] == '#' && strlen(text) == 7 && strspn(text + 1, "0123456789abcdefABCDEF") == 6))
        return true;
    fprintf(stderr, "cprof-flamegraph: --bgcolors wants yellow, blue, green, grey or #rrggbb, not \"%s\"\n", text);
    return false;
}

static bool option_take(int id, const char *value, struct program_options *options) {
    struct flamegraph_options *graph = &options->graph;
    double number;
    switch (id) {
    case OPTION_TITLE:
        graph->title = value;
        return true;
    case OPTION_SUBTITLE:
        graph->subtitle = value;
        return true;
    case OPTION_WIDTH:
        return option_number("width", value, 50, 1e5, &graph->width);
    case OPTION_HEIGHT:
        return option_number("height", value, 2, 1000, &graph->frame_height);
    case OPTION_MINWIDTH:
        return option_min_width(value, graph);
    case OPTION_FONTTYPE:
        graph->font = value;
        return true;
    case OPTION_FONTSIZE:
        return option_number("fontsize", value, 1, 500, &graph->font_size);
    case OPTION_FONTWIDTH:
        return option_number("fontwidth", value, 0.1, 10, &graph->font_width);
    case OPTION_COUNTNAME:
        graph->count_name = value;
        return true;
    case OPTION_NAMETYPE:
        graph->name_type = value;
        return true;
    case OPTION_COLORS:
        return option_colors(value, graph);
    case OPTION_BGCOLORS:
        return option_background(value, graph);
    case OPTION_HASH:
        graph->hash = true;
        return true;
    case OPTION_CP:
        options->consistent_palette = true;
        return true;
    case OPTION_REVERSE:
        options->flags |= FLAMEGRAPH_REVERSE;
        return true;
    case OPTION_ICICLE:
        graph->icicle = true;
        return true;
    case OPTION_FLAMECHART:
        options->flags |= FLAMEGRAPH_CHART;
        return true;
    case OPTION_NEGATE:
        graph->negate = true;
        return true;
    case OPTION_NOTES:
        graph->notes = value;
        return true;
    case OPTION_NAMEATTR:
        options->name_attributes = value;
        return true;
    case OPTION_TOTAL:
        return option_number("total", value, 0, 1e300, &graph->total);
    case OPTION_FACTOR:
        return option_number("factor", value, 1e-15, 1e15, &graph->factor);
    case OPTION_MAX_FRAMES:
        if (!option_number("max-frames", value, 0, 4e9, &number))
            return false;
        graph->max_nodes = (uint64_t)number;
        return true;
    case 'o':
        options->output = value;
        return true;
    case OPTION_RANDOM:   /* colours are a function of the name: as good as random, and the same next time */
    case OPTION_ENCODING: /* what is not UTF-8 is replaced, so the output is UTF-8 whatever the input was */
        return true;
    default:
        return false;
    }
}

enum program_next options_parse(int argc, char **argv, struct program_options *ret) {
    struct program_options options = {.graph = flamegraph_defaults()};
    options.graph.title = NULL;
    for (;;) {
        /* long_only: flamegraph.pl takes -title as well as --title */
        int id = getopt_long_only(argc, argv, "o:h", option_table, NULL);
        if (id == -1)
            break;
        if (id == 'h' || id == OPTION_VERSION) {
            fputs(id == 'h' ? usage_text : "cprof-flamegraph " CPROF_VERSION "\n", stdout);
            return PROGRAM_DONE;
        }
        if (id == '?' || !option_take(id, optarg, &options)) {
            fprintf(stderr, "Try 'cprof-flamegraph --help'.\n");
            return PROGRAM_USAGE;
        }
    }
    options.inputs = argv + optind;
    if (!options.graph.title)
        options.graph.title = options.flags & FLAMEGRAPH_CHART ? "Flame Chart" : options.graph.icicle ? "Icicle Graph" : "Flame Graph";
    *ret = options;
    return PROGRAM_RUN;
}

void options_free(struct program_options *options) {
    vec_free(&options->styles);
    strings_free(&options->texts);
}
