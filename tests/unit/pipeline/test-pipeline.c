/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "tests/check.h"
#include "tests/unit/pipeline/fake.h"
#include "tests/unit/pipeline/script.h"

/* A sample's stack as text, root first: "comm|end;name;name;...". */
static const char *folded(const struct recording *r, const struct recording_sample *sample) {
    static char text[4096];
    uint32_t path[256];
    size_t depth = 0;
    uint32_t node = sample->node;
    for (; r->nodes.items[node].frame != RECORDING_NONE; node = r->nodes.items[node].parent)
        path[depth++] = r->nodes.items[node].frame;
    size_t used = (size_t)snprintf(text, sizeof text, "%s|%s", r->tasks.items[sample->task].comm, stack_end_name(node));
    while (depth--) {
        const struct recording_frame *frame = &r->frames.items[path[depth]];
        const char *module = frame->module == RECORDING_NONE ? "?" : r->modules.items[frame->module].path;
        used += (size_t)snprintf(text + used, sizeof text - used, ";%s+%llx%s", module, (unsigned long long)frame->address,
                                 frame->flags & FRAME_FLAG_RETURN ? "r" : "");
    }
    return text;
}

/* The stack of the sample taken at `time`, or "". (Samples that waited are written later than others.) */
static const char *at(const struct recording *r, uint64_t time) {
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    const char *text = "";
    while (recording_next(r, &cursor, &sample))
        if (sample.time == time)
            text = folded(r, &sample);
    recording_cursor_free(&cursor);
    return text;
}

static const uint64_t whole[] = {0x401200, 0x401300, 0};

static void begin_app(struct script *s) {
    script_add(s, task_event(1, RAW_TASK_EXEC, 10, 10, 0, "app"));
    script_add(s, mapping_event(2, 10, 0x401000, 0x1000, "/app"));
    script_add(s, mapping_event(3, 10, 0x7f0000, 0x1000, "/lib"));
}

TEST(events_become_a_recording) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    script_add(s, task_event(4, RAW_TASK_FORK, 10, 11, 10, NULL));
    script_add(s, task_event(5, RAW_TASK_COMM, 10, 11, 0, "worker"));
    script_add(s, sample_event(6, 10, 10, 0x7f0010, whole, 3));
    script_add(s, sample_event(7, 10, 11, 0x7f0020, whole, 1));
    script_add(s, sample_event(8, 10, 10, 0x999999, NULL, 0));
    script_add(s, task_event(9, RAW_TASK_EXIT, 10, 11, 0, NULL));
    script_add(s, cpu_event(10, 10, 11, 5000));
    script_add(s, cpu_event(10, 10, 11, 600));
    script_add(s, loss_event(11, RAW_LOSS_SAMPLES, 3));
    script_add(s, loss_event(11, RAW_LOSS_THROTTLED, 2));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 3);
    CHECK_STR(at(r, 6), "app|complete;/app+300r;/app+200r;/lib+10");
    CHECK_STR(at(r, 8), "app|no unwind rule;?+999999");
    CHECK_STR(at(r, 7), "worker|truncated;/app+200r;/lib+20");

    CHECK_EQ(r->processes.count, 1);
    CHECK_EQ(r->threads.count, 2);
    CHECK_EQ(r->mappings.count, 2);
    CHECK_EQ(r->thread_ends.count, 2);
    CHECK_EQ(r->thread_ends.items[1].exact_cpu, 5600);
    CHECK(r->thread_ends.items[1].is_exited);
    CHECK_EQ(r->thread_ends.items[1].end, 9);
    CHECK(!r->thread_ends.items[0].is_exited);
    CHECK(!r->thread_ends.items[0].has_exact_cpu);

    CHECK_EQ(recording_counter(r, "samples"), 3);
    CHECK_EQ(recording_counter(r, "weight"), 3000);
    CHECK_EQ(recording_counter(r, "samples lost"), 3);
    CHECK_EQ(recording_counter(r, "throttled"), 2);
    CHECK_EQ(recording_counter(r, "stacks: complete"), 1);
    CHECK_EQ(recording_counter(r, "stacks complete and proved"), 1);
    CHECK_EQ(recording_counter(r, "user frames"), 6);
    CHECK_EQ(recording_counter(r, "user frames unknown"), 1);
    CHECK_EQ(recording_counter(r, "frames: table"), 3);
    CHECK_EQ(recording_counter(r, "exact CPU ns"), 5600);

    const struct recording_symbol *symbol = recording_symbol(r, 0, 0x2ff);
    CHECK(symbol != NULL);
    CHECK_STR(symbol->locations[0].function, "f_2ff");
    CHECK(recording_symbol(r, 0, 0x300) == NULL); /* a return address is looked up one byte before */
    stage_end(&stage, r);
}

