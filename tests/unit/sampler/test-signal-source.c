/* SPDX-License-Identifier: MIT */
/* The agent's ring writer against the recorder's reader, in memory of the test's own: order, wrapping, losses, two threads, scribble. */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/private.h"
#include "base/clock.h"
#include "sampler/signal-source.h"
#include "tests/check.h"
#include "tests/unit/sampler/ring.h"

static struct agent_thread *writer;

static bool take_ring(void) {
    writer = agent_ring_take(77);
    return writer != NULL;
}

enum { PERIOD_NS = 1000000 };

static bool write_sample(struct agent_thread *self, uint64_t weight, uint32_t stack, uint64_t time) {
    struct agent_sample *sample = agent_ring_begin(self, AGENT_SAMPLE, sizeof *sample + stack, time);
    if (!sample)
        return false;
    sample->weight = weight;
    sample->stack_length = stack;
    memset(sample + 1, (int)(weight & 0xff), stack);
    sample->registers[7] = 0x7000;
    sample->registers[16] = weight;
    agent_ring_commit(self);
    return true;
}

static void refresh(void) {
    source.base.refresh(&source.base);
}

static bool next(struct raw_event *ret) {
    uint64_t time;
    if (!source.base.peek(&source.base, &time))
        return false;
    source.base.next(&source.base, ret);
    return ret->time == time;
}

static void release(void) {
    source.base.release(&source.base);
}

TEST(a_sample_comes_as_it_was_written) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    uint64_t time = clock_now();
    CHECK(take_ring());
    CHECK(write_sample(writer, 0x1234, 100, time));
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.type, RAW_SAMPLE);
    CHECK_EQ(event.time, time);
    CHECK_EQ(event.sample.pid, getpid());
    CHECK_EQ(event.sample.tid, 77);
    CHECK_EQ(event.sample.event, 3);
    CHECK_EQ(event.sample.weight, 0x1234);
    CHECK_EQ(event.sample.registers[16], 0x1234);
    CHECK_EQ(event.sample.stack_base, 0x7000);
    CHECK_EQ(event.sample.stack_length, 100);
    CHECK_EQ(event.sample.stack[99], 0x34);
    CHECK_EQ(event.sample.stack_limit, RAW_STACK_LIMITED);
    CHECK(!next(&event));
    ring_tear_down();
}

TEST(rings_are_merged_by_time) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    uint64_t time = clock_now();
    CHECK(take_ring());
    struct agent_thread *other = agent_ring_take(78);
    CHECK(other && writer->ring != other->ring);
    CHECK(write_sample(writer, 1, 0, time + 1) && write_sample(writer, 4, 0, time + 4));
    CHECK(write_sample(other, 2, 0, time + 2) && write_sample(other, 3, 0, time + 3));
    while (clock_now() < time + 10) /* no record is of the future */
        ;
    refresh();
    for (uint64_t i = 1; i <= 4; i++) {
        CHECK(next(&event));
        CHECK_EQ(event.sample.weight, i);
    }
    CHECK(!next(&event));
    ring_tear_down();
}

TEST(a_full_ring_drops_counts_and_goes_on) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    uint64_t written = 0, read = 0;
    CHECK(take_ring());
    while (write_sample(writer, written, 16384, clock_now()))
        written++;
    CHECK(!write_sample(writer, 0, 16384, clock_now()));
    CHECK(written >= (AGENT_RING_BYTES - AGENT_SIDEBAND_RESERVE) / 17000);
    CHECK(agent_ring_begin(writer, AGENT_END, sizeof(struct agent_end), clock_now()) != NULL); /* for this there is room */
    agent_ring_commit(writer);
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.type, RAW_LOSS);
    CHECK_EQ(event.loss.kind, RAW_LOSS_SAMPLES);
    CHECK_EQ(event.loss.count, 2);
    for (; read < written; read++) {
        CHECK(next(&event));
        CHECK_EQ(event.type, RAW_SAMPLE);
        CHECK_EQ(event.sample.weight, read);
    }
    CHECK(next(&event));
    CHECK_EQ(event.task.change, RAW_TASK_CPU);
    CHECK(next(&event));
    CHECK_EQ(event.task.change, RAW_TASK_EXIT);
    CHECK(!next(&event));
    CHECK(!write_sample(writer, 0, 16384, clock_now())); /* not given back yet */
    release();
    CHECK(write_sample(writer, 0, 16384, clock_now()));
    ring_tear_down();
}

