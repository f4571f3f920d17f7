/* SPDX-License-Identifier: MIT */
/* The recorder's reader of the agents' rings, over memory that holds anything: {u16 ring, u16 offset in units of 16, u32 length, bytes}*.
 * The first page of a ring's is its header. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "sampler/signal-source.h"

static uint64_t touch(const struct raw_event *event) {
    uint64_t sum = event->time;
    if (event->type == RAW_SAMPLE)
        for (uint32_t i = 0; i < event->sample.stack_length; i++)
            sum += event->sample.stack[i];
    if (event->type == RAW_MAPPING)
        sum += strlen(event->mapping.path);
    if (event->type == RAW_TASK && event->task.comm)
        sum += strlen(event->task.comm);
    return sum;
}

static void drain(struct signal_source *source) {
    static volatile uint64_t sink;
    uint64_t time;
    source->base.refresh(&source->base);
    while (source->base.peek(&source->base, &time)) {
        struct raw_event event;
        source->base.next(&source->base, &event);
        sink = sink + touch(&event);
    }
    source->base.release(&source->base);
}

static uint8_t *place(void *memory, uint32_t ring, uint64_t offset, uint64_t *length) {
    enum { HEADER = 4096 };
    if (offset >= HEADER)
        return agent_ring_bytes(memory, ring) + offset - HEADER;
    offset %= AGENT_RING_HEADER_BYTES;
    *length = *length < AGENT_RING_HEADER_BYTES - offset ? *length : AGENT_RING_HEADER_BYTES - offset;
    return (uint8_t *)agent_ring_at(memory, ring) + offset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void *memory;
    struct signal_source source;
    struct bytes b = bytes_of(data, size);
    if (!memory) {
        memory = mmap(NULL, AGENT_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            abort();
    }
    if (signal_source_init(&source, memory, 0, 1, 1) < 0)
        abort();
    atomic_store(&((struct agent_shared *)memory)->rings_used, 4);
    while (bytes_left(&b) >= 8) {
        uint64_t ring = bytes_u16(&b) % 4, offset = (uint64_t)bytes_u16(&b) * 16, length = bytes_u32(&b);
        length = length % 4096 < bytes_left(&b) ? length % 4096 : bytes_left(&b);
        memcpy(place(memory, (uint32_t)ring, offset, &length), bytes_take(&b, length), length);
        drain(&source);
    }
    signal_source_free(&source);
    (void)madvise(memory, AGENT_MEMORY_BYTES, MADV_REMOVE);
    return 0;
}
