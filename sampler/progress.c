/* SPDX-License-Identifier: MIT */
#include "sampler/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/message.h"

enum { QUIET_NS = 1000000000, BETWEEN_NS = 100000000 };

void progress_begin(struct progress *progress, struct signals *signals, bool is_quiet) {
    *progress =
        (struct progress){.signals = signals, .is_quiet = is_quiet, .is_terminal = isatty(STDERR_FILENO) == 1, .started = clock_now()};
}

static void show(struct progress *progress, size_t done, size_t total) {
    unsigned percent = total ? (unsigned)(100 * done / total) : 100;
    if (progress->is_terminal)
        (void)dprintf(STDERR_FILENO, "\rcprof-record: looking up names: %u %% (Ctrl-C leaves the rest without)", percent);
    else if (!progress->has_spoken)
        message("looking up the names of %zu addresses (an interrupt leaves the rest without)", total);
    progress->has_spoken = true;
}

static bool is_interrupted(struct progress *progress) {
    int signal;
    enum signal_action action;
    while (signals_next(progress->signals, &signal, &action))
        if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT)
            return true;
    return false;
}

bool progress_report(void *context, size_t done, size_t total) {
    struct progress *progress = context;
    if (is_interrupted(progress))
        return false;
    uint64_t now = clock_now();
    if (!progress->is_quiet && now - progress->started >= QUIET_NS && now - progress->shown >= BETWEEN_NS) {
        progress->shown = now;
        show(progress, done, total);
    }
    return true;
}

void progress_end(struct progress *progress) {
    if (progress->is_terminal && progress->has_spoken)
        (void)dprintf(STDERR_FILENO, "\r\033[K");
}