TEST(an_ended_ring_is_read_to_its_end_and_then_free) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    CHECK(take_ring());
    struct agent_ring *first = writer->ring;
    CHECK(write_sample(writer, 1, 0, clock_now()));
    agent_ring_end(writer);
    CHECK(take_ring());
    CHECK(writer->ring != first);
    refresh();
    CHECK(next(&event));
    release();
    struct agent_thread *other = agent_ring_take(79);
    CHECK(other && other->ring == first);
    CHECK(next(&event)); /* it went without a word: the source says that it is over */
    CHECK_EQ(event.type, RAW_TASK);
    CHECK_EQ(event.task.change, RAW_TASK_EXIT);
    CHECK_EQ(event.task.tid, 77);
    CHECK(write_sample(other, 2, 0, clock_now()));
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.sample.tid, 79);
    ring_tear_down();
}

TEST(a_ring_that_is_read_in_time_stays_small) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    CHECK(take_ring());
    for (uint64_t i = 0; i < 20000; i++) {
        CHECK(write_sample(writer, i, 2000, clock_now()));
        if (i % 10 == 9) {
            refresh();
            for (uint64_t k = i - 9; k <= i; k++) {
                CHECK(next(&event));
                CHECK_EQ(event.type, RAW_SAMPLE);
                CHECK_EQ(event.sample.weight, k);
            }
            release();
        }
    }
    const uint8_t *bytes = agent_ring_bytes(memory, 0);
    for (size_t i = 512 << 10; i < AGENT_RING_BYTES; i++)
        if (bytes[i])
            CHECK_FAIL("byte %zu was written", i);
    ring_tear_down();
}

TEST(there_are_only_so_many_rings) {
    ring_set_up(PERIOD_NS);
    for (uint32_t i = 0; i < AGENT_RINGS; i++)
        CHECK(agent_ring_take(i + 1));
    CHECK(!agent_ring_take(1));
    ring_tear_down();
}

TEST(the_ring_of_a_thread_of_this_process_is_not_taken_again) {
    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    atomic_store(&writer->ring->owner, 0); /* scribble */
    struct agent_thread *other = agent_ring_take(78);
    CHECK(other && other != writer);
    CHECK(write_sample(writer, 1, 1000, clock_now()));
    ring_tear_down();
}

static void *write_many(void *argument) {
    const uint64_t *count = argument;
    for (uint64_t i = 0; i < *count;) {
        if (write_sample(writer, i, (uint32_t)(i * 7919 % 9000), clock_now()))
            i++;
        else
            sched_yield();
    }
    agent_ring_end(writer);
    return NULL;
}

static void *start_writer(void *argument) {
    return take_ring() ? write_many(argument) : NULL;
}

TEST(two_threads_many_laps) {
    ring_set_up(PERIOD_NS);
    uint64_t count = 4000, read = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, start_writer, &count), 0);
    while (read < count) {
        struct raw_event event;
        refresh();
        while (next(&event)) {
            if (event.type == RAW_LOSS) /* tried when it was full */
                continue;
            CHECK_EQ(event.type, RAW_SAMPLE);
            CHECK_EQ(event.sample.weight, read);
            CHECK_EQ(event.sample.stack_length, read * 7919 % 9000);
            for (uint32_t i = 0; i < event.sample.stack_length; i++)
                if (event.sample.stack[i] != (read & 0xff))
                    CHECK_FAIL("byte %u of sample %" PRIu64, i, read);
            read++;
        }
        release();
        sched_yield();
    }
    pthread_join(thread, NULL);
    ring_tear_down();
}

/* ---- scribble -------------------------------------------------------------------------------------------------------------------- */

/* The source must say that something is wrong, and find the next good record. */
static void recovers(void) {
    struct raw_event event;
    bool is_said = false;
    refresh();
    while (next(&event))
        is_said = is_said || (event.type == RAW_LOSS && event.loss.kind == RAW_LOSS_MALFORMED);
    release();
    CHECK(is_said);
    writer->position = atomic_load(&writer->ring->tail);
    CHECK(write_sample(writer, 5, 10, clock_now()));
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.type, RAW_SAMPLE);
    CHECK_EQ(event.sample.weight, 5);
}

