/* SPDX-License-Identifier: MIT */
/* A ring full of whatever the fuzzer likes, through the source, as the pipeline reads it: byte 0 is the role, the rest the ring. */
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/perf-source.h"

static volatile uint64_t sink; /* what was read is used */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RING = 4096 };

/* Reads everything the event points to, so that a sanitizer sees a pointer that leads astray. */
static uint64_t touch(const struct raw_event *event) {
    uint64_t sum = event->time;
    if (event->type == RAW_SAMPLE) {
        for (uint32_t i = 0; i < event->sample.stack_length; i++)
            sum += event->sample.stack[i];
        for (uint32_t i = 0; i < event->sample.kernel_chain_length; i++)
            sum += event->sample.kernel_chain[i];
    } else if (event->type == RAW_MAPPING) {
        sum += strlen(event->mapping.path);
    } else if (event->type == RAW_TASK && event->task.comm) {
        sum += strlen(event->task.comm);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct perf_event_mmap_page page;
    if (size < 1)
        return 0;
    struct perf_source source = {0};
    struct exact_cpu exact;
    struct perf_layout layout = perf_layout_live((enum perf_role)(data[0] % 3), data[0] & 4);
    layout.fixed_weight = data[0] & 8;
    data++;
    size--;
    uint8_t *ring = aligned_alloc(8, RING);
    if (!ring || perf_ring_over(&source.ring, &page, ring, RING) < 0)
        abort();
    exact_cpu_init(&exact, 2);
    perf_source_init(&source, &layout, &exact);
    page.data_head = page.data_tail = 0;
    while (size >= 8) { /* in portions, so that records wrap */
        size_t portion = size < RING ? size & ~(size_t)7 : RING - 64;
        for (size_t i = 0; i < portion; i++)
            ring[(page.data_head + i) % RING] = data[i];
        page.data_head += portion;
        data += portion;
        size -= portion;
        source.base.refresh(&source.base);
        uint64_t time;
        while (source.base.peek(&source.base, &time)) {
            struct raw_event event;
            source.base.next(&source.base, &event);
            sink += touch(&event);
        }
        source.base.release(&source.base);
    }
    perf_ring_forget(&source.ring);
    exact_cpu_free(&exact);
    free(ring);
    return 0;
}
