/* SPDX-License-Identifier: MIT */
#include "report/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

const char options_usage[] =
    "usage: cprof-report [options]\n"
    "\n"
    "Shows a recording of cprof-record: by default a table of functions.\n"
    "\n"
    "  -i, --input FILE       the recording (default: cprof.data)\n"
    "  -o, --output FILE      write there instead of to standard output\n"
    "      --folded           folded stacks, one line a stack, for flamegraph.pl and its kin\n"
    "      --svg              an interactive flame graph: -o FILE.svg, and open it in a browser\n"
    "      --scopes[=REGEX]   the scopes that the program timed itself (cprof.h); with --folded or --svg: as frames\n"
    "      --compare[=REGEX]  their exact times beside what the samples say, and whether the two agree\n"
    "\n"
    "what is shown\n"
    "      --comm LIST        only tasks of these names        lists: a,b,c; options may be repeated\n"
    "      --pid LIST         only these processes\n"
    "      --tid LIST         only these threads\n"
    "      --dso LIST         only samples taken in these modules (name or path)\n"
    "      --event NAME       samples of this event (default: the first that has any)\n"
    "      --in-scope NAME    only samples taken while this scope was open\n"
    "      --slowest PCT      of it only the slowest PCT % of its instances\n"
    "      --inlines          show inlined functions as frames of their own\n"
    "      --full-names       keep parameters, template arguments and suffixes like .part.0\n"
    "\n"
    "the table\n"
    "  -s, --sort KEYS        what a row is: comm,pid,tid,module,function,line; and its order: self, total, samples\n"
    "                         (default: module,function,self)\n"
    "      --percent-limit P  leave out rows whose total is below P %\n"
    "      --percentage MODE  absolute: of all samples of the event (default); relative: of those that pass the filters\n"
    "      --no-header        no lines of '#'\n"
    "\n"
    "scopes\n"
    "  -s, --sort KEY         total, self, calls, primitive, avg, min, p50, p90, p99, max, name, file (and pstats' names)\n"
    "      --top N            at most N rows; 0.N: that share of them\n"
    "      --by-thread        a row for each thread\n"
    "      --callers          what each was entered from\n"
    "      --callees          what was entered from each\n"
    "      --slowest-list     when and where the slowest eight ran\n"
    "\n"
    "folded stacks\n"
    "      --annotate LIST    k: kernel frames end in _[k]; i: inlined ones in _[i]; s: scopes in _[s]\n"
    "      --weight           count the event's unit (nanoseconds, events), not samples\n"
    "      --no-show-ends     no [truncated] and the like in front of stacks that do not reach their root\n"
    "\n"
    "the flame graph\n"
    "      --title TEXT       above the picture (default: the command)\n"
    "      --icicle           root at the top\n"
    "\n"
    "  -h, --help, -V, --version\n";

enum {
    OPT_FOLDED = 256,
    OPT_SVG,
    OPT_TITLE,
    OPT_ICICLE,
    OPT_COMM,
    OPT_PID,
    OPT_TID,
    OPT_DSO,
    OPT_EVENT,
    OPT_INLINES,
    OPT_NO_INLINES,
    OPT_FULL_NAMES,
    OPT_SHORT_NAMES,
    OPT_PERCENT_LIMIT,
    OPT_PERCENTAGE,
    OPT_NO_HEADER,
    OPT_ANNOTATE,
    OPT_WEIGHT,
    OPT_SHOW_ENDS,
    OPT_NO_SHOW_ENDS,
    OPT_SCOPES,
    OPT_COMPARE,
    OPT_IN_SCOPE,
    OPT_SLOWEST,
    OPT_TOP,
    OPT_BY_THREAD,
    OPT_CALLERS,
    OPT_CALLEES,
    OPT_SLOWEST_LIST,
};

