/* SPDX-License-Identifier: MIT */
/* What the recorder makes of the memory of annotated programs: the memory is written here, by hand, well and badly. */
#include <sys/mman.h>

#include "base/clock.h"
#include "include/cprof.h"
#include "scope/scope.h"
#include "tests/check.h"
#include "tests/unit/pipeline/script.h"

enum { PID = 70, TEXT = 0x400000, BASE = 0x7ffe0000, ARENA = 1 << 20 /* bytes of it that are mapped here */ };

/* The shared memory of a process with one thread, as its library would have written it. */
struct program {
    int fd;
    uint8_t *memory; /* up to the end of what is used */
    struct scope_shared *shared;
    struct scope_thread *thread;
    struct scope_record *records[3];
};

static void *at(const struct program *program, uint32_t position) {
    return program->memory + (size_t)position * SCOPE_UNIT;
}

static void put_site(struct program *program, uint32_t site, uint32_t kind, const char *name) {
    struct scope_site *row = (struct scope_site *)(void *)(program->memory + SCOPE_SITES_AT) + site - 1;
    row->kind = kind;
    row->line = 10 + site;
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->function, sizeof row->function, "work");
    snprintf(row->file, sizeof row->file, "work.c");
    atomic_store(&row->state, SCOPE_SITE_READY);
}

/* Sites 1 "outer" and 2 "inner" with a record each, paths 1 outer and 2 outer/inner, and site 3, a value. */
static bool program_begin(struct program *program, uint32_t tid) {
    uint32_t position = (uint32_t)(SCOPE_ARENA_AT / SCOPE_UNIT);
    program->fd = memfd_create("scopes", MFD_CLOEXEC);
    if (program->fd < 0 || ftruncate(program->fd, (off_t)SCOPE_MEMORY_BYTES) < 0)
        return false;
    program->memory = mmap(NULL, SCOPE_ARENA_AT + ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, program->fd, 0);
    if (program->memory == MAP_FAILED)
        return false;
    program->shared = (struct scope_shared *)(void *)program->memory;
    program->shared->threads[0] = position;
    atomic_store(&program->shared->thread_count, 1);
    program->thread = at(program, position);
    program->thread->tid = tid;
    program->thread->start = 1;
    program->thread->nodes[1] = (struct scope_node){.parent = 0, .site = 1};
    program->thread->nodes[2] = (struct scope_node){.parent = 1, .site = 2};
    atomic_store(&program->thread->node_count, 3);
    position += (uint32_t)((sizeof(struct scope_thread) + SCOPE_UNIT - 1) / SCOPE_UNIT);
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const names[] = {"outer", "inner", "bytes;read"};
        put_site(program, i + 1, i == 2 ? CPROF_KIND_VALUE : CPROF_KIND_SCOPE, names[i]);
        program->records[i] = at(program, position);
        program->records[i]->site = i + 1;
        program->records[i]->next = atomic_load(&program->thread->records);
        atomic_store(&program->thread->records, position);
        position += (uint32_t)((sizeof(struct scope_record) + SCOPE_UNIT - 1) / SCOPE_UNIT);
    }
    atomic_store(&program->thread->state, SCOPE_THREAD_LIVE);
    return true;
}

static void program_end(struct program *program) {
    munmap(program->memory, SCOPE_ARENA_AT + ARENA);
    close(program->fd);
}

/* One primitive instance more. */
static void measure(struct scope_record *record, uint64_t begin, uint64_t ticks, uint64_t self) {
    record->min = !record->count || ticks < record->min ? ticks : record->min;
    record->max = ticks > record->max ? ticks : record->max;
    record->slowest[record->count % SCOPE_SLOWEST] = (struct scope_instance){begin, ticks};
    if (record->pending)
        record->histogram[record->pending - 1]++;
    record->pending = loglinear_bucket(ticks) + 1;
    record->count++;
    record->primitive++;
    record->total += ticks;
    record->sum += ticks;
    record->self += self;
}

static void push_event(struct program *program, uint32_t site, uint64_t begin, uint64_t end) {
    uint64_t number = atomic_load(&program->thread->head);
    program->thread->events[number % SCOPE_EVENTS] =
        (struct scope_event){.begin = begin, .end = end, .site = site, .kind = SCOPE_EVENT_INSTANCE, .number = number + 1};
    atomic_store(&program->thread->head, number + 1);
}

