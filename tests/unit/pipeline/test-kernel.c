/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "pipeline/kernel.h"
#include "tests/check.h"
#include "tests/unit/process/listener.h"

static const char *name_at(struct kernel *kernel, struct process_table *table, uint64_t address) {
    return kernel_module(kernel, table, address)->path;
}

TEST(addresses_belong_to_modules) {
    char path[] = "/tmp/cprof-modules-XXXXXX";
    int fd = mkstemp(path);
    dprintf(fd, "ext4 8192 1 - Live 0xffffffffc0005000\n"
                "jbd2 8192 1 ext4,xfs, Live 0xffffffffc0001000 (OE)\n"
                "hidden 4096 0 - Live 0x0000000000000000\n"
                "wrapping 18446744073709551615 0 - Live 0xffffffffffffff00\n"
                "broken\n\n");
    close(fd);
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct kernel kernel = {0};
    CHECK_EQ(kernel_read(&kernel, path), 0);
    unlink(path);
    CHECK_EQ(kernel.ranges.count, 2);
    CHECK_STR(name_at(&kernel, table, 0xffffffff81000000), "[kernel]");
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0000fff), "[kernel]");
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0001000), "[jbd2]");
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0002fff), "[jbd2]");
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0003000), "[kernel]");
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0005000), "[ext4]");
    CHECK_STR(name_at(&kernel, table, 0xfffffffffffffff0), "[kernel]");
    kernel_free(&kernel);
    process_table_free(table);
}

TEST(without_the_file_all_is_kernel) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct kernel kernel = {0};
    CHECK_EQ(kernel_read(&kernel, "/nonexistent"), 0);
    CHECK_STR(name_at(&kernel, table, 0xffffffffc0001000), "[kernel]");
    kernel_free(&kernel);
    process_table_free(table);
}

TEST_MAIN()
