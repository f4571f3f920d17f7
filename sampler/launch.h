/* SPDX-License-Identifier: MIT */
/*
 * Starts the target in two steps: forked and waiting, then executed, so that events can be opened on it in between.
 *
 *     recorder                      child
 *     launch_fork      ------->     waits on a pipe
 *     (opens events)
 *     launch_go     --variables-->    execvp
 *                      <--EOF--     (the descriptor closes on exec: it runs)
 *                      <--errno-    (it does not)
 *
 * Variables come as "NAME=VALUE" with NUL, after a byte that says go, at once or not at all (at most PIPE_BUF).
 * The child is forked before the recorder changes anything about itself (limits, priority, dispositions), and inherits nothing but the two
 * pipes, which close on exec. If the recorder dies before launch_go, the child leaves without having run anything.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct launch {
    pid_t pid;
    int go;     /* we write */
    int status; /* we read */
};

/* Whether execvp would find something to execute: 0, or -errno as it would fail (-ENOENT, -EACCES, ...). */
int launch_find(const char *command);

/* `mask` is the signal mask the target gets. */
int launch_fork(char *const argv[], const sigset_t *mask, struct launch *ret);

/* `environment` is put into the target's: "NAME=VALUE", NULL at the end; or NULL. 0: it runs; > 0: the errno of its exec, and the child is
 * gone; < 0: ours. Closes the pipes. */
int launch_go(struct launch *launch, const char *const *environment);

/* Ends the child without running anything. */
void launch_cancel(struct launch *launch);

/* The exit status shells give a failed exec: 127 not found, 126 found but not executable. */
int launch_exit_status(int exec_errno);