/* A stage in which the process runs and its memory has arrived; a tick is a nanosecond, the period 1000. */
static bool play(struct stage *stage, struct program *program) {
    if (!stage_begin(stage, (struct pipeline_options){.waits = true}) || !program_begin(program, PID))
        return false;
    script_add(&stage->script, task_event(10, RAW_TASK_FORK, PID, PID, 1, NULL));
    script_add(&stage->script, task_event(11, RAW_TASK_EXEC, PID, PID, 0, "app"));
    script_add(&stage->script, mapping_event(12, PID, TEXT, 0x10000, "/app"));
    const struct pipeline_scope_clock clock = {.ns_per_tick = 1, .inverse_period = UINT64_MAX / 1000};
    pipeline_set_scope_clock(stage->pipeline, &clock);
    return pipeline_round(stage->pipeline, 13) >= 0 && pipeline_add_scopes(stage->pipeline, PID, dup(program->fd), 13) >= 0;
}

static const struct recording_scope *scope_named(const struct recording *r, const char *name) {
    for (size_t i = 0; r && i < r->scopes.count; i++)
        if (!strcmp(r->sites.items[r->scopes.items[i].site].name, name))
            return &r->scopes.items[i];
    return NULL;
}

TEST(sums_are_those_of_the_memory_however_often_they_were_read) {
    struct stage stage;
    struct program program;
    CHECK(play(&stage, &program));
    measure(program.records[0], 20, 100, 60);
    CHECK_EQ(pipeline_round(stage.pipeline, 14), 0);
    measure(program.records[0], 200, 900, 900);
    measure(program.records[1], 30, 40, 40);
    measure(program.records[2], 0, 12345, 12345);
    program.thread->nodes[2].count = 1;
    program.thread->nodes[2].total = program.thread->nodes[2].self = 40;
    program.thread->nodes_refused = 7;
    program.records[0]->unwound = 1;
    struct recording *r = stage_finish(&stage);
    const struct recording_scope *outer = scope_named(r, "outer"), *inner = scope_named(r, "inner"), *bytes = scope_named(r, "bytes;read");
    CHECK(outer && inner && bytes);
    CHECK_EQ(r->threads.items[outer->thread].tid, PID);
    CHECK_EQ(outer->count, 2);
    CHECK_EQ(outer->total, 1000);
    CHECK_EQ(outer->self, 960);
    CHECK_EQ(outer->min, 100);
    CHECK_EQ(outer->max, 900);
    CHECK_EQ(outer->unwound, 1);
    CHECK_EQ(outer->unfinished, 0);
    CHECK_EQ(outer->slowest[0].ticks, 900);
    CHECK_EQ(outer->slowest[1].begin, 20);
    CHECK_EQ(outer->slowest[2].ticks, 0);
    CHECK_EQ(outer->bucket_count, 2);
    CHECK_EQ(outer->buckets[0].bucket, loglinear_bucket(100));
    CHECK_EQ(inner->total, 40);
    CHECK_EQ(bytes->sum, 12345);
    CHECK_EQ(r->sites.items[bytes->site].kind, SITE_VALUE);
    CHECK_EQ(r->scope_paths.count, 1);
    const struct recording_scope_node *path = &r->scope_nodes.items[r->scope_paths.items[0].node];
    CHECK_STR(r->sites.items[path->site].name, "inner");
    CHECK_EQ(recording_counter(r, "scope paths refused"), 7);
    program_end(&program);
    stage_end(&stage, r);
}

/* The record of a scope in `words`, of which word 0 is at BASE. */
static void put_record(uint64_t *words, size_t word, uint32_t site, uint32_t node, uint64_t begin, size_t parent, uint64_t place) {
    struct cprof_scope scope = {.magic = CPROF_SCOPE_MAGIC ^ (BASE + word * 8), .begin = begin, .site = site, .node = node, .place = place};
    scope.parent = parent ? (struct cprof_scope *)(uintptr_t)(BASE + parent * 8) : NULL;
    memcpy(&words[word], &scope, sizeof scope);
}

