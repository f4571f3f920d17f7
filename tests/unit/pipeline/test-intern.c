/* SPDX-License-Identifier: MIT */
#include "pipeline/intern.h"
#include "tests/check.h"

TEST(equal_rows_have_one_id) {
    struct intern in = {0};
    CHECK_EQ(intern_reset(&in), 0);
    CHECK_EQ(in.nodes.count, STACK_END_COUNT);
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 20000; i++) {
            struct intern_frame frame = {.address = i / 4 * 0x1000, .module = i % 2, .kind = 0, .class = (uint8_t)(i / 2 % 2), .flags = 0};
            uint32_t id;
            bool is_new;
            CHECK_EQ(intern_frame(&in, &frame, &id, &is_new), 0);
            CHECK_EQ(id, i);
            CHECK_EQ(is_new, !round);
            CHECK_EQ(intern_node(&in, i % 3 ? STACK_END_COUNT : 0, i, &id, &is_new), 0);
            CHECK_EQ(id, STACK_END_COUNT + i);
            CHECK_EQ(is_new, !round);
        }
    intern_free(&in);
}

TEST(reset_starts_anew) {
    struct intern in = {0};
    uint32_t id;
    bool is_new;
    struct intern_frame frame = {.address = 5};
    CHECK_EQ(intern_reset(&in), 0);
    intern_frame(&in, &(struct intern_frame){.address = 4}, &id, &is_new);
    intern_frame(&in, &frame, &id, &is_new);
    CHECK_EQ(id, 1);
    intern_node(&in, STACK_COMPLETE, id, &id, &is_new);
    CHECK_EQ(intern_reset(&in), 0);
    intern_frame(&in, &frame, &id, &is_new);
    CHECK_EQ(id, 0);
    CHECK(is_new);
    intern_node(&in, STACK_COMPLETE, 0, &id, &is_new);
    CHECK_EQ(id, STACK_END_COUNT);
    CHECK(is_new);
    intern_free(&in);
}

TEST_MAIN()
