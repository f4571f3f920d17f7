/* SPDX-License-Identifier: MIT */
/*
 * What the agents count in the header that all of them share. Any target can write there: a figure is believed as far as it has moved no
 * faster than threads can come and signals can be sent, and told from those moves alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"

struct signal_figure {
    uint32_t seen; /* as it stood */
    uint64_t told;
};

struct signal_figures {
    struct signal_figure unarmed, in_turn, adopted, reinstalled, late;
};

/* After `passed` ns. False: somebody scribbles; what has moved too far is not believed. */
bool signal_figures_refresh(struct signal_figures *figures, const struct agent_shared *shared, uint64_t passed);