TEST(a_stack_is_stored_once) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    static const uint64_t other[] = {0x401280, 0x401300, 0};
    for (uint64_t i = 0; i < 300; i++)
        script_add(s, sample_event(10 + i, 10, 10, 0x7f0010 + i % 2, i % 3 ? whole : other, 3));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 300);
    /* 1 root frame, 2 in the middle, 2 innermost; 1 + 2 + 4 nodes */
    CHECK_EQ(r->frames.count, 5);
    CHECK_EQ(r->nodes.count, STACK_END_COUNT + 7);
    CHECK_STR(at(r, 14), "app|complete;/app+300r;/app+200r;/lib+10");
    CHECK_STR(at(r, 19), "app|complete;/app+300r;/app+280r;/lib+11");
    CHECK(fake_memo_hits() > 0);
    stage_end(&stage, r);
}

TEST(epochs_restart_the_ids_and_lose_nothing) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.intern_nodes = 40}));
    struct script *s = &stage.script;
    begin_app(s);
    for (uint64_t i = 0; i < 500; i++)
        script_add(s, sample_event(10 + i, 10, 10, 0x401000 + i % 100, whole, 3));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 500);
    CHECK(recording_counter(r, "intern epochs") > 10);
    CHECK_EQ(recording_counter(r, "user frames"), 1500);
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    for (uint64_t i = 0; recording_next(r, &cursor, &sample); i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "app|complete;/app+300r;/app+200r;/app+%llx", (unsigned long long)((sample.time - 10) % 100));
        CHECK_STR(folded(r, &sample), wanted);
    }
    recording_cursor_free(&cursor);
    CHECK_EQ(r->symbols.count, 102); /* the frames of all epochs are named, once */
    stage_end(&stage, r);
}

TEST(samples_wait_for_their_modules) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    fake_hold_builds(true);
    begin_app(s);
    script_add(s, sample_event(4, 10, 10, 0x7f0010, whole, 3));
    /* Meanwhile another file comes to lie there, and the process becomes another program. */
    script_add(s, mapping_event(5, 10, 0x401000, 0x1000, "/lib"));
    script_add(s, sample_event(6, 10, 10, 0x7f0010, whole, 3));
    script_add(s, task_event(7, RAW_TASK_EXEC, 10, 10, 0, "next"));
    script_add(s, sample_event(8, 10, 10, 0x7f0010, whole, 3));
    script_add(s, task_event(9, RAW_TASK_EXIT, 10, 10, 0, NULL));
    CHECK_EQ(pipeline_round(stage.pipeline, UINT64_MAX), 0);
    CHECK(pipeline_backlog(stage.pipeline) > 0);
    fake_hold_builds(false);
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 3);
    CHECK_STR(at(r, 8), "next|no unwind rule;?+7f0010");
    CHECK_STR(at(r, 4), "app|complete;/app+300r;/app+200r;/lib+10");
    CHECK_STR(at(r, 6), "app|complete;/lib+300r;/lib+200r;/lib+10");
    CHECK_EQ(recording_counter(r, "module not loaded in time"), 0);
    stage_end(&stage, r);
}

TEST(the_oldest_goes_when_the_backlog_is_full) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.backlog_bytes = 2000}));
    struct script *s = &stage.script;
    fake_hold_builds(true);
    begin_app(s);
    for (uint64_t i = 0; i < 20; i++)
        script_add(s, sample_event(10 + i, 10, 10, 0x7f0010, whole, 3));
    CHECK_EQ(pipeline_round(stage.pipeline, UINT64_MAX), 0);
    CHECK(pipeline_backlog(stage.pipeline) <= 2000);
    CHECK(pipeline_backlog(stage.pipeline) > 0);
    fake_hold_builds(false);
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    uint64_t lost = recording_counter(r, "module not loaded in time");
    CHECK(lost > 0);
    CHECK(lost < 20);
    CHECK_EQ(r->sample_count, 20);
    CHECK_EQ(recording_counter(r, "stacks: complete"), 20 - lost);
    CHECK_STR(at(r, 10), "app|tables not loaded in time;/lib+10");
    CHECK_STR(at(r, 29), "app|complete;/app+300r;/app+200r;/lib+10");
    stage_end(&stage, r);
}

