/* SPDX-License-Identifier: MIT */
/* The agent's ring writer and the recorder's reader in one process: its state, and memory between the two. */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/private.h"
#include "sampler/signal-source.h"

struct agent_process agent_process;
struct agent_thread agent_threads[AGENT_RINGS];

static void *memory;
static struct signal_source source;

/* period: as the recorder asks for it, in ns */
static inline void ring_set_up(uint64_t period) {
    memory = mmap(NULL, AGENT_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    ((struct agent_shared *)memory)->period = period;
    if (signal_source_init(&source, memory, 3, 1, 1) < 0)
        abort();
    memset(agent_threads, 0, sizeof agent_threads);
    agent_process = (struct agent_process){.shared = memory, .rings = AGENT_RINGS, .pid = (uint32_t)getpid(), .image = 1};
}

static inline void ring_tear_down(void) {
    signal_source_free(&source);
    munmap(memory, AGENT_MEMORY_BYTES);
}
