/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "symbol/symbol.h"
#include "tests/check.h"
#include "tests/unit/symbol/names.h"

enum { PID = 77, LOAD = 0, MOVE = 1, DEBUG_INFO = 2, CLOSE = 3, CODE = 16 };

static void put_header(struct buffer *dump, uint32_t magic, uint32_t length, uint32_t pid) {
    const uint32_t head[] = {magic, 1, length, 62, 0, pid};
    buffer_put(dump, head, sizeof head);
    while (dump->length < length)
        buffer_put_u8(dump, 0);
}

static void put_head(struct buffer *dump, uint32_t type, uint32_t body) {
    const uint32_t head[] = {type, 16 + body, 1, 0};
    buffer_put(dump, head, sizeof head);
}

static void put_load(struct buffer *dump, uint32_t pid, uint64_t address, uint64_t index, const char *name) {
    const uint32_t ids[] = {pid, pid};
    const uint64_t words[] = {address, address, CODE, index};
    static const uint8_t code[CODE];
    put_head(dump, LOAD, (uint32_t)(sizeof ids + sizeof words + strlen(name) + 1 + CODE));
    buffer_put(dump, ids, sizeof ids);
    buffer_put(dump, words, sizeof words);
    buffer_put(dump, name, strlen(name) + 1);
    buffer_put(dump, code, CODE);
}

static void put_move(struct buffer *dump, uint64_t from, uint64_t to, uint64_t index) {
    const uint32_t ids[] = {PID, PID};
    const uint64_t words[] = {to, from, to, CODE, index};
    put_head(dump, MOVE, sizeof ids + sizeof words);
    buffer_put(dump, ids, sizeof ids);
    buffer_put(dump, words, sizeof words);
}

static int file_of(const struct buffer *dump) {
    int fd = memfd_create("dump", MFD_CLOEXEC);
    if (write(fd, dump->data, dump->length) != (ssize_t)dump->length)
        abort();
    return fd;
}

TEST(code_has_the_name_of_what_was_last_put_there_and_keeps_it_where_it_moves) {
    struct buffer dump = {0};
    struct symbol_table *table = NULL;
    size_t skipped = 0;
    put_header(&dump, 0x4a695444, 48, PID); /* longer than this version's */
    put_load(&dump, PID, 0x1000, 1, "first");
    put_head(&dump, DEBUG_INFO, 16);
    const uint64_t nothing[] = {0, 0};
    buffer_put(&dump, nothing, sizeof nothing);
    put_load(&dump, PID, 0x2000, 2, "LazyCompile:~f file.js:1");
    put_move(&dump, 0x1000, 0x3000, 1);
    put_load(&dump, PID, 0x1008, 3, "on top");
    put_move(&dump, 0x1000, 0x4000, 9); /* of code that nobody put anywhere */
    put_load(&dump, PID + 1, 0x5000, 4, "of another process");
    put_load(&dump, PID, 0x6000, 5, "");
    put_head(&dump, CLOSE, 0);
    put_load(&dump, PID, 0x7000, 6, "behind the end");
    int fd = file_of(&dump);
    CHECK_EQ(symbol_table_add_jitdump(fd, PID, &table, &skipped), 0);
    CHECK_EQ(skipped, 3);
    CHECK_STR(name_at(table, 0xfff), NULL);
    CHECK_STR(name_at(table, 0x1007), "first");
    CHECK_STR(name_at(table, 0x1008), "on top");
    CHECK_STR(name_at(table, 0x200f), "LazyCompile:~f file.js:1");
    CHECK_STR(name_at(table, 0x2010), NULL);
    CHECK_STR(name_at(table, 0x3000), "first");
    CHECK_STR(name_at(table, 0x4000), NULL);
    CHECK_STR(name_at(table, 0x5000), NULL);
    CHECK_STR(name_at(table, 0x6000), NULL);
    CHECK_STR(name_at(table, 0x7000), NULL);
    symbol_table_free(table);
    close(fd);
    buffer_free(&dump);
}

TEST(a_dump_wins_over_a_map) {
    struct buffer dump = {0}, text = {0};
    struct symbol_table *table;
    size_t skipped;
    buffer_put(&text, "1000 10 of_map\n2000 10 of_map_alone\n", 36);
    int map = file_of(&text);
    CHECK_EQ(lseek(map, 0, SEEK_SET), 0);
    CHECK_EQ(symbol_table_open_perf_map(map, &table, &skipped), 0);
    put_header(&dump, 0x4a695444, 40, PID);
    put_load(&dump, PID, 0x1000, 1, "of_dump");
    int fd = file_of(&dump);
    CHECK_EQ(symbol_table_add_jitdump(fd, PID, &table, &skipped), 0);
    CHECK_STR(name_at(table, 0x1000), "of_dump");
    CHECK_STR(name_at(table, 0x2000), "of_map_alone");
    symbol_table_free(table);
    close(fd);
    close(map);
    buffer_free(&dump);
    buffer_free(&text);
}

TEST(many_records_in_a_large_file) {
    enum { COUNT = 5000 };
    struct buffer dump = {0};
    struct symbol_table *table = NULL;
    size_t skipped = 0;
    put_header(&dump, 0x4a695444, 40, PID);
    for (uint64_t i = 0; i < COUNT; i++) {
        char name[300];
        snprintf(name, sizeof name, "%0*d", (int)(i % 250) + 1, (int)i);
        put_load(&dump, PID, 0x10000 + i * CODE, i, name);
    }
    int fd = file_of(&dump);
    CHECK_EQ(symbol_table_add_jitdump(fd, PID, &table, &skipped), 0);
    CHECK_EQ(skipped, 0);
    size_t right = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        const char *name = name_at(table, 0x10000 + i * CODE + 3);
        right += name && strtoul(name, NULL, 10) == i;
    }
    CHECK_EQ(right, COUNT);
    symbol_table_free(table);
    close(fd);
    buffer_free(&dump);
}

TEST(what_is_cut_off_is_counted_and_what_is_no_dump_refused) {
    struct buffer dump = {0};
    struct symbol_table *table = NULL;
    size_t skipped = 0;
    put_header(&dump, 0x4a695444, 40, PID);
    put_load(&dump, PID, 0x1000, 1, "whole");
    size_t whole = dump.length;
    put_load(&dump, PID, 0x2000, 2, "cut");
    for (size_t length = whole + 1; length < whole + 16 + 44; length++) { /* as far as into the name */
        dump.length = length;
        int fd = file_of(&dump);
        skipped = 0;
        CHECK_EQ(symbol_table_add_jitdump(fd, PID, &table, &skipped), 0);
        CHECK_EQ(skipped, 1);
        CHECK_STR(name_at(table, 0x1000), "whole");
        CHECK_STR(name_at(table, 0x2000), NULL);
        symbol_table_free(table);
        table = NULL;
        close(fd);
    }
    static const struct {
        uint32_t magic, length, pid;
    } others[] = {{0x4454694a, 40, PID}, {0x4a695444, 39, PID}, {0x4a695444, 40, PID + 1}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        buffer_clear(&dump);
        put_header(&dump, others[i].magic, others[i].length, others[i].pid);
        int fd = file_of(&dump);
        CHECK_EQ(symbol_table_add_jitdump(fd, PID, &table, &skipped), -EBADMSG);
        CHECK(!table);
        close(fd);
    }
    buffer_free(&dump);
}

TEST_MAIN()