TEST(tables_are_built_only_where_a_stack_leads) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    size_t before = fake_builds();
    begin_app(s);
    script_add(s, task_event(4, RAW_TASK_FORK, 20, 20, 10, NULL));
    script_add(s, sample_event(5, 10, 10, 0x401100, whole, 3));
    script_add(s, sample_event(6, 20, 20, 0x401100, whole, 3));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(fake_builds() - before, 1);
    CHECK_EQ(r->processes.count, 2);
    CHECK_EQ(r->processes.items[1].parent, 0);
    CHECK_EQ(r->mappings.count, 2); /* a fork's are not written again */
    stage_end(&stage, r);
}

TEST(modules_that_cannot_be_opened_are_said_to) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    script_add(s, task_event(1, RAW_TASK_EXEC, 10, 10, 0, "app"));
    script_add(s, mapping_event(2, 10, 0x401000, 0x1000, "/gone"));
    script_add(s, mapping_event(3, 10, 0x501000, 0x1000, "/jitted"));
    script_add(s, sample_event(4, 10, 10, 0x401100, whole, 3));
    script_add(s, sample_event(5, 10, 10, 0x501100, NULL, 0));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_STR(at(r, 4), "app|no unwind rule;/gone+100");
    CHECK_STR(at(r, 5), "app|truncated;//anon+501100"); /* the file is a JIT's memory */
    CHECK_EQ(r->modules.items[0].flags, MODULE_NOT_OPENED);
    CHECK_EQ(r->modules.items[1].flags, 0);
    CHECK_EQ(r->modules.items[2].kind, MODULE_JIT);
    CHECK_EQ(recording_counter(r, "modules not opened"), 1);
    CHECK_EQ(recording_counter(r, "user frames unknown"), 1);
    stage_end(&stage, r);
}

TEST(kernel_frames_lie_on_the_inner_side) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    static const uint64_t kernel[] = {0xffffffff81000010, 0xffffffff81000020};
    struct raw_event event = sample_event(4, 10, 10, 0x401100, whole, 3);
    event.sample.kernel_chain = kernel;
    event.sample.kernel_chain_length = 2;
    script_add(s, event);
    event.time = 5;
    event.sample.abi = RAW_ABI_NONE;
    script_add(s, event);
    event.time = 6;
    event.sample.kernel_chain_length = 0;
    script_add(s, event);
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_STR(at(r, 5), "app|kernel only;[kernel]+ffffffff81000020r;[kernel]+ffffffff81000010");
    CHECK_STR(at(r, 6), "app|no stack from the source");
    CHECK_STR(at(r, 4), "app|complete;/app+300r;/app+200r;/app+100;[kernel]+ffffffff81000020r;[kernel]+ffffffff81000010");
    CHECK_EQ(recording_counter(r, "user frames"), 3);
    stage_end(&stage, r);
}

TEST(registers_from_before_exec_say_nothing) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    static const uint64_t kernel[] = {0xffffffff81000010};
    struct raw_event event = sample_event(4, 10, 10, 0x999999, whole, 3);
    event.sample.kernel_chain = kernel;
    event.sample.kernel_chain_length = 1;
    script_add(s, event); /* in execve still */
    event.time = 5;
    event.sample.registers[16] = 0x401100;
    event.sample.stack_length = 0;
    script_add(s, event); /* a pc that both programs have */
    script_add(s, sample_event(6, 10, 10, 0x401100, whole, 3));
    event.time = 7;
    script_add(s, event); /* in a system call of the new program */
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_STR(at(r, 4), "app|kernel only;[kernel]+ffffffff81000010");
    CHECK_STR(at(r, 5), "app|kernel only;[kernel]+ffffffff81000010");
    CHECK_STR(at(r, 7), "app|truncated;/app+100;[kernel]+ffffffff81000010");
    stage_end(&stage, r);
}

