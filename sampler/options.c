/* SPDX-License-Identifier: MIT */
#include "sampler/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "sampler/engine.h"
#include "sampler/message.h"
#include "sampler/perf-event.h"

enum {
    OPTION_STACK_SIZE = 256,
    OPTION_NO_INHERIT,
    OPTION_ENGINE,
    OPTION_SIGNAL_CLOCK,
    OPTION_WAIT_ALL,
    OPTION_FROM,
    OPTION_SYMFS,
    OPTION_HELP,
    OPTION_VERSION
};

enum { HZ_DEFAULT = 997, HZ_MAX = 100000, STACK_MIN = 256 };

static const char help[] =
    "Usage: cprof-record [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "  or:  cprof-record --from PERF.DATA [--symfs DIR] [-o FILE]\n"
    "Runs COMMAND and records where its time goes, with all its threads and children; or imports what perf has recorded.\n"
    "\n"
    "  -F, --frequency HZ    samples a second of CPU time (default 997; 0: none, scopes alone)\n"
    "  -o, --output FILE     the recording (default cprof.data; an old one becomes FILE.old)\n"
    "  -e, --event EVENT     what to sample by (default cpu-clock; -e list names them)\n"
    "      --engine NAME     how: perf (the kernel's events), signal (from inside, where perf is not allowed), or auto (default)\n"
    "      --signal-clock CLOCK  what calls the signal engine: monotonic (timers), cpu (the thread's clock, at ticks), or auto (default)\n"
    "      --stack-size N    bytes of stack copied with a sample (default 65528, the most)\n"
    "      --no-inherit      record the threads of COMMAND, but not its child processes\n"
    "      --wait-all        go on until every descendant has ended, not only COMMAND\n"
    "      --from FILE       import a perf.data (\"-\": from standard input) instead of running a command\n"
    "      --symfs DIR       with --from: look for the binaries and debug files below DIR\n"
    "  -q, --quiet           say nothing but errors\n"
    "  -v, --verbose         say more at the end\n"
    "      --help            this text\n"
    "      --version         the version\n"
    "\n"
    "The exit status is COMMAND's own; 125 if cprof-record itself fails, 126 if COMMAND cannot be executed, 127 if it is not found.\n";

static const struct option long_options[] = {
    {"frequency", required_argument, NULL, 'F'},
    {"output", required_argument, NULL, 'o'},
    {"event", required_argument, NULL, 'e'},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"signal-clock", required_argument, NULL, OPTION_SIGNAL_CLOCK},
    {"stack-size", required_argument, NULL, OPTION_STACK_SIZE},
    {"no-inherit", no_argument, NULL, OPTION_NO_INHERIT},
    {"wait-all", no_argument, NULL, OPTION_WAIT_ALL},
    {"from", required_argument, NULL, OPTION_FROM},
    {"symfs", required_argument, NULL, OPTION_SYMFS},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* A whole decimal number in [min, max]. */
static bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret) {
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

static enum options_result list_events(void) {
    const struct perf_event_kind *kind;
    for (size_t i = 0; (kind = perf_event_at(i)); i++)
        printf("%-24s%s%s\n", kind->name, kind->clock, kind->is_untested ? " (needs a PMU; untested)" : "");
    return fflush(stdout) == 0 ? OPTIONS_DONE : OPTIONS_BAD;
}

/* The index of `argument` among three names. */
static bool take_name(const char *option, const char *argument, const char *const names[3], unsigned *ret) {
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(argument, names[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    message("%s %s: not one of %s, %s, %s", option, argument, names[0], names[1], names[2]);
    return false;
}

static bool take_engine(const char *argument, struct options *options) {
    static const char *const names[3] = {[ENGINE_AUTO] = "auto", [ENGINE_PERF] = "perf", [ENGINE_SIGNAL] = "signal"};
    unsigned index = 0;
    bool is_taken = take_name("--engine", argument, names, &index);
    options->engine = (enum engine_choice)index;
    return is_taken;
}

static bool take_signal_clock(const char *argument, struct options *options) {
    static const char *const names[3] = {[SIGNAL_CLOCK_AUTO] = "auto", [SIGNAL_CLOCK_MONOTONIC] = "monotonic", [SIGNAL_CLOCK_CPU] = "cpu"};
    unsigned index = 0;
    bool is_taken = take_name("--signal-clock", argument, names, &index);
    options->signal_clock = (enum signal_clock_choice)index;
    return is_taken;
}

static bool take_option(int option, const char *argument, struct options *options) {
    unsigned long number;
    switch (option) {
    case 'F':
        if (!parse_number(argument, 0, HZ_MAX, &number)) {
            message("-F %s: not a rate from 0 to %d samples a second", argument, HZ_MAX);
            return false;
        }
        options->hz = (unsigned)number;
        return true;
    case OPTION_STACK_SIZE:
        if (!parse_number(argument, STACK_MIN, ENGINE_STACK_MAX, &number) || number % 8) {
            message("--stack-size %s: not a multiple of 8 from %d to %d", argument, STACK_MIN, ENGINE_STACK_MAX);
            return false;
        }
        options->stack_size = (uint32_t)number;
        return true;
    case OPTION_ENGINE:
        return take_engine(argument, options);
    case OPTION_SIGNAL_CLOCK:
        return take_signal_clock(argument, options);
    case 'o':
        options->output = argument;
        return true;
    case 'e':
        options->event = argument;
        return true;
    case OPTION_NO_INHERIT:
        options->inherit = false;
        return true;
    case OPTION_WAIT_ALL:
        options->wait_all = true;
        return true;
    case OPTION_FROM:
        options->from = argument;
        return true;
    case OPTION_SYMFS:
        options->symfs = argument;
        return true;
    case 'q':
        options->quiet = true;
        return true;
    case 'v':
        options->verbose = true;
        return true;
    default: /* getopt has said what is wrong */
        return false;
    }
}

enum options_result options_parse(int argc, char **argv, struct options *ret) {
    struct options options = {.hz = HZ_DEFAULT, .output = "cprof.data", .event = "cpu-clock", .inherit = true, .symfs = ""};
    int option;
    optind = 0; /* glibc: start anew, with "+" */
    while ((option = getopt_long(argc, argv, "+F:o:e:qv", long_options, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? OPTIONS_BAD : OPTIONS_DONE;
        if (option == OPTION_VERSION)
            return puts("cprof-record " CPROF_VERSION) < 0 || fflush(stdout) != 0 ? OPTIONS_BAD : OPTIONS_DONE;
        if (!take_option(option, optarg, &options))
            return OPTIONS_BAD;
    }
    options.command = argv + optind;
    if (strcmp(options.event, "list") == 0)
        return list_events();
    if (!perf_event_find(options.event)) {
        message("-e %s: no such event; cprof-record -e list names them", options.event);
        return OPTIONS_BAD;
    }
    if (!*options.output) {
        message("-o: the name of the recording is empty");
        return OPTIONS_BAD;
    }
    if (!options.from && *options.symfs) {
        message("--symfs goes with --from");
        return OPTIONS_BAD;
    }
    if (options.from && *options.command) {
        message("--from imports what was recorded: it takes no command");
        return OPTIONS_BAD;
    }
    if (!options.from && !*options.command) {
        message("no command to run; cprof-record --help says how");
        return OPTIONS_BAD;
    }
    *ret = options;
    return OPTIONS_RUN;
}
