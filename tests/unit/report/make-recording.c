/* SPDX-License-Identifier: MIT */
/* Writes a recording with every kind of hostile name, for tests of the program as a whole: make-recording FILE */
#include <stdio.h>

#include "recording/recording.h"

static const char *const names[] = {"main",        "a;b",        "std::map<int, 3",   "foo 3",       "cr\rlf\n",  "tab\there",
                                    "<>&\"'",      "\xff\xfe",   "\x1b[31mred",       " leading",    "trailing ", " ",
                                    "-",           "--",         "# comment",         "5",           "100.5",     "foo 1.",
                                    "foo",         "foo.part.0", "foo(int)",          "foo-",        "a 1 2",     "\xe2\x80\xa8 9",
                                    "\xc2\xa0 77", "f\x01",      "operator<(A, B) 1", "very; long 2"};
enum { NAMES = sizeof names / sizeof *names, DEEP = 4000 };

static void add_tables(struct recording_writer *w) {
    recording_set(w, "command", "\x1b]0;title\a ./app");
    recording_add_event(w, &(struct recording_event){"cpu-clock", "ns", "on-CPU time", "test", "", 1000000, false, 1, false, false});
    recording_add_module(w, &(struct recording_module){.path = "/usr/bin/app"});
    recording_add_process(w, &(struct recording_process){.pid = 1, .parent = RECORDING_NONE});
    for (uint32_t i = 0; i < NAMES; i++) {
        recording_add_thread(w, &(struct recording_thread){1, i + 1, 0});
        recording_add_task(w, &(struct recording_task){i, 0, names[i], 0});
        recording_add_frame(w, &(struct recording_frame){.class = FRAME_TABLE, .address = i});
        recording_add_symbol(w, &(struct recording_symbol){0, i, 1, &(struct recording_location){.function = names[i]}});
    }
}

static void add_sample(struct recording_writer *w, uint32_t task, uint32_t node) {
    static uint64_t now = 1000000000;
    recording_add_sample(w, &(struct recording_sample){.time = now += 1000000, .task = task, .node = node, .weight = {1000000}});
}

/* Every pair of names under every end, and one stack too deep for a line. */
static void add_samples(struct recording_writer *w) {
    for (uint32_t i = 0; i < NAMES * NAMES; i++) {
        uint32_t outer = recording_add_node(w, &(struct recording_node){i % STACK_END_COUNT, i / NAMES});
        add_sample(w, i % NAMES, recording_add_node(w, &(struct recording_node){outer, i % NAMES}));
        add_sample(w, i / NAMES, outer);
    }
    uint32_t node = STACK_COMPLETE;
    for (uint32_t i = 0; i < DEEP; i++)
        node = recording_add_node(w, &(struct recording_node){node, 26});
    add_sample(w, 0, node);
}

int main(int argc, char **argv) {
    struct recording_writer *w;
    if (argc != 2 || recording_create(argv[1], &w) < 0) {
        fprintf(stderr, "usage: make-recording FILE\n");
        return 2;
    }
    add_tables(w);
    add_samples(w);
    return recording_close(w, NULL) < 0;
}
