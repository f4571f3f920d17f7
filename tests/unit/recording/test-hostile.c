/* SPDX-License-Identifier: MIT */
/* Chunks whose sums are right and whose content is not: each is refused with its reason, and nothing is allocated on its word. */
#include <errno.h>
#include <sys/resource.h>

#include "tests/unit/recording/craft.h"
#include "tests/unit/recording/specimen.h"

/* One string "s", one event, module, process, thread, task, frame and node: what the chunks below may name. */
static void put_basis(struct buffer *file) {
    craft_head(file, STACK_END_COUNT);
    craft_plain(file, CHUNK_STRINGS, "s", 2);
    craft_plain(file, CHUNK_EVENTS, "\0\0\0\0\0\x05\x01\0", 8);
    craft_plain(file, CHUNK_MODULES, "\0\0\0\0", 4);
    craft_plain(file, CHUNK_PROCESSES, "\x01\0\0\0", 4);
    craft_plain(file, CHUNK_THREADS, "\x01\x01\0", 3);
    craft_plain(file, CHUNK_TASKS, "\0\0\0\0", 4);
    craft_plain(file, CHUNK_SITES, "\0\0\0\0\0", 5);
    craft_plain(file, CHUNK_FRAMES, "\x01\x01\x01\x01\0\0\0\0", 8);
    craft_plain(file, CHUNK_NODES, "\x01\x01\0\0", 4);
}

