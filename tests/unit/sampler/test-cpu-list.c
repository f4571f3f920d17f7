/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "sampler/cpu-list.h"
#include "tests/check.h"

static void check_list(const char *text, int count, int last) {
    cpu_list list = {0};
    CHECK_EQ(cpu_list_parse(text, &list), 0);
    CHECK_EQ(list.count, count);
    CHECK_EQ(list.items[list.count - 1], last);
    vec_free(&list);
}

TEST(lists) {
    check_list("0\n", 1, 0);
    check_list("0-3,8,10-11\n", 7, 11);
    check_list("4-4", 1, 4);
    check_list("0-4095\n", 4096, 4095);
}

TEST(what_is_no_list) {
    static const char *const texts[] = {"", "\n", "a", "1-", "3-1", "1,", "1,,2", "1-2-3", "-1", "99999999999999999999", "0-65536"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cpu_list list = {0};
        if (cpu_list_parse(texts[i], &list) == 0)
            CHECK_FAIL("\"%s\" was taken for a list", texts[i]);
        vec_free(&list);
    }
}

TEST(this_machine_has_a_cpu) {
    cpu_list list = {0};
    CHECK_EQ(cpu_list_online(&list), 0);
    CHECK(list.count > 0);
    vec_free(&list);
}

TEST_MAIN()