enum { WORDS = 64, INNER = 8, OUTER = 24 };

/* The sites of the scopes in a sample's stack, innermost first, as text: "f" for a frame of code. */
static void describe(const struct recording *r, const struct recording_sample *sample, char text[128]) {
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t n = sample->node; n >= STACK_END_COUNT && length < 100; n = r->nodes.items[n].parent) {
        const struct recording_frame *frame = &r->frames.items[r->nodes.items[n].frame];
        length +=
            (size_t)snprintf(text + length, 128 - length, "%s ", frame->kind == FRAME_SCOPE ? r->sites.items[frame->address].name : "f");
    }
}

static void check_stack(const uint64_t words[WORDS], size_t count, const char *wanted, uint64_t rejected, uint64_t beyond) {
    struct stage stage;
    struct program program;
    CHECK(play(&stage, &program));
    script_add(&stage.script, sample_event(500, PID, PID, TEXT + 0x110, words, count));
    struct recording *r = stage_finish(&stage);
    CHECK(r && r->sample_count == 1);
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    char text[128];
    CHECK(recording_next(r, &cursor, &sample));
    describe(r, &sample, text);
    CHECK_STR(text, wanted);
    CHECK_EQ(recording_counter(r, "scope records left on the stack"), rejected);
    CHECK_EQ(recording_counter(r, "samples in scopes beyond the copied stack"), beyond);
    recording_cursor_free(&cursor);
    program_end(&program);
    stage_end(&stage, r);
}

/* pc in function 0x100, called from 0x250, called from 0x380; then the root. Functions are 256 bytes each here. */
static void put_callers(uint64_t words[WORDS]) {
    memset(words, 0, WORDS * sizeof *words);
    words[0] = TEXT + 0x250;
    words[1] = TEXT + 0x380;
}

TEST(open_scopes_stand_in_the_stack_before_the_frame_that_opened_them) {
    uint64_t words[WORDS];
    put_callers(words);
    put_record(words, INNER, 2, 2, 400, OUTER, TEXT + 0x310);
    put_record(words, OUTER, 1, 1, 300, 0, TEXT + 0x320);
    check_stack(words, WORDS, "f f inner outer f ", 0, 0);
    check_stack(words, INNER + 4, "f f f ", 0, 0);         /* not whole */
    check_stack(words, OUTER, "f f inner f outer ", 0, 1); /* the outer one lies beyond the bytes: its path tells of it */
}

/* Of functions that were inlined into one another, or of blocks in one function: the compiler puts their records in any order. */
TEST(records_in_one_frame_nest_as_they_were_opened_wherever_they_lie) {
    enum { HIGHEST = 40 };
    uint64_t words[WORDS];
    put_callers(words);
    put_record(words, INNER, 1, 1, 300, 0, TEXT + 0x320);
    put_record(words, OUTER, 2, 2, 400, INNER, TEXT + 0x310);
    check_stack(words, WORDS, "f f inner outer f ", 0, 0);
    put_record(words, OUTER, 2, 2, 300, INNER, TEXT + 0x310); /* opened at the same tick */
    check_stack(words, WORDS, "f f inner outer f ", 0, 0);
    put_record(words, INNER, 2, 2, 300, OUTER, TEXT + 0x310); /* the same, the other way round */
    put_record(words, OUTER, 1, 1, 300, 0, TEXT + 0x320);
    check_stack(words, WORDS, "f f inner outer f ", 0, 0);
    put_record(words, INNER, 1, 1, 300, 0, TEXT + 0x320);
    put_record(words, OUTER, 1, 1, 450, HIGHEST, TEXT + 0x310); /* the innermost in the middle */
    put_record(words, HIGHEST, 2, 2, 400, INNER, TEXT + 0x330);
    check_stack(words, WORDS, "f f outer inner outer f ", 0, 0);
    put_record(words, OUTER, 1, 1, 450, HIGHEST, TEXT + 0x710); /* left there by a function that is gone */
    check_stack(words, WORDS, "f f inner outer f ", 0, 0);
}

