/* SPDX-License-Identifier: MIT */
/*
 * When a thread is sampled, and what a sample weighs: the arithmetic, without clocks and timers. Times in ns.
 *
 * Wall time is cut into cells of one period from `origin` on, with one moment drawn uniformly in each; a sample is taken where the thread
 * is on a CPU at that moment. So samples fall uniformly on the time it spends on CPUs, at the rate asked for, however much it waits.
 *
 * A one-shot timer cannot keep to that alone: one that expires while its thread waits for a CPU is delivered where the thread lost its CPU
 * (for threads that wake each other, in the call that woke the other), which says where it waits, not where it works. Such a signal is
 * late, and its thread's CPU clock stood still meanwhile; a signal that is late because the kernel worked for the thread found the clock
 * running.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CELLS_CARRIED_MAX = 16 /* periods of CPU time that are not left without a sample, whatever the clocks say */ };

struct cells {
    uint64_t origin; /* CLOCK_MONOTONIC; 0: not begun */
    uint64_t last;   /* the last cell in which a moment was drawn */
};

/* The next moment. The cell that holds `now` has none yet if the thread was away (it waited or slept) since another cell: its moment is
 * drawn too, and if that has passed it fell into the absence. `first`, `second` are random. */
static inline uint64_t cells_next(struct cells *cells, uint64_t now, uint64_t period, uint64_t first, uint64_t second) {
    if (!cells->origin) {
        cells->origin = now;
        return now + first % period;
    }
    uint64_t cell = (now - cells->origin) / period, moment = cells->origin + cell * period + first % period;
    if (cell > cells->last && moment > now) {
        cells->last = cell;
        return moment;
    }
    cells->last = cell + 1;
    return cells->origin + cells->last * period + second % period;
}

/* Whether the thread was off its CPU when its timer expired, `late` ago: later than `usual`, what the way from a timer to a thread on a
 * CPU takes here, and of the `passed` since the signal before, in which it has used `used`, as much was spent off a CPU. */
static inline bool cells_was_waiting(uint64_t late, uint64_t usual, uint64_t passed, uint64_t used) {
    return late > usual && passed > used && passed - used > late - usual / 2;
}

/*
 * What the first sample of a thread weighs that has used `used` in the `passed` since it began; any other one weighs what was used since
 * the one before. What a thread uses after its last sample is in none, so the first makes up for it.
 *
 * On a CPU all the time: the last sample is half a period from the end on average, and the first as far from the beginning: a period in
 * all. Often off it: cells with a sample are few and far between, and the time to the end is that of a Poisson process, a period, besides
 * what was used until the first. Between the two by the share of the time off a CPU. A thread that lives for less than a period is sampled
 * with probability (life / period), and then weighs a period: programs of many short threads show all their time.
 */
static inline uint64_t cells_first_weight(uint64_t used, uint64_t passed, uint64_t period) {
    enum { SHARES = 1024 };
    uint64_t off = passed > used ? (passed - used) / (passed / SHARES + 1) : 0;
    uint64_t weight = period + used / SHARES * off;
    return weight > used ? weight : used;
}
