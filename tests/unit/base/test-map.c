/* SPDX-License-Identifier: MIT */
#include "base/map.h"
#include "tests/check.h"

TEST(a_map_agrees_with_an_array_through_puts_and_removals) {
    enum { KEYS = 5000, STEPS = 200000 };
    static uint64_t wanted[KEYS]; /* 0: absent */
    struct map map = {0};
    uint64_t state = 1;
    size_t used = 0;
    for (size_t step = 1; step <= STEPS; step++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t key = (state >> 33) % KEYS;
        if (state >> 63) {
            bool is_new;
            uint64_t *value = map_put(&map, key, &is_new);
            CHECK(value);
            CHECK_EQ(is_new, !wanted[key]);
            used += is_new;
            *value = wanted[key] = step;
        } else {
            CHECK_EQ(map_remove(&map, key), wanted[key] != 0);
            used -= wanted[key] != 0;
            wanted[key] = 0;
        }
        CHECK_EQ(map.used, used);
    }
    for (size_t key = 0; key < KEYS; key++) {
        uint64_t *value = map_find(&map, key);
        CHECK_EQ(value ? *value : 0, wanted[key]);
    }
    size_t visited = 0;
    for (size_t i = map_next(&map, 0); i < map.capacity; i = map_next(&map, i + 1))
        visited++;
    CHECK_EQ(visited, used);
    map_free(&map);
}

TEST_MAIN()