struct hostile {
    uint32_t type;
    const char *payload;
    size_t length;
    const char *reason;
};
#define HOSTILE(type, payload, reason) \
    { CHUNK_##type, payload, sizeof(payload) - 1, reason }

static const struct hostile hostiles[] = {
    HOSTILE(STRINGS, "", "empty"),
    HOSTILE(STRINGS, "a\0b", "no end"),
    HOSTILE(STRINGS, "\0a\0\0", "second empty string"),
    HOSTILE(FACTS, "\0\x01", "names no string"),
    HOSTILE(FACTS, "\0", "cut off"),
    HOSTILE(CLOCKS, "\0\0", "cut off"),
    HOSTILE(EVENTS, "\0\0\0\0\x01\0\x01\0", "names no string"),
    HOSTILE(EVENTS, "\0\0\0\0\0\0\0\0", "no weight"),
    HOSTILE(EVENTS, "\0\0\0\0\0\0\x05\0", "too many"),
    HOSTILE(MODULES, "\x04\0\0\0", "unknown kind"),
    HOSTILE(MODULES, "\0\0\0\x21", "cut off"),
    HOSTILE(MODULE_UPDATE, "\x01\0\0", "names no module"),
    HOSTILE(PROCESSES, "\x01\x02\0\0", "parent"),
    HOSTILE(PROCESSES, "\xff\xff\xff\xff\x7f\0\0\0", "cut off"),
    HOSTILE(MAPPINGS, "\x01\0\0\0\0\0", "names no process"),
    HOSTILE(MAPPINGS, "\0\x01\0\0\0\0", "names no process or module"),
    HOSTILE(MAPPINGS, "\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0", "end of memory"),
    HOSTILE(THREADS, "\x01", "cut off"),
    HOSTILE(THREAD_ENDS, "\x01\0\0\0", "names no thread"),
    HOSTILE(TASKS, "\x01\0\0\0", "names no thread"),
    HOSTILE(TASKS, "\0\x01\0\0", "process"),
    HOSTILE(TASKS, "\0\0\x01\0", "string"),
    HOSTILE(FRAMES, "\x01\x01\x01\x01\0\0\x02\0", "names no module"),
    HOSTILE(FRAMES, "\x01\x01\x01\x01\x06\0\0\0", "known kind"),
    HOSTILE(FRAMES, "\x01\x01\x01\x01\x05\0\0\x02", "names no site"),
    HOSTILE(FRAMES, "\x01\x01\x01\x01\x05\0\x01\0", "names no site"),
    HOSTILE(FRAMES, "\x01\x01\x01\x01\x80\0\0\0", "known kind or class"),
    HOSTILE(FRAMES, "\x01\x02\x01\x01\0\0\0\0\0", "longer than its rows"),
    HOSTILE(FRAMES, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01\x01", "do not fit"),
    HOSTILE(NODES, "\x01\x01\x0c\0", "come before"),
    HOSTILE(NODES, "\x01\x01\0\x01", "frame does not exist"),
    HOSTILE(NODES, "\x01\x01\0\x04", "frame does not exist"),
    HOSTILE(NODES, "\x01\x02\0\x02\0", "longer than its rows"),
    HOSTILE(SYMBOLS, "\x01\0\0", "names no module"),
    HOSTILE(SYMBOLS, "\0\0\x7f", "cut off"),
    HOSTILE(SYMBOLS, "\0\0\x01\x02\0\0\0", "names no string"),
    HOSTILE(COUNTERS, "\x01\0", "names no string"),
    HOSTILE(SITES, "\x04\0\0\0\0", "unknown kind"),
    HOSTILE(SITES, "\0\x01\0\0\0", "names no string"),
    HOSTILE(SCOPES, "\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "names no thread or site"),
    HOSTILE(SCOPES, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "cut off"),
    HOSTILE(SCOPES, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x00\x01\xcf\x02\x01", "buckets that do not exist"),
    HOSTILE(SCOPES, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\x7f\0", "buckets that do not exist"),
    HOSTILE(SCOPE_NODES, "\x01\0", "come before"),
    HOSTILE(SCOPE_NODES, "\0\x01", "names no site"),
    HOSTILE(SCOPE_PATHS, "\0\0\0\0\0\0", "name no thread or path"),
    HOSTILE(INSTANCES, "\x01\0\0\0\0", "names no thread or site"),
    HOSTILE(INSTANCES, "\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0", "ends before it begins"),
    HOSTILE(EPOCH, "\0", "should be empty"),
    HOSTILE(END, "\x01", "other samples"),
    /*              rows base lanes | event cpu flags step | lane time task node dictionary weight | columns */
    HOSTILE(SAMPLES, "\0\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0", "row count"),
    HOSTILE(SAMPLES, "\x80\x80\x04\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0", "row count"),
    HOSTILE(SAMPLES, "\x01\0\x02\0\0\0\0\x01\x01\x01\x01\x01\0", "row count"),
    HOSTILE(SAMPLES, "\x01\0\x01\x01\0\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0\0", "no event"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\x80\x80\x04\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0\0", "or CPU"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0", "do not fit"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\x01\0\x01\0\0", "no lane"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\0\0\0", "task does not exist"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\x02\0\0", "task does not exist"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\x01\x01\0", "not in the dictionary"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0\x18", "node does not exist"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0\x01", "node does not exist"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\x01\0\x01\x01\x01\x01\x01\0\0\0\x01\0\0", "weights do not fit"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x01\x01\x01\x01\0\0\x01\0\0\0", "weights do not fit"),
    HOSTILE(SAMPLES, "\x01\0\x01\0\0\0\0\x01\x01\x02\x01\x01\0\0\0\x01\x01\0\0", "longer than its rows"),
};

TEST(what_contradicts_itself_is_refused_with_its_reason) {
    for (size_t i = 0; i < ARRAY_SIZE(hostiles); i++) {
        const struct hostile *h = &hostiles[i];
        struct buffer file = {0};
        put_basis(&file);
        size_t good = file.length;
        craft_plain(&file, h->type, h->payload, h->length);
        CHECK(specimen_put(file.data, file.length));
        struct recording *r = NULL;
        CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
        if (!r->damage || !strstr(r->damage, h->reason) || !strstr(r->damage, chunk_name(h->type).text))
            CHECK_FAIL("chunk %zu (%s) gave \"%s\", not \"%s\"", i, chunk_name(h->type).text, r->damage ? r->damage : "(null)", h->reason);
        CHECK_EQ(r->good_size, good);
        CHECK_EQ(specimen_walk(r), 0);
        recording_free(r);
        buffer_free(&file);
    }
}

TEST(what_is_just_right_is_taken) {
    struct buffer file = {0};
    put_basis(&file);
    craft_plain(&file, CHUNK_SAMPLES, "\x01\x07\x01\0\x02\0\0\x01\x01\x01\x01\x01\0\0\0\x01\0\x16", 18);
    CHECK(specimen_put(file.data, file.length));
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    struct recording_cursor cursor = {0};
    struct recording_sample sample;
    CHECK(recording_next(r, &cursor, &sample));
    CHECK_EQ(sample.time, 7);
    CHECK_EQ(sample.cpu, 2);
    CHECK_EQ(sample.node, STACK_END_COUNT);
    CHECK_EQ(sample.weight[0], 5);
    recording_cursor_free(&cursor);
    recording_free(r);
    buffer_free(&file);
}

TEST(an_unknown_chunk_is_skipped_if_optional_and_refused_by_name_if_not) {
    struct buffer file = {0};
    put_basis(&file);
    struct chunk_head head = {.type = CHUNK_TYPE('H', 'E', 'A', 'P'), .version = 3, .flags = CHUNK_OPTIONAL, .length = 4, .raw_length = 4};
    craft_chunk(&file, head, "what");
    craft_plain(&file, CHUNK_END, "\0", 1);
    CHECK(specimen_put(file.data, file.length));
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(r->is_complete);
    recording_free(r);
    buffer_free(&file);

    put_basis(&file);
    head.flags = 0;
    craft_chunk(&file, head, "what");
    CHECK(specimen_put(file.data, file.length));
    const char *newer = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, &newer), -EPROTO);
    CHECK(strstr(newer, "\"HEAP\", version 3"));
    buffer_free(&file);

    put_basis(&file); /* a type that is known, in a version that is not */
    head.type = CHUNK_NODES;
    craft_chunk(&file, head, "what");
    CHECK(specimen_put(file.data, file.length));
    CHECK_EQ(recording_open(specimen_path(), &r, &newer), -EPROTO);
    CHECK(strstr(newer, "\"NODE\", version 3"));
    buffer_free(&file);
}

/* A writer that knew fewer stack ends: its ids are shifted, its stacks are the same. */
TEST(fewer_roots_than_ours_are_mapped_and_more_refused) {
    struct buffer file = {0};
    craft_head(&file, 3);
    craft_plain(&file, CHUNK_FRAMES, "\x01\x01\x01\x01\x03\0\0\x10", 8);
    craft_plain(&file, CHUNK_NODES, "\x02\x02\x01\0\0\x02", 6); /* below root 1; below the node before */
    CHECK(specimen_put(file.data, file.length));
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK_EQ(r->nodes.count, STACK_END_COUNT + 2);
    CHECK_EQ(r->nodes.items[STACK_END_COUNT].parent, 1);
    CHECK_EQ(r->nodes.items[STACK_END_COUNT + 1].parent, STACK_END_COUNT);
    recording_free(r);
    buffer_free(&file);

    craft_head(&file, STACK_END_COUNT + 1);
    CHECK(specimen_put(file.data, file.length));
    const char *newer = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, &newer), -EPROTO);
    CHECK(strstr(newer, "stack ends"));
    buffer_free(&file);
}

static long peak_kilobytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

TEST(a_bomb_costs_no_memory) {
    enum { BOMBS = 64, COST_KB = 16 * 1024 };
    struct buffer file = {0}, packed = {0};
    craft_head(&file, STACK_END_COUNT);
    void *zeros = calloc(1, CHUNK_RAW_MAX);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    CHECK(zeros && zstd);
    chunk_pack(&packed, zstd, CHUNK_THREADS, zeros, CHUNK_RAW_MAX);
    CHECK(packed.length < 4096);
    for (size_t i = 0; i < BOMBS; i++) /* 1 GiB of threads without a name */
        buffer_put(&file, packed.data, packed.length);
    CHECK(specimen_put(file.data, file.length));
    long before = peak_kilobytes();
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK(strstr(r->damage, "expands beyond all reason"));
    CHECK_EQ(r->threads.count, 0);
    recording_free(r);
    buffer_free(&file);

    craft_head(&file, STACK_END_COUNT); /* a claim alone */
    struct chunk_head head = {.type = CHUNK_STRINGS, .version = 1, .flags = CHUNK_ZSTD, .length = 4, .raw_length = UINT32_MAX};
    craft_chunk(&file, head, "boom");
    CHECK(specimen_put(file.data, file.length));
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK(strstr(r->damage, "makes no sense"));
    recording_free(r);
    CHECK(peak_kilobytes() - before < COST_KB);
    ZSTD_freeCCtx(zstd);
    buffer_free(&packed);
    buffer_free(&file);
    free(zeros);
}

TEST_MAIN()
