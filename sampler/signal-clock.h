/* SPDX-License-Identifier: MIT */
/* What calls the signal engine's handler in the threads of the target, and what that means for the samples. */
#pragma once

#include <stdbool.h>

#include "agent/agent.h"
#include "sampler/engine.h"

struct signal_clock {
    enum agent_clock clock;
    bool is_at_ticks;
    uint32_t usually_late; /* agent.h */
    char source[96];       /* for the event table */
    char blind[256];       /* likewise */
    const char *remark;    /* one line for people; NULL: nothing */
};

/* Tries timers here, for the target may have what we have. 0 or -errno: there is none that could send a signal to a thread. */
int signal_clock_choose(struct signal_clock *ret, enum signal_clock_choice choice, unsigned hz, int signal);