static struct agent_record *first_record(void) {
    return (struct agent_record *)(void *)agent_ring_bytes(memory, 0);
}

static void scribble_size(uint32_t size) {
    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    CHECK(write_sample(writer, 1, 1000, clock_now()));
    first_record()->size = size;
    recovers();
    ring_tear_down();
}

TEST(record_sizes_that_make_no_sense) {
    static const uint32_t sizes[] = {0, 1, 15, 24, 0x7ffffff0, UINT32_MAX, AGENT_RING_BYTES, AGENT_RECORD_MAX + 16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        scribble_size(sizes[i]);
}

TEST(a_head_that_makes_no_sense) {
    static const uint64_t heads[] = {3 * AGENT_RING_BYTES, UINT64_MAX - 15, UINT64_MAX};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ring_set_up(PERIOD_NS);
        CHECK(take_ring());
        atomic_store(&writer->ring->head, heads[i]);
        recovers();
        ring_tear_down();
    }
}

TEST(losses_that_nobody_had_the_time_for) {
    static const uint64_t counts[] = {UINT32_MAX, 1 << 20, UINT64_MAX, UINT64_C(1) << 40};
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    CHECK(take_ring());
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        atomic_store(&writer->ring->lost_samples, counts[i]);
        refresh();
        CHECK(next(&event));
        CHECK_EQ(event.type, RAW_LOSS);
        CHECK_EQ(event.loss.kind, RAW_LOSS_MALFORMED);
        CHECK_EQ(event.loss.count, 1);
        CHECK(!next(&event));
    }
    atomic_fetch_add(&writer->ring->lost_samples, 3); /* and then on from there */
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.loss.kind, RAW_LOSS_SAMPLES);
    CHECK_EQ(event.loss.count, 3);
    ring_tear_down();
}

TEST(figures_that_nobody_had_the_time_for) {
    static struct agent_shared shared;
    struct signal_figures figures = {0};
    atomic_store(&shared.unarmed, 5000);
    atomic_store(&shared.late, 7);
    CHECK(signal_figures_refresh(&figures, &shared, 1000000));
    atomic_store(&shared.unarmed, 4990); /* ten have got rings */
    CHECK(signal_figures_refresh(&figures, &shared, 0));
    CHECK_EQ(figures.unarmed.told, 4990);
    atomic_store(&shared.unarmed, 3423049147u);
    atomic_store(&shared.late, 8);
    CHECK(!signal_figures_refresh(&figures, &shared, 1000000));
    CHECK_EQ(figures.unarmed.told, 4990);
    CHECK_EQ(figures.late.told, 8);
    atomic_store(&shared.unarmed, 3423049148u);
    CHECK(signal_figures_refresh(&figures, &shared, 0));
    CHECK_EQ(figures.unarmed.told, 4991);
}

TEST(contents_that_make_no_sense) {
    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    struct agent_sample *sample = (struct agent_sample *)(void *)first_record();
    CHECK(write_sample(writer, 1, 1000, clock_now()));
    sample->stack_length = UINT32_MAX;
    recovers();
    ring_tear_down();

    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    CHECK(write_sample(writer, 1, 1000, clock_now()));
    first_record()->type = 999;
    recovers();
    ring_tear_down();

    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    CHECK(write_sample(writer, 1, 1000, clock_now()));
    first_record()->pid = 0;
    recovers();
    ring_tear_down();

    ring_set_up(PERIOD_NS);
    CHECK(take_ring());
    struct agent_mapping *mapping = agent_ring_begin(writer, AGENT_MAPPING, sizeof *mapping + 16, clock_now());
    CHECK(mapping != NULL);
    mapping->start = 1;
    mapping->end = 2;
    memset(mapping + 1, 'x', 16); /* no NUL */
    agent_ring_commit(writer);
    recovers();
    ring_tear_down();
}

TEST(a_time_that_makes_no_sense_is_now) {
    ring_set_up(PERIOD_NS);
    struct raw_event event;
    CHECK(take_ring());
    CHECK(write_sample(writer, 1, 0, UINT64_MAX - 5) && write_sample(writer, 1, 0, 0));
    refresh();
    CHECK(next(&event));
    CHECK_EQ(event.time, source.now);
    CHECK(next(&event));
    CHECK_EQ(event.time, source.start);
    ring_tear_down();
}

TEST_MAIN()
