/* SPDX-License-Identifier: MIT */
/* What is asked of the kernel, without asking it. */
#include <linux/perf_event.h>

#include "base/macros.h"
#include "sampler/perf-event.h"
#include "tests/check.h"

/* A round leaves in the ring what came since the round before: at a wake-up there is twice the watermark in it. */
TEST(a_ring_of_samples_has_room_left_when_its_reader_is_woken) {
    static const uint32_t stacks[] = {256, 8192, 65528};
    static const unsigned rates[] = {99, 997, 10000};
    const struct perf_features features = {0};
    for (uint32_t size = 128 * 1024; size <= 8 << 20; size *= 2)
        for (size_t i = 0; i < ARRAY_SIZE(stacks); i++)
            for (size_t j = 0; j < ARRAY_SIZE(rates); j++) {
                struct perf_request request = {.kind = perf_event_at(0), .hz = rates[j], .stack_size = stacks[i]};
                struct perf_event_attr attr;
                perf_event_attributes(&request, &features, PERF_ROLE_SAMPLES, size, &attr);
                uint64_t rest = size - 2 * (uint64_t)attr.wakeup_watermark, samples = rest / (stacks[i] + 512);
                CHECK(attr.watermark && attr.wakeup_watermark > 0 && 2 * (uint64_t)attr.wakeup_watermark < size);
                if (rest < size / 2 && samples * 1000 < (uint64_t)rates[j] * 25)
                    CHECK_FAIL("ring of %u bytes, stacks of %u, %u Hz: room for %llu samples", size, stacks[i], rates[j],
                               (unsigned long long)samples);
            }
}

TEST_MAIN()
