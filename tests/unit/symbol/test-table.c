/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/symbol.h"
#include "tests/check.h"
#include "tests/unit/symbol/names.h"

static int text_file(const char *text) {
    int fd = memfd_create("text", MFD_CLOEXEC);
    if (write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    return fd;
}

TEST(a_perf_map_lets_later_lines_win_wherever_they_overlap) {
    int fd = text_file(
        "1000 64 first\n100a a inner, with spaces\n100f f second inner\nnonsense\n2000 0 empty\n0x3000 0x10 prefixed\n3005 1 dot\n"
        "ffffffffffffffff ff wraps\n4000 10 cut");
    struct symbol_table *table;
    size_t skipped;
    CHECK_EQ(symbol_table_open_perf_map(fd, &table, &skipped), 0);
    CHECK_EQ(skipped, 3);
    CHECK_STR(name_at(table, 0xfff), NULL);
    CHECK_STR(name_at(table, 0x1000), "first");
    CHECK_STR(name_at(table, 0x100a), "inner, with spaces");
    CHECK_STR(name_at(table, 0x100e), "inner, with spaces");
    CHECK_STR(name_at(table, 0x100f), "second inner");
    CHECK_STR(name_at(table, 0x101d), "second inner");
    CHECK_STR(name_at(table, 0x101e), "first");
    CHECK_STR(name_at(table, 0x1063), "first");
    CHECK_STR(name_at(table, 0x1064), NULL);
    CHECK_STR(name_at(table, 0x3005), "dot");
    CHECK_STR(name_at(table, 0x3006), "prefixed");
    CHECK_STR(name_at(table, 0x400f), "cut");
    symbol_table_free(table);
    close(fd);
}

TEST(kallsyms_gives_text_symbols_with_their_modules) {
    int fd = text_file("ffffffff81000000 T _stext\nffffffff81000000 T _text\nffffffff81000100 t do_work\nffffffff81000180 D some_data\n"
                       "ffffffff81000200 t _RNvC6_123foo3bar\nffffffff81000300 t act.isra.0\n"
                       "ffffffffc0000000 t ext4_read\t[ext4]\n");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct symbol_table *table;
    const char *name, *module;
    uint64_t start;
    CHECK_EQ(symbol_table_open_kallsyms(path, NULL, 0, &table), 0);
    CHECK_STR(name_at(table, 0xffffffff81000050), "_stext");
    CHECK(symbol_table_find(table, 0xffffffff81000190, &name, &module, &start));
    CHECK_STR(name, "do_work");
    CHECK_STR(module, "[kernel]");
    CHECK_EQ(start, 0xffffffff81000100);
    CHECK_STR(name_at(table, 0xffffffff81000210), "123foo::bar");
    CHECK_STR(name_at(table, 0xffffffff81000310), "act.isra.0");
    CHECK(symbol_table_find(table, 0xffffffffc0000010, &name, &module, &start));
    CHECK_STR(module, "[ext4]");
    symbol_table_free(table);
    close(fd);
}

static const char kallsyms[] =
    "0000000000000000 A fixed_percpu_data\n"
    "ffffffff81000000 T _stext\nffffffff81000000 T _text\nffffffff81000100 t do_work\nffffffff81000180 D some_data\n"
    "ffffffff81000200 t _RNvC6_123foo3bar\nffffffff81000300 t more\nffffffff81000300 t alias\nffffffff81000400 t last\nffffffff81000500 t "
    "beyond\n"
    "ffffffffc0000800 t ext4_write\t[ext4]\nffffffffc0000000 t ext4_read\t[ext4]\nffffffffbff00000 t early\t[xfs]\n";

/* The table of some addresses says of them what the table of all does. */
static void check_same(const uint64_t *wanted, size_t count) {
    int fd = text_file(kallsyms);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct symbol_table *all, *some;
    CHECK_EQ(symbol_table_open_kallsyms(path, NULL, 0, &all), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(symbol_table_open_kallsyms(path, wanted, count, &some), 0);
    for (size_t i = 0; i < count; i++) {
        const char *names[2] = {NULL, NULL}, *modules[2] = {NULL, NULL};
        uint64_t starts[2] = {0, 0};
        bool found[2] = {symbol_table_find(all, wanted[i], &names[0], &modules[0], &starts[0]),
                         symbol_table_find(some, wanted[i], &names[1], &modules[1], &starts[1])};
        CHECK_EQ(found[0], found[1]);
        CHECK_STR(names[0], names[1]);
        CHECK_STR(modules[0], modules[1]);
        CHECK_EQ(starts[0], starts[1]);
    }
    symbol_table_free(all);
    symbol_table_free(some);
    close(fd);
}

TEST(kallsyms_of_some_addresses_says_what_all_of_it_says) {
    static const uint64_t edges[] = {0xffffffff80ffffff, 0xffffffff81000000, 0xffffffff810000ff, 0xffffffff81000100, 0xffffffff81000150,
                                     0xffffffff81000300, 0xffffffff81000301, 0xffffffff81000450, 0xffffffffbff00000, 0xffffffffbff00fff,
                                     0xffffffffc0000000, 0xffffffffc00007ff, 0xffffffffc0000800, 0xffffffffc0001800};
    check_same(edges, ARRAY_SIZE(edges));
    for (size_t first = 0; first < ARRAY_SIZE(edges); first++)
        for (size_t count = 1; first + count <= ARRAY_SIZE(edges); count++)
            check_same(edges + first, count);
}

TEST(kallsyms_reads_no_further_than_the_last_address) {
    int fd = text_file(kallsyms);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct symbol_table *table;
    uint64_t wanted[] = {0xffffffff81000110, 0xffffffff81000210};
    CHECK_EQ(symbol_table_open_kallsyms(path, wanted, 2, &table), 0);
    CHECK_STR(name_at(table, wanted[0]), "do_work");
    CHECK_STR(name_at(table, wanted[1]), "123foo::bar");
    CHECK_STR(name_at(table, 0xffffffffc0000010), NULL);
    symbol_table_free(table);
    close(fd);
}

TEST(kallsyms_with_hidden_addresses_is_refused) {
    int fd = text_file("0000000000000000 T _stext\n0000000000000000 t do_work\n");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct symbol_table *table;
    CHECK_EQ(symbol_table_open_kallsyms(path, NULL, 0, &table), -EACCES);
    close(fd);
}

TEST_MAIN()
