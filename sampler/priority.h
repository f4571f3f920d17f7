/* SPDX-License-Identifier: MIT */
#pragma once

/* Puts the calling thread before the programs it watches, where this user may: SCHED_FIFO 1, else nice -10, else in short slices where the
 * kernel knows them, else as it is. The first two are not inherited by threads and children made later. Call after the target was forked.
 * Returns what was got, for people. */
const char *priority_raise(void);

/* Back to an ordinary priority, for work that may take its time. */
void priority_lower(void);