TEST(what_is_not_unwound_is_placed) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    static const uint64_t chain[] = {0x7f0010, 0x401200, 0x999};
    struct raw_event event = sample_event(4, 10, 10, 0x7f0010, NULL, 0);
    event.sample.user_chain = chain;
    event.sample.user_chain_length = 3;
    script_add(s, event);
    event.time = 5;
    event.sample.user_chain = NULL;
    event.sample.abi = RAW_ABI_32;
    script_add(s, event);
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_STR(at(r, 4), "app|truncated;?+999r;/app+200r;/lib+10");
    CHECK_STR(at(r, 5), "app|pc only;/lib+10");
    CHECK_EQ(recording_counter(r, "user frames"), 4);
    CHECK_EQ(recording_counter(r, "user frames unknown"), 1);
    CHECK_EQ(recording_counter(r, "frames: frame pointer"), 2);
    stage_end(&stage, r);
}

TEST(a_round_takes_only_what_is_old_enough) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    begin_app(&stage.script);
    script_add(&stage.script, sample_event(100, 10, 10, 0x999999, NULL, 0));
    CHECK_EQ(pipeline_round(stage.pipeline, 100), 0);
    CHECK_EQ(pipeline_counts(stage.pipeline)->samples, 0);
    CHECK_EQ(pipeline_counts(stage.pipeline)->modules, 2);
    CHECK_EQ(pipeline_round(stage.pipeline, 101), 0);
    CHECK_EQ(pipeline_counts(stage.pipeline)->samples, 1);
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    stage_end(&stage, r);
}

static bool stop_at_once(void *context, size_t done, size_t total) {
    *(size_t *)context = total;
    (void)done;
    return false;
}

TEST(symbolising_can_be_stopped) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    struct script *s = &stage.script;
    begin_app(s);
    for (uint64_t i = 0; i < 500; i++)
        script_add(s, sample_event(10 + i, 10, 10, 0x401000 + i, NULL, 0));
    size_t total = 0;
    uint64_t size;
    const char *damage;
    struct recording *r;
    CHECK_EQ(pipeline_round(stage.pipeline, UINT64_MAX), 0);
    CHECK_EQ(pipeline_drain(stage.pipeline), 0);
    CHECK_EQ(pipeline_symbolise(stage.pipeline, stop_at_once, &total), -ECANCELED);
    CHECK_EQ(total, 500);
    pipeline_free(stage.pipeline);
    CHECK_EQ(recording_close(stage.writer, &size), 0);
    CHECK_EQ(recording_open(stage.path, &r, &damage), 0);
    CHECK_EQ(r->sample_count, 500);
    CHECK_EQ(r->symbols.count, 0);
    CHECK(r->is_complete);
    stage_end(&stage, r);
}

/* ---- files that do not answer ---------------------------------------------------------------------------------------------------- */

enum { PATIENCE_MS = 1000 };

/* Ends the recording while a thread of the loader hangs, which `release` then lets go. */
static struct recording *finish_hung(struct stage *stage, void (*release)(bool hold)) {
    uint64_t size;
    const char *damage;
    struct recording *recording = NULL;
    bool is_good = pipeline_round(stage->pipeline, UINT64_MAX) == 0 && pipeline_drain(stage->pipeline) == 0 &&
                   pipeline_symbolise(stage->pipeline, NULL, NULL) == 0;
    is_good = !pipeline_free(stage->pipeline) && is_good;
    release(false);
    while (!pipeline_free(stage->pipeline))
        usleep(1000);
    return recording_close(stage->writer, &size) == 0 && is_good && recording_open(stage->path, &recording, &damage) == 0 ? recording
                                                                                                                          : NULL;
}

TEST(a_file_that_is_read_for_ever_costs_its_rows_alone) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.patience_ms = PATIENCE_MS}));
    fake_hold_builds(true);
    begin_app(&stage.script);
    script_add(&stage.script, sample_event(10, 10, 10, 0x401100, whole, 3));
    struct recording *r = finish_hung(&stage, fake_hold_builds);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 1);
    CHECK_STR(at(r, 10), "app|no unwind rule;/app+100");
    CHECK_EQ(recording_counter(r, "files that did not answer"), 1);
    CHECK(strstr(recording_fact(r, "did not answer"), "/app") != NULL);
    CHECK_EQ(r->symbols.count, 0);
    stage_end(&stage, r);
}