TEST(a_record_that_a_gone_frame_left_is_passed_over) {
    uint64_t words[WORDS];
    put_callers(words);
    put_record(words, INNER, 2, 2, 400, 0, TEXT + 0x710); /* opened by a function that is not on the stack */
    put_record(words, OUTER, 1, 1, 300, 0, TEXT + 0x320);
    check_stack(words, WORDS, "f f outer f ", 1, 0);
    put_record(words, INNER, 2, 2, 0, OUTER, TEXT + 0x310); /* just being opened */
    check_stack(words, WORDS, "f f outer f ", 0, 0);
    put_record(words, INNER, 2, 2, 400, INNER, TEXT + 0x310); /* its own parent */
    check_stack(words, WORDS, "f f inner f outer ", 0, 1);
    put_record(words, INNER, 9, 2, 400, OUTER, TEXT + 0x310); /* a site that is not there */
    check_stack(words, WORDS, "f f outer f ", 1, 0);
    put_record(words, INNER, 2, 2, UINT64_MAX, OUTER, TEXT + 0x310); /* opened in the future */
    check_stack(words, WORDS, "f f outer f ", 1, 0);
}

TEST(elapsed_time_counts_when_the_instance_has_ended) {
    struct stage stage;
    struct program program;
    uint64_t words[WORDS];
    put_callers(words);
    put_record(words, INNER, 2, 2, 400, OUTER, TEXT + 0x310);
    put_record(words, OUTER, 1, 1, 300, 0, TEXT + 0x320);
    CHECK(play(&stage, &program));
    program.records[0]->active = 1; /* and it stays open */
    script_add(&stage.script, sample_event(500, PID, PID, TEXT + 0x110, words, WORDS));
    script_add(&stage.script, sample_event(502, PID, PID, TEXT + 0x110, words, WORDS));
    CHECK_EQ(pipeline_round(stage.pipeline, 520), 0);
    measure(program.records[1], 400, 200, 200);
    struct recording *r = stage_finish(&stage);
    const struct recording_scope *outer = scope_named(r, "outer"), *inner = scope_named(r, "inner");
    CHECK(outer && inner);
    CHECK_EQ(outer->unfinished, 1);
    CHECK_EQ(outer->unfinished_samples, 2);
    CHECK_EQ(outer->elapsed_count, 0);
    CHECK_EQ(inner->unfinished, 0);
    CHECK_EQ(inner->elapsed_count, 1);
    CHECK_EQ(inner->elapsed[0].bucket, loglinear_bucket(100));
    CHECK_EQ(inner->elapsed[0].count, 2);
    CHECK_EQ(recording_counter(r, "samples in scopes"), 2);
    program_end(&program);
    stage_end(&stage, r);
}

static struct raw_event switch_event(uint64_t time, bool is_out) {
    return (struct raw_event){.type = RAW_SWITCH, .time = time, .switched = {.pid = PID, .tid = PID, .is_out = is_out}};
}

TEST(time_off_a_cpu_is_taken_from_the_instances_it_lies_in) {
    struct stage stage;
    struct program program;
    uint64_t words[WORDS];
    put_callers(words);
    CHECK(play(&stage, &program));
    CHECK_EQ(pipeline_round(stage.pipeline, 14), 0);
    script_add(&stage.script, switch_event(20000, true));
    script_add(&stage.script, switch_event(30000, false));
    script_add(&stage.script, sample_event(35000, PID, PID, TEXT + 0x110, words, WORDS));
    script_add(&stage.script, switch_event(40000, true));
    script_add(&stage.script, switch_event(40500, false));
    push_event(&program, 2, 15000, 25000); /* half of it */
    push_event(&program, 1, 10000, 50000); /* all of it */
    push_event(&program, 2, 60000, 70000); /* nothing of it, and no sample */
    measure(program.records[0], 10000, 40000, 0);
    program.records[0]->variance = 12; /* 40 periods: nothing but what the process made of rounding */
    struct recording *r = stage_finish(&stage);
    const struct recording_scope *outer = scope_named(r, "outer"), *inner = scope_named(r, "inner");
    CHECK(outer && inner);
    CHECK_EQ(outer->off_cpu, 10500);
    CHECK_EQ(inner->off_cpu, 5000);
    CHECK(outer->variance > (1u << 30) / 4 - 1000 && outer->variance <= (1u << 30) / 4 + 12); /* of 29.5 periods */
    CHECK_EQ(r->instances.count, 1);                                                          /* that held the sample */
    CHECK_EQ(r->instances.items[0].begin, 10000);
    CHECK_EQ(r->instances.items[0].off_cpu, 10500);
    CHECK_EQ(atomic_load(&program.thread->tail), 3);
    program_end(&program);
    stage_end(&stage, r);
}

