/* SPDX-License-Identifier: MIT */
#include "sampler/perf-ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RECORD_MAX = 65536 }; /* a header's length field has 16 bits */

int perf_ring_over(struct perf_ring *ring, struct perf_event_mmap_page *page, const uint8_t *data, size_t size) {
    uint8_t *wrapped = malloc(2 * (size_t)RECORD_MAX);
    if (!wrapped)
        return -ENOMEM;
    *ring = (struct perf_ring){.page = page, .data = data, .size = size, .wrapped = {wrapped, wrapped + RECORD_MAX}};
    return 0;
}

void perf_ring_forget(struct perf_ring *ring) {
    free(ring->wrapped[0]);
    *ring = (struct perf_ring){0};
}

int perf_ring_map(struct perf_ring *ring, int fd, size_t size) {
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, page_size + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    int error = perf_ring_over(ring, memory, (const uint8_t *)memory + page_size, size);
    if (error < 0)
        munmap(memory, page_size + size);
    return error;
}

void perf_ring_unmap(struct perf_ring *ring) {
    if (ring->page)
        munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->size);
    perf_ring_forget(ring);
}

void perf_ring_refresh(struct perf_ring *ring) {
    /* Acquire: the records before the head are whole. Pairs with the write barrier before the kernel's store of data_head
     * (perf_output_put_handle in kernel/events/ring_buffer.c). */
    ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

static const uint8_t *record_at(struct perf_ring *ring, uint64_t position, size_t length) {
    uint64_t offset = position & (ring->size - 1);
    if (offset + length <= ring->size)
        return ring->data + offset;
    uint8_t *copy = ring->wrapped[ring->turn];
    ring->turn ^= 1;
    size_t first = (size_t)(ring->size - offset);
    memcpy(copy, ring->data + offset, first);
    memcpy(copy + first, ring->data, length - first);
    return copy;
}

const uint8_t *perf_ring_next(struct perf_ring *ring, size_t *ret_length, bool *ret_broken) {
    *ret_broken = false;
    if (ring->at == ring->head)
        return NULL;
    struct perf_event_header header;
    memcpy(&header, ring->data + (ring->at & (ring->size - 1)), sizeof header); /* 8 bytes at a multiple of 8 never wrap */
    if (header.size < sizeof header || header.size % 8 != 0 || header.size > ring->head - ring->at) {
        ring->at = ring->head;
        *ret_broken = true;
        return NULL;
    }
    const uint8_t *record = record_at(ring, ring->at, header.size);
    ring->at += header.size;
    *ret_length = header.size;
    return record;
}

void perf_ring_release(struct perf_ring *ring, uint64_t until) {
    /* Release: our reads of the records are done before the kernel may overwrite them. Pairs with the control dependency on data_tail in
     * __perf_output_begin. */
    __atomic_store_n(&ring->page->data_tail, until, __ATOMIC_RELEASE);
}
