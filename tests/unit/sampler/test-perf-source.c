/* SPDX-License-Identifier: MIT */
/* The ring and the source over it, with a page and a writer of the test's own instead of the kernel's. */
#include "records.h"
#include "sampler/perf-source.h"
#include "tests/check.h"

enum { RING = 256 };

struct fixture {
    struct perf_event_mmap_page page;
    _Alignas(8) uint8_t data[RING];
    struct exact_cpu exact;
    struct perf_source source;
};

static struct fixture f;

static void set_up(enum perf_role role) {
    memset(&f, 0, sizeof f);
    struct perf_layout layout = perf_layout_live(role, false);
    exact_cpu_init(&f.exact, 1);
    if (perf_ring_over(&f.source.ring, &f.page, f.data, RING) < 0)
        abort();
    perf_source_init(&f.source, &layout, &f.exact);
}

static void tear_down(void) {
    perf_ring_forget(&f.source.ring);
    exact_cpu_free(&f.exact);
}

/* What the kernel does: copies in at the head, wrapping. */
static void kernel_writes(const struct buffer *b) {
    for (size_t i = 0; i < b->length; i++)
        f.data[(f.page.data_head + i) % RING] = b->data[i];
    f.page.data_head += b->length;
}

static void kernel_writes_fork(uint32_t tid, uint64_t time) {
    struct buffer b = {0};
    record_task(&b, PERF_RECORD_FORK, 1, tid, 1, 1, time);
    kernel_writes(&b);
    buffer_free(&b);
}

static void refresh(void) {
    f.source.base.refresh(&f.source.base);
}

static bool peek(uint64_t *ret_time) {
    return f.source.base.peek(&f.source.base, ret_time);
}

static struct raw_event next(void) {
    struct raw_event event;
    f.source.base.next(&f.source.base, &event);
    return event;
}

TEST(events_come_in_order_round_the_ring_many_times) {
    set_up(PERF_ROLE_SIDEBAND);
    uint64_t time = 0;
    for (uint32_t i = 0; i < 1000; i++) { /* 56 bytes do not divide 256: records wrap at many places */
        kernel_writes_fork(i, i * 10);
        CHECK(!peek(&time)); /* not before refresh */
        refresh();
        CHECK(peek(&time));
        CHECK_EQ(time, i * 10);
        struct raw_event event = next();
        CHECK_EQ(event.task.tid, i);
        CHECK(!peek(&time));
        f.source.base.release(&f.source.base);
        CHECK_EQ(f.page.data_tail, f.page.data_head);
    }
    tear_down();
}

TEST(a_record_peeked_at_but_not_taken_keeps_its_memory) {
    set_up(PERF_ROLE_SIDEBAND);
    kernel_writes_fork(1, 1);
    kernel_writes_fork(2, 2);
    refresh();
    uint64_t time;
    CHECK(peek(&time));
    (void)next();
    CHECK(peek(&time));
    f.source.base.release(&f.source.base);
    CHECK_EQ(f.page.data_tail, 56);
    CHECK_EQ(next().task.tid, 2);
    f.source.base.release(&f.source.base);
    CHECK_EQ(f.page.data_tail, 112);
    tear_down();
}

TEST(an_impossible_length_loses_the_ring_up_to_the_head_and_is_counted) {
    static const uint16_t lengths[] = {0, 4, 9, 64};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        set_up(PERF_ROLE_SIDEBAND);
        kernel_writes_fork(1, 100);
        memcpy(f.data + 6, &lengths[i], 2);
        refresh();
        uint64_t time;
        CHECK(peek(&time));
        struct raw_event event = next();
        CHECK_EQ(event.type, RAW_LOSS);
        CHECK_EQ(event.loss.kind, RAW_LOSS_MALFORMED);
        CHECK(!peek(&time));
        f.source.base.release(&f.source.base);
        kernel_writes_fork(2, 200);
        refresh();
        CHECK(peek(&time));
        CHECK_EQ(next().task.tid, 2);
        tear_down();
    }
}

TEST(times_of_zero_are_heard_but_not_passed_on) {
    set_up(PERF_ROLE_CLOCK);
    struct buffer b = {0};
    record_read(&b, 1, 1, 0, 5);
    record_read(&b, 1, 1, 700, 6);
    kernel_writes(&b);
    refresh();
    uint64_t time;
    CHECK(peek(&time));
    CHECK_EQ(time, 6);
    CHECK_EQ(next().task.cpu_time, 700);
    CHECK(!peek(&time));
    CHECK_EQ(f.exact.told, 700);
    buffer_free(&b);
    tear_down();
}

TEST(losses_are_summed) {
    set_up(PERF_ROLE_SAMPLES);
    struct buffer b = {0};
    record_lost(&b, 3, 1);
    record_lost(&b, 4, 2);
    kernel_writes(&b);
    refresh();
    uint64_t time;
    while (peek(&time))
        (void)next();
    CHECK_EQ(f.source.lost, 7);
    CHECK(f.exact.is_unsure);
    buffer_free(&b);
    tear_down();
}

TEST_MAIN()