TEST(a_block_is_given_back_when_its_thread_has_been_told_to_the_end) {
    struct stage stage;
    struct program program;
    CHECK(play(&stage, &program));
    measure(program.records[0], 20, 100, 100);
    atomic_store(&program.thread->state, SCOPE_THREAD_ENDED);
    CHECK_EQ(pipeline_round(stage.pipeline, 14), 0);
    CHECK_EQ(atomic_load(&program.thread->state), SCOPE_THREAD_FREE);
    script_add(&stage.script, task_event(20, RAW_TASK_FORK, PID, PID + 1, PID, NULL)); /* the next thread takes it */
    program.thread->tid = PID + 1;
    program.thread->start = 20;
    memset(program.records[0]->histogram, 0, sizeof program.records[0]->histogram);
    program.records[0]->pending = 0;
    program.records[0]->count = program.records[0]->total = 0;
    measure(program.records[0], 30, 7, 7);
    atomic_store(&program.thread->state, SCOPE_THREAD_LIVE);
    struct recording *r = stage_finish(&stage);
    CHECK(r && r->scopes.count == 2);
    CHECK_EQ(r->scopes.items[0].total, 100);
    CHECK_EQ(r->scopes.items[1].total, 7);
    CHECK_EQ(r->threads.items[r->scopes.items[1].thread].tid, PID + 1);
    CHECK_EQ(recording_counter(r, "scope threads"), 2);
    program_end(&program);
    stage_end(&stage, r);
}

TEST(an_exec_ends_the_memory_and_the_next_one_counts_on) {
    struct stage stage;
    struct program first, second;
    CHECK(play(&stage, &first));
    measure(first.records[0], 20, 100, 100);
    CHECK(program_begin(&second, PID));
    measure(second.records[0], 120, 11, 11);
    script_add(&stage.script, task_event(100, RAW_TASK_EXEC, PID, PID, 0, "app"));
    CHECK_EQ(pipeline_add_scopes(stage.pipeline, PID, dup(second.fd), 110), 0);
    CHECK_EQ(pipeline_round(stage.pipeline, 200), 0);
    CHECK_EQ(atomic_load(&first.thread->state), SCOPE_THREAD_LIVE); /* nobody is there to use it again */
    struct recording *r = stage_finish(&stage);
    const struct recording_scope *outer = scope_named(r, "outer");
    CHECK(outer && outer->total == 111 && outer->count == 2);
    CHECK_EQ(r->sites.count, 1);
    program_end(&first);
    program_end(&second);
    stage_end(&stage, r);
}

/* Whatever stands in the memory, reading it ends and the recording is good. */
TEST(nonsense_in_the_memory_costs_its_own_figures_alone) {
    uint64_t random = 0x9e3779b97f4a7c15;
    uint64_t words[WORDS];
    for (int run = 0; run < 60; run++) {
        struct stage stage;
        struct program program;
        CHECK(play(&stage, &program));
        put_callers(words);
        put_record(words, INNER, 2, 2, 400, OUTER, TEXT + 0x310);
        script_add(&stage.script, sample_event(500, PID, PID, TEXT + 0x110, words, WORDS));
        size_t length = run % 2 ? sizeof(struct scope_thread) : SCOPE_ARENA_AT + ARENA, start = run % 2 ? SCOPE_ARENA_AT : 0;
        for (int i = 0; i < 4000; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            program.memory[start + (random >> 20) % length] = (uint8_t)(random >> 12);
        }
        if (run % 3 == 0)
            program.records[2]->next = atomic_load(&program.thread->records); /* a ring of records */
        CHECK_EQ(pipeline_round(stage.pipeline, 600), 0);
        struct recording *r = stage_finish(&stage);
        CHECK(r && r->is_complete && r->sample_count == 1);
        program_end(&program);
        stage_end(&stage, r);
    }
}

TEST_MAIN()
