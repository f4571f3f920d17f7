/* SPDX-License-Identifier: MIT */
/* A JIT's map is taken from its own process alone. This test is the process. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/jit.h"
#include "tests/check.h"

static const char *map_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    return path;
}

static void write_map(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    fputs(text, file);
    fclose(file);
}

static const char *name_at(const struct jit *jit, uint64_t address) {
    const char *name, *module;
    uint64_t start;
    return jit->table && symbol_table_find(jit->table, address, &name, &module, &start) ? name : "";
}

/* The name at 0x1008 in what is loaded of this process's map. */
static const char *loaded_name(void) {
    static char name[64];
    struct jit *jit = jit_new((uint32_t)getpid());
    jit_begin(jit);
    jit_load(jit);
    snprintf(name, sizeof name, "%s", name_at(jit, 0x1008));
    jit_free(jit);
    return name;
}

TEST(names_come_from_the_map) {
    write_map(map_path(), "1000 10 first\n2000 10 second\n");
    CHECK_STR(loaded_name(), "first");
    unlink(map_path());
    CHECK_STR(loaded_name(), "");
}

TEST(the_map_is_read_when_the_process_ends_not_before) {
    unlink(map_path());
    struct jit *jit = jit_new((uint32_t)getpid());
    jit_begin(jit);
    write_map(map_path(), "1000 10 late\n");
    jit_load(jit);
    CHECK_STR(name_at(jit, 0x1000), "late");
    write_map(map_path(), "1000 10 of_another_process\n"); /* with the same pid */
    jit_load(jit);
    CHECK_STR(name_at(jit, 0x1000), "late");
    jit_free(jit);
    unlink(map_path());
}

TEST(nothing_but_a_plain_file_is_read) {
    char other[80];
    snprintf(other, sizeof other, "%s.other", map_path());
    unlink(map_path());
    write_map(other, "1000 10 through_a_link\n");
    CHECK_EQ(symlink(other, map_path()), 0);
    CHECK_STR(loaded_name(), "");
    unlink(map_path());
    unlink(other);
    CHECK_EQ(mkfifo(map_path(), 0600), 0);
    CHECK_STR(loaded_name(), ""); /* and does not hang */
    unlink(map_path());
}

TEST(of_another_user_nothing_is_believed) {
    if (geteuid())
        SKIP("only root can give a file away");
    write_map(map_path(), "1000 10 planted\n");
    CHECK_EQ(chown(map_path(), 65534, 65534), 0);
    CHECK_STR(loaded_name(), "");
    unlink(map_path());
}

/* ---- dumps ----------------------------------------------------------------------------------------------------------------------- */

static char *dump_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/jit-%d.dump", (int)getpid());
    return path;
}

/* One function of 16 bytes at 0x1000. */
static void write_dump(void) {
    const uint32_t pid = (uint32_t)getpid();
    const uint32_t header[10] = {0x4a695444, 1, 40, 62, 0, pid}, record[] = {0, 16 + 40 + 7, 0, 0, pid, pid};
    const uint64_t words[] = {0x1000, 0x1000, 16, 1};
    FILE *file = fopen(dump_path(), "we");
    fwrite(header, sizeof header, 1, file);
    fwrite(record, sizeof record, 1, file);
    fwrite(words, sizeof words, 1, file);
    fwrite("dumped", 7, 1, file);
    fclose(file);
}

/* The name at 0x1008 once the dump of this process was seen mapped and, if `unlinks`, deleted. */
static const char *dumped_name(bool is_live, bool unlinks) {
    static char name[64];
    struct process_module module = {.kind = PROCESS_MODULE_FILE, .path = dump_path()};
    struct process_sighting sighting = {.pid = (uint32_t)getpid(), .is_live = is_live};
    struct jit *jit = jit_new((uint32_t)getpid());
    jit_begin(jit);
    jit_begin_dump(jit, &module, &sighting);
    if (unlinks)
        unlink(dump_path());
    jit_load(jit);
    snprintf(name, sizeof name, "%s", name_at(jit, 0x1008));
    jit_free(jit);
    return name;
}

TEST(a_path_is_that_of_a_dump_or_not) {
    static const struct {
        const char *path;
        uint32_t pid;
    } cases[] = {
        {"/tmp/jit-77.dump", 77},
        {"/home/u/.debug/jit/x/jit-1.dump", 1},
        {"/tmp/jit-.dump", 0},
        {"/tmp/jit-7.dumps", 0},
        {"/tmp/jit-7", 0},
        {"/tmp/jit--7.dump", 0},
        {"/tmp/jit-07.dump", 0},
        {"jit-7.dump", 0},
        {"/tmp/ajit-7.dump", 0},
        {"", 0},
        {"/tmp/jit-4294967297.dump", 0},
        {"/tmp/jit-7.dump (deleted)", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        CHECK_EQ(jit_dump_pid(cases[i].path), cases[i].pid);
}

TEST(names_come_from_the_dump_even_when_it_was_deleted) {
    write_dump();
    CHECK_STR(dumped_name(true, false), "dumped");
    CHECK_STR(dumped_name(false, false), "dumped");
    CHECK_STR(dumped_name(true, true), "dumped");
    CHECK_STR(dumped_name(true, false), "");
}

TEST(a_dump_must_be_a_plain_file_of_the_process_s_user) {
    CHECK_EQ(mkfifo(dump_path(), 0600), 0);
    CHECK_STR(dumped_name(true, false), ""); /* and does not hang */
    CHECK_STR(dumped_name(false, true), "");
    if (geteuid())
        SKIP("only root can give a file away");
    write_dump();
    CHECK_EQ(chown(dump_path(), 65534, 65534), 0);
    CHECK_STR(dumped_name(true, true), "");
}

TEST(a_process_that_was_never_seen_has_no_names) {
    struct jit *jit = jit_new(0x3fffffff);
    jit_begin(jit);
    jit_load(jit);
    CHECK(!jit->table);
    jit_free(jit);
}

TEST_MAIN()
