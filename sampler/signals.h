/* SPDX-License-Identifier: MIT */
/*
 * What the recorder does with its signals. All of them are blocked and read from a descriptor, so that no handler runs and a disposition
 * that was "ignore" at the start (nohup, background jobs of a script) stays so for the target too.
 *
 * Ctrl-C and Ctrl-\ of a terminal reach the target by themselves, for it is in our process group; what a process sent to us alone
 * (kill, timeout, a supervisor) is passed on.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

enum signal_action {
    SIGNAL_NOTHING,
    SIGNAL_PASS_ON,     /* send it to the target */
    SIGNAL_KILL_TARGET, /* the second Ctrl-C */
    SIGNAL_CHILD,       /* a child changed state */
};

struct signals {
    int fd;
    sigset_t original; /* the mask we were started with, which is the target's */
    unsigned interrupts;
};

/* Blocks the signals for this thread and those it makes later. Call before the fork. */
int signals_block(struct signals *signals);
void signals_close(struct signals *signals);

/* The next pending signal and what to do about it; false: none. */
bool signals_next(struct signals *signals, int *ret_signal, enum signal_action *ret_action);

/* The policy alone. `interrupts` counts the Ctrl-C so far. */
enum signal_action signal_decide(const struct signalfd_siginfo *info, unsigned *interrupts);

/* Dies of `signal` as the target did, leaving no core file of ours; returns only if the signal does not kill. */
void signals_die_of(int signal);
