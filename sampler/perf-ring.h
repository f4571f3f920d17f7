/* SPDX-License-Identifier: MIT */
/*
 * The reading half of one perf ring buffer: the kernel writes, one thread of ours reads, nothing is copied.
 *
 *     tail            at              head                 positions only grow; position p is byte p & (size - 1)
 *     |... taken .....|... to read ...|... not looked at
 *
 *     tail <= at <= head <= the kernel's head,   kernel's head - tail <= size
 *
 * Records are multiples of 8 bytes long and so is everything here; a record that wraps round the end is the only one copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_event_mmap_page;

struct perf_ring {
    struct perf_event_mmap_page *page;
    const uint8_t *data;
    uint64_t size; /* a power of two */
    uint64_t head, at;
    uint8_t *wrapped[2]; /* taken in turns, so that the last record outlives a look at the next one */
    unsigned turn;
};

/* Maps the ring of `fd`; `size` bytes of data, a power of two and at least a page. -EPERM: over the budget of locked memory. */
int perf_ring_map(struct perf_ring *ring, int fd, size_t size);
void perf_ring_unmap(struct perf_ring *ring);

/* A ring over memory of the caller's, who frees it: for tests. -ENOMEM. Undone by perf_ring_forget. */
int perf_ring_over(struct perf_ring *ring, struct perf_event_mmap_page *page, const uint8_t *data, size_t size);
void perf_ring_forget(struct perf_ring *ring);

/* Looks how far the kernel has come. */
void perf_ring_refresh(struct perf_ring *ring);

/* Steps over the next record and returns it, or NULL if there is none before the head last seen. *ret_broken: the length in the header is
 * impossible, no record can be found any more, and everything up to the head was skipped. */
const uint8_t *perf_ring_next(struct perf_ring *ring, size_t *ret_length, bool *ret_broken);

/* Gives back everything before position `until`. */
void perf_ring_release(struct perf_ring *ring, uint64_t until);
