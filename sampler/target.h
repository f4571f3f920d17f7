/* SPDX-License-Identifier: MIT */
/*
 * The started process from its exec to its end: whether it runs, how it ended, and stopping together with it.
 *
 * Ctrl-Z stops the target (or not: an editor may take its time, a daemon ignores it). When it has stopped for the terminal's sake, we stop
 * too, so that the shell sees its job stopped; `fg` continues the whole process group. A target stopped by SIGSTOP, which is somebody
 * else's doing, does not stop us.
 */
#pragma once

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct target {
    pid_t pid;
    struct rusage before; /* of children that this process had under another name, before it was executed as cprof-record */
    bool wait_all;        /* for all its descendants too */
    bool is_ended;        /* the process itself */
    bool is_over;         /* nothing to wait for any more */
    int status;           /* of wait(2), once it has ended */
    struct rusage usage;  /* of it and of all it waited for; with wait_all, of every descendant */
};

/* Before launch_go. With `wait_all`, orphans among the descendants become our children (PR_SET_CHILD_SUBREAPER). */
int target_init(struct target *target, pid_t pid, bool wait_all);

/* On SIGCHLD: looks what became of it. May stop the recorder itself, and returns when it is continued. */
void target_look(struct target *target);

/* Sends a signal to the process unless it has ended. */
void target_signal(const struct target *target, int signal);