TEST(a_file_that_does_not_answer_at_the_end_costs_its_names_alone) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.patience_ms = PATIENCE_MS}));
    fake_hold_names(true);
    begin_app(&stage.script);
    script_add(&stage.script, sample_event(10, 10, 10, 0x401000 + FAKE_HELD_NAME, NULL, 0));
    script_add(&stage.script, sample_event(11, 10, 10, 0x7f0100, NULL, 0)); /* in /lib */
    struct recording *r = finish_hung(&stage, fake_hold_names);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 2);
    CHECK_EQ(recording_counter(r, "files that did not answer"), 1);
    CHECK_EQ(recording_counter(r, "modules not opened"), 0);
    CHECK_EQ(r->symbols.count, 1);
    CHECK_EQ(r->symbols.items[0].module, 1);
    stage_end(&stage, r);
}

static bool stop_after_one(void *context, size_t done, size_t total) {
    (void)total;
    bool *is_stopped = context;
    if (done == 1) { /* the next one waits */
        *is_stopped = true;
        fake_hold_names(false);
    }
    return !*is_stopped;
}

TEST(names_found_before_an_interrupt_are_kept) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){0}));
    fake_hold_names(true);
    begin_app(&stage.script);
    for (uint64_t i = 0; i < 3; i++)
        script_add(&stage.script, sample_event(10 + i, 10, 10, 0x401000 + FAKE_HELD_NAME - 1 + i, NULL, 0));
    uint64_t size;
    const char *damage;
    struct recording *r;
    bool is_stopped = false;
    CHECK_EQ(pipeline_round(stage.pipeline, UINT64_MAX), 0);
    CHECK_EQ(pipeline_drain(stage.pipeline), 0);
    CHECK_EQ(pipeline_symbolise(stage.pipeline, stop_after_one, &is_stopped), -ECANCELED);
    CHECK(is_stopped);
    CHECK(pipeline_free(stage.pipeline));
    CHECK_EQ(recording_close(stage.writer, &size), 0);
    CHECK_EQ(recording_open(stage.path, &r, &damage), 0);
    CHECK(r->symbols.count >= 1);
    CHECK_EQ(recording_counter(r, "files that did not answer"), 0);
    stage_end(&stage, r);
}

TEST(lost_records_have_processes_read_again) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.is_live = true}));
    struct script *s = &stage.script;
    uint32_t self = (uint32_t)getpid();
    uint64_t here = (uintptr_t)stop_at_once;
    script_add(s, task_event(1, RAW_TASK_EXEC, self, self, 0, "self"));
    script_add(s, loss_event(2, RAW_LOSS_SIDEBAND, 4));
    script_add(s, sample_event(3, self, self, here, NULL, 0));
    /* A process nobody told of: this test's parent. */
    script_add(s, sample_event(4, (uint32_t)getppid(), (uint32_t)getppid(), 0x1, NULL, 0));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_EQ(r->sample_count, 2);
    CHECK_EQ(recording_counter(r, "side-band records lost"), 4);
    CHECK_EQ(recording_counter(r, "processes re-read"), 2);
    CHECK_EQ(r->processes.items[0].flags, 0);
    CHECK_STR(r->tasks.items[0].comm, "self"); /* as it was called at the time of the sample */
    CHECK(*r->tasks.items[1].comm);            /* as /proc says */
    CHECK_EQ(r->processes.items[1].flags, PROCESS_GUESSED);
    CHECK(strstr(at(r, 3), "test-pipeline-pipeline+") != NULL);
    stage_end(&stage, r);
}

TEST(an_unknown_process_that_is_gone_is_not_waited_for) {
    struct stage stage;
    CHECK(stage_begin(&stage, (struct pipeline_options){.is_live = true}));
    script_add(&stage.script, sample_event(4, 0x3fffffff, 0x3fffffff, 0x1234, NULL, 0));
    struct recording *r = stage_finish(&stage);
    CHECK(r != NULL);
    CHECK_STR(at(r, 4), "|no unwind rule;?+1234");
    CHECK(r->thread_ends.items[0].is_exited);
    stage_end(&stage, r);
}

TEST_MAIN()
