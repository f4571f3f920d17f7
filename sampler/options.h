/* SPDX-License-Identifier: MIT */
/* The command line of cprof-record. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sampler/engine.h"

enum engine_choice { ENGINE_AUTO, ENGINE_PERF, ENGINE_SIGNAL };

struct options {
    enum engine_choice engine;
    enum signal_clock_choice signal_clock;
    unsigned hz;
    const char *output;
    const char *event;
    uint32_t stack_size; /* 0: the default */
    bool inherit;
    bool wait_all;
    bool quiet;
    bool verbose;
    const char *from;  /* a perf.data to import, "-" for stdin; NULL: run the command */
    const char *symfs; /* put before the paths of an import's modules */
    char **command;    /* NULL-terminated */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_DONE, /* --help or --version was answered on stdout */
    OPTIONS_BAD,  /* said on stderr */
};

enum options_result options_parse(int argc, char **argv, struct options *ret);
