/* SPDX-License-Identifier: MIT */
/* What goes in comes out: every table, epochs, weights, and a file that is read while it grows. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording/recording.h"
#include "tests/check.h"
#include "tests/unit/recording/specimen.h"

TEST(an_empty_recording_is_complete) {
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(specimen_path(), &w), 0);
    uint64_t size = 0;
    CHECK_EQ(recording_close(w, &size), 0);
    struct stat st;
    CHECK_EQ(stat(specimen_path(), &st), 0);
    CHECK_EQ(st.st_size, size);
    CHECK_EQ(st.st_mode & 0777, 0600);
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK(r->is_complete);
    CHECK_EQ(r->sample_count, 0);
    CHECK_EQ(r->good_size, size);
    CHECK_EQ(r->nodes.count, STACK_END_COUNT);
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    CHECK(!recording_next(r, &cursor, &sample));
    recording_cursor_free(&cursor);
    recording_free(r);
}

TEST(every_table_comes_back) {
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(specimen_path(), &w), 0);
    specimen_write(w);
    CHECK_EQ(recording_close(w, NULL), 0);
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(r->is_complete);
    specimen_check(r);
    CHECK(!r->events.items[0].is_at_ticks && r->events.items[1].is_at_ticks); /* younger than the golden recordings */
    recording_free(r);
}

TEST(what_was_flushed_is_readable_while_the_file_grows) {
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(specimen_path(), &w), 0);
    specimen_write(w);
    CHECK_EQ(recording_flush(w), 0);
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(!r->is_complete);
    specimen_check(r);

    uint64_t before = r->sample_count;
    recording_add_sample(w, &(struct recording_sample){.time = 99, .weight = {5}});
    recording_set_counter(w, "ring full", 12);
    CHECK_EQ(recording_flush(w), 0);
    struct recording *grown = NULL;
    CHECK_EQ(recording_open(specimen_path(), &grown, NULL), 0);
    CHECK_EQ(grown->sample_count, before + 1);
    CHECK_EQ(grown->first_time, 99);
    CHECK_EQ(recording_counter(grown, "ring full"), 12);
    CHECK_EQ(specimen_walk(r), (long long)before);
    recording_free(grown);
    recording_free(r);
    CHECK_EQ(recording_close(w, NULL), 0);
}

/* Weights that are not the period, several weights, several lanes, tasks that change, times that go back. */
TEST(samples_come_back_in_order_whatever_they_hold) {
    enum { COUNT = 50000 };
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(specimen_path(), &w), 0);
    const struct recording_event events[] = {
        {"cpu-clock", "ns", "on-CPU time", "perf", "", 1003009, false, 1, false, false},
        {"alloc", "bytes", "allocation", "agent", "", 524288, true, 2, true, false},
        {"cycles", "events", "CPU cycles", "perf", "", 0, false, 1, true, false},
    };
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(recording_add_event(w, &events[i]), i);
    recording_add_process(w, &(struct recording_process){.pid = 1, .parent = RECORDING_NONE});
    recording_add_thread(w, &(struct recording_thread){.pid = 1, .tid = 1});
    for (size_t i = 0; i < 300; i++)
        CHECK_EQ(recording_add_task(w, &(struct recording_task){.comm = "t"}), i);
    recording_add_frame(w, &(struct recording_frame){.kind = FRAME_UNKNOWN, .module = RECORDING_NONE, .address = 1});
    for (uint32_t i = 0; i < 100000; i++)
        CHECK_EQ(recording_add_node(w, &(struct recording_node){.parent = i % 7, .frame = 0}), STACK_END_COUNT + i);

    struct recording_sample *wanted = calloc(COUNT, sizeof *wanted);
    CHECK(wanted);
    uint64_t state = 7;
    for (size_t i = 0; i < COUNT; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t random = state >> 20;
        wanted[i] = (struct recording_sample){.time = i % 1000 ? i * 1003009 + random % 5000 : random << 30,
                                              .task = (uint32_t)(random % 11 ? 3 : random % 300),
                                              .node = (uint32_t)(random % 5 ? random % 200 : random % 100000),
                                              .event = (uint16_t)(random % 3),
                                              .cpu = (uint16_t)(random % 13 ? random % 64 : 65535)};
        const struct recording_event *e = &events[wanted[i].event];
        for (size_t k = 0; k < e->weights; k++)
            wanted[i].weight[k] = random % 3 ? e->period : random << k;
        recording_add_sample(w, &wanted[i]);
    }
    CHECK_EQ(recording_close(w, NULL), 0);

    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK_EQ(r->sample_count, COUNT);
    struct recording_cursor cursor = {0};
    struct recording_sample got;
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(recording_next(r, &cursor, &got));
        CHECK_EQ(got.time, wanted[i].time);
        CHECK_EQ(got.task, wanted[i].task);
        CHECK_EQ(got.node, wanted[i].node);
        CHECK_EQ(got.event, wanted[i].event);
        CHECK_EQ(got.cpu, wanted[i].cpu);
        for (size_t k = 0; k < events[got.event].weights; k++)
            CHECK_EQ(got.weight[k], wanted[i].weight[k]);
    }
    CHECK(!recording_next(r, &cursor, &got));
    recording_cursor_free(&cursor);
    recording_free(r);
    free(wanted);
}

TEST(what_is_no_recording_is_refused) {
    struct recording *r = NULL;
    CHECK_EQ(recording_open("/nonexistent/x", &r, NULL), -ENOENT);
    CHECK_EQ(recording_open("/", &r, NULL), -EISDIR);
    CHECK_EQ(recording_open("/dev/null", &r, NULL), -ESPIPE);
    CHECK_EQ(recording_open("/proc/self/exe", &r, NULL), -ENOEXEC);
    CHECK(!r);
}

TEST_MAIN()
