/* SPDX-License-Identifier: MIT */
#include "base/strings.h"
#include "tests/check.h"

TEST(equal_strings_have_one_id_and_ids_are_dense) {
    struct strings s = {0};
    char name[32];
    uint32_t id;
    for (uint32_t i = 0; i < 20000; i++) {
        int length = snprintf(name, sizeof name, "function_%u", i);
        CHECK_EQ(strings_intern(&s, name, (size_t)length, &id), 0);
        CHECK_EQ(id, i);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        int length = snprintf(name, sizeof name, "function_%u", i);
        CHECK_EQ(strings_intern(&s, name, (size_t)length, &id), 0);
        CHECK_EQ(id, i);
        CHECK_STR(strings_get(&s, id), name);
    }
    strings_free(&s);
}

TEST(addresses_never_change) {
    struct strings s = {0};
    uint32_t id;
    CHECK_EQ(strings_intern(&s, "first", 5, &id), 0);
    const char *first = strings_get(&s, id);
    for (uint32_t i = 0; i < 50000; i++)
        CHECK_EQ(strings_intern(&s, (const char *)&i, sizeof i, &id), 0);
    CHECK(strings_get(&s, 0) == first);
    CHECK_STR(first, "first");
    strings_free(&s);
}

TEST(any_byte_may_be_in_a_string) {
    struct strings s = {0};
    uint32_t empty, a, b;
    CHECK_EQ(strings_intern(&s, NULL, 0, &empty), 0);
    CHECK_EQ(strings_intern(&s, "x\0y", 3, &a), 0);
    CHECK_EQ(strings_intern(&s, "x", 1, &b), 0);
    CHECK(empty != a && a != b && b != empty);
    CHECK_STR(strings_get(&s, empty), "");
    CHECK_EQ(s.entries.items[a].length, 3);
    strings_free(&s);
}

TEST(a_string_larger_than_a_block_fits) {
    struct strings s = {0};
    enum { LENGTH = 1 << 20 };
    char *large = malloc(LENGTH);
    CHECK(large);
    memset(large, 'x', LENGTH);
    uint32_t id, again;
    CHECK_EQ(strings_intern(&s, large, LENGTH, &id), 0);
    CHECK_EQ(strings_intern(&s, large, LENGTH, &again), 0);
    CHECK_EQ(id, again);
    CHECK_EQ(strlen(strings_get(&s, id)), LENGTH);
    free(large);
    strings_free(&s);
}

TEST_MAIN()