static const struct option long_options[] = {
    {"input", required_argument, NULL, 'i'},
    {"output", required_argument, NULL, 'o'},
    {"folded", no_argument, NULL, OPT_FOLDED},
    {"svg", no_argument, NULL, OPT_SVG},
    {"title", required_argument, NULL, OPT_TITLE},
    {"icicle", no_argument, NULL, OPT_ICICLE},
    {"comm", required_argument, NULL, OPT_COMM},
    {"comms", required_argument, NULL, OPT_COMM},
    {"pid", required_argument, NULL, OPT_PID},
    {"tid", required_argument, NULL, OPT_TID},
    {"dso", required_argument, NULL, OPT_DSO},
    {"dsos", required_argument, NULL, OPT_DSO},
    {"event", required_argument, NULL, OPT_EVENT},
    {"inlines", no_argument, NULL, OPT_INLINES},
    {"no-inlines", no_argument, NULL, OPT_NO_INLINES},
    {"full-names", no_argument, NULL, OPT_FULL_NAMES},
    {"short-names", no_argument, NULL, OPT_SHORT_NAMES},
    {"sort", required_argument, NULL, 's'},
    {"percent-limit", required_argument, NULL, OPT_PERCENT_LIMIT},
    {"percentage", required_argument, NULL, OPT_PERCENTAGE},
    {"no-header", no_argument, NULL, OPT_NO_HEADER},
    {"annotate", required_argument, NULL, OPT_ANNOTATE},
    {"weight", no_argument, NULL, OPT_WEIGHT},
    {"show-ends", no_argument, NULL, OPT_SHOW_ENDS},
    {"no-show-ends", no_argument, NULL, OPT_NO_SHOW_ENDS},
    {"scopes", optional_argument, NULL, OPT_SCOPES},
    {"compare", optional_argument, NULL, OPT_COMPARE},
    {"in-scope", required_argument, NULL, OPT_IN_SCOPE},
    {"slowest", required_argument, NULL, OPT_SLOWEST},
    {"top", required_argument, NULL, OPT_TOP},
    {"by-thread", no_argument, NULL, OPT_BY_THREAD},
    {"callers", no_argument, NULL, OPT_CALLERS},
    {"callees", no_argument, NULL, OPT_CALLEES},
    {"slowest-list", no_argument, NULL, OPT_SLOWEST_LIST},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

struct parse {
    struct report_options *options;
    bool has_order, has_scope_order;
    option_strings sorts; /* what they mean depends on the view */
    char *error;
};

static int fail(struct parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct parse *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->error, 256, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int add_string(struct parse *p, void *list, const char *item) {
    option_strings *strings = list;
    const char **new = vec_push(strings);
    if (!new)
        return fail(p, "out of memory");
    *new = item;
    return 0;
}

static int add_id(struct parse *p, void *list, const char *item) {
    option_ids *ids = list;
    char *end;
    errno = 0;
    unsigned long id = strtoul(item, &end, 10);
    if (errno || *end || item[0] < '0' || item[0] > '9' || id > UINT32_MAX)
        return fail(p, "'%.100s' is not a process or thread id", item);
    uint32_t *new = vec_push(ids);
    if (!new)
        return fail(p, "out of memory");
    *new = (uint32_t)id;
    return 0;
}

static int add_key(struct parse *p, void *unused, const char *item) {
    static const struct {
        const char *name;
        unsigned key;
    } keys[] = {
        {"comm", KEY_COMM},         {"pid", KEY_PID},      {"tid", KEY_TID},         {"module", KEY_MODULE}, {"dso", KEY_MODULE},
        {"function", KEY_FUNCTION}, {"sym", KEY_FUNCTION}, {"symbol", KEY_FUNCTION}, {"line", KEY_LINE},     {"srcline", KEY_LINE},
    };
    static const struct {
        const char *name;
        enum report_order order;
    } orders[] = {{"self", ORDER_SELF}, {"overhead", ORDER_SELF}, {"total", ORDER_TOTAL}, {"samples", ORDER_SAMPLES}};
    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!strcmp(item, keys[i].name)) {
            p->options->keys |= keys[i].key;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        if (!strcmp(item, orders[i].name)) {
            if (!p->has_order) /* the first one rules */
                p->options->order = orders[i].order;
            p->has_order = true;
            return 0;
        }
    return fail(p, "cannot sort by '%.100s': there are comm, pid, tid, module, function, line, self, total, samples", item);
}

/* pstats' names beside ours. */
static int add_scope_order(struct parse *p, const char *item) {
    static const struct {
        const char *name;
        enum scope_order order;
    } orders[] = {
        {"total", SCOPE_BY_TOTAL},      {"cumulative", SCOPE_BY_TOTAL},
        {"cumtime", SCOPE_BY_TOTAL},    {"self", SCOPE_BY_SELF},
        {"time", SCOPE_BY_SELF},        {"tottime", SCOPE_BY_SELF},
        {"calls", SCOPE_BY_CALLS},      {"ncalls", SCOPE_BY_CALLS},
        {"avg", SCOPE_BY_AVG},          {"primitive", SCOPE_BY_PRIMITIVE},
        {"pcalls", SCOPE_BY_PRIMITIVE}, {"min", SCOPE_BY_MIN},
        {"p50", SCOPE_BY_P50},          {"p90", SCOPE_BY_P90},
        {"p99", SCOPE_BY_P99},          {"max", SCOPE_BY_MAX},
        {"name", SCOPE_BY_NAME},        {"file", SCOPE_BY_FILE},
        {"filename", SCOPE_BY_FILE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        if (!strcmp(item, orders[i].name)) {
            if (!p->has_scope_order)
                p->options->scope_order = orders[i].order;
            p->has_scope_order = true;
            return 0;
        }
    return fail(p, "cannot sort scopes by '%.100s': there are total, self, calls, primitive, avg, min, p50, p90, p99, max, name, file",
                item);
}

static int add_annotation(struct parse *p, void *unused, const char *item) {
    (void)unused;
    if (!strcmp(item, "k"))
        p->options->annotate_kernel = true;
    else if (!strcmp(item, "i"))
        p->options->annotate_inlined = true;
    else if (!strcmp(item, "s"))
        p->options->annotate_scopes = true;
    else
        return fail(p, "cannot annotate '%.100s': there are k (kernel), i (inlined) and s (scopes)", item);
    return 0;
}

/* Splits a comma list in the options' own storage and gives each item to `add`. */
static int each_item(struct parse *p, const char *list, int (*add)(struct parse *, void *, const char *), void *to) {
    char *copy = p->options->storage + p->options->storage_used;
    size_t size = strlen(list) + 1;
    memcpy(copy, list, size);
    p->options->storage_used += size;
    char *item = strtok_r(copy, ",", &copy);
    if (!item) /* an unset variable: it must not mean "all" */
        return fail(p, "a list is empty");
    for (; item; item = strtok_r(NULL, ",", &copy)) {
        int r = add(p, to, item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_number(struct parse *p, const char *option, const char *text, double most, double *ret) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0 || value > most)
        return fail(p, "%s takes a number from 0 to %.0f, not '%.100s'", option, most, text);
    *ret = value;
    return 0;
}

/* A view of scopes, or their frames in another view. */
static int parse_scopes(struct parse *p, bool is_comparison, const char *match) {
    regex_t regex;
    p->options->scopes = true;
    if (is_comparison)
        p->options->view = VIEW_COMPARE;
    if (!match)
        return 0;
    if (regcomp(&regex, match, REG_EXTENDED | REG_NOSUB) != 0)
        return fail(p, "'%.100s' is no regular expression", match);
    regfree(&regex);
    p->options->scope_match = match;
    return 0;
}

static int parse_percentage(struct parse *p, const char *text) {
    bool is_relative = !strcmp(text, "relative");
    if (!is_relative && strcmp(text, "absolute"))
        return fail(p, "--percentage takes absolute or relative, not '%.100s'", text);
    p->options->is_relative = is_relative;
    return 0;
}

static int parse_one(struct parse *p, int option, const char *argument) {
    struct report_options *o = p->options;
    switch (option) {
    case 'i':
        o->input = argument;
        return strcmp(argument, "-") ? 0 : fail(p, "a recording is read from a file, not from standard input (it is not read in order)");
    case 'o':
        o->output = strcmp(argument, "-") ? argument : NULL;
        return 0;
    case OPT_FOLDED:
        o->view = VIEW_FOLDED;
        return 0;
    case OPT_SVG:
        o->view = VIEW_SVG;
        return 0;
    case OPT_TITLE:
        o->title = argument;
        return 0;
    case OPT_ICICLE:
        o->icicle = true;
        return 0;
    case OPT_COMM:
        return each_item(p, argument, add_string, &o->comms);
    case OPT_DSO:
        return each_item(p, argument, add_string, &o->modules);
    case OPT_PID:
        return each_item(p, argument, add_id, &o->pids);
    case OPT_TID:
        return each_item(p, argument, add_id, &o->tids);
    case OPT_EVENT:
        o->event = argument;
        return 0;
    case OPT_INLINES:
    case OPT_NO_INLINES:
        o->inlines = option == OPT_INLINES;
        return 0;
    case OPT_FULL_NAMES:
    case OPT_SHORT_NAMES:
        o->full_names = option == OPT_FULL_NAMES;
        return 0;
    case 's':
        return add_string(p, &p->sorts, argument);
    case OPT_PERCENT_LIMIT:
        return parse_number(p, "--percent-limit", argument, 100, &o->percent_limit);
    case OPT_PERCENTAGE:
        return parse_percentage(p, argument);
    case OPT_NO_HEADER:
        o->no_header = true;
        return 0;
    case OPT_ANNOTATE:
        return each_item(p, argument, add_annotation, NULL);
    case OPT_WEIGHT:
        o->by_weight = true;
        return 0;
    case OPT_SHOW_ENDS:
    case OPT_NO_SHOW_ENDS:
        o->no_ends = option == OPT_NO_SHOW_ENDS;
        return 0;
    case OPT_SCOPES:
    case OPT_COMPARE:
        return parse_scopes(p, option == OPT_COMPARE, argument);
    case OPT_IN_SCOPE:
        o->in_scope = argument;
        return 0;
    case OPT_SLOWEST:
        return parse_number(p, "--slowest", argument, 100, &o->slowest_percent);
    case OPT_TOP:
        return parse_number(p, "--top", argument, 1e9, &o->top);
    case OPT_BY_THREAD:
        o->by_thread = true;
        return 0;
    case OPT_CALLERS:
        o->callers = true;
        return 0;
    case OPT_CALLEES:
        o->callees = true;
        return 0;
    case OPT_SLOWEST_LIST:
        o->slowest_list = true;
        return 0;
    case 'h':
        o->view = VIEW_HELP;
        return 0;
    case 'V':
        o->view = VIEW_VERSION;
        return 0;
    default:
        return fail(p, "%s %.100s", option == ':' ? "an argument is missing behind" : "unknown option", argument);
    }
}

static int add_sort(struct parse *p, void *unused, const char *item) {
    return p->options->view == VIEW_SCOPES || p->options->view == VIEW_COMPARE ? add_scope_order(p, item) : add_key(p, unused, item);
}

/* What can only be told when all options are known. */
static int finish(struct parse *p) {
    struct report_options *o = p->options;
    int r = 0;
    if (o->scopes && o->view == VIEW_TABLE)
        o->view = VIEW_SCOPES;
    for (size_t i = 0; r == 0 && i < p->sorts.count; i++)
        r = each_item(p, p->sorts.items[i], add_sort, NULL);
    if (!o->keys)
        o->keys = KEY_MODULE | KEY_FUNCTION;
    if (r == 0 && o->slowest_percent > 0 && !o->in_scope)
        return fail(p, "--slowest says which instances of a scope: it needs --in-scope NAME");
    if (r == 0 && o->view != VIEW_SCOPES && (o->callers || o->callees || o->slowest_list))
        return fail(p, "--callers, --callees and --slowest-list belong to --scopes");
    return r;
}

static int parse_all(struct parse *p, int argc, char **argv) {
    int option;
    optind = 0; /* glibc: start anew */
    while ((option = getopt_long(argc, argv, ":i:o:s:hV", long_options, NULL)) != -1) {
        int r = parse_one(p, option, option == ':' || option == '?' ? argv[optind - 1] : optarg);
        if (r < 0 || p->options->view >= VIEW_HELP)
            return r;
    }
    if (optind < argc)
        return fail(p, "unexpected argument '%.100s' (a recording is given with -i)", argv[optind]);
    return finish(p);
}

int options_parse(int argc, char **argv, struct report_options *ret, char ret_error[static 256]) {
    struct report_options options = {.input = "cprof.data"};
    struct parse p = {.options = &options, .error = ret_error};
    size_t size = 1;
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    options.storage = malloc(size);
    int r = options.storage ? parse_all(&p, argc, argv) : fail(&p, "out of memory");
    vec_free(&p.sorts);
    if (r < 0) {
        options_free(&options);
        return r;
    }
    *ret = options;
    return 0;
}

void options_free(struct report_options *options) {
    vec_free(&options->comms);
    vec_free(&options->modules);
    vec_free(&options->pids);
    vec_free(&options->tids);
    free(options->storage);
    options->storage = NULL;
}
