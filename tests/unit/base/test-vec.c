/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/frame.h"
#include "base/macros.h"
#include "base/vec.h"
#include "tests/check.h"

struct thing {
    uint64_t key, rest[4];
};

TEST(pushed_elements_are_zeroed_and_stay) {
    VEC(struct thing) things = {0};
    for (uint64_t i = 0; i < 10000; i++) {
        CHECK(vec_push(&things));
        CHECK_EQ(things.items[i].key, 0);
        things.items[i].key = i;
        things.items[i].rest[3] = ~i;
    }
    CHECK_EQ(things.count, 10000);
    CHECK(things.count <= things.capacity);
    for (uint64_t i = 0; i < things.count; i++)
        CHECK_EQ(things.items[i].rest[3], ~i);
    vec_free(&things);
    CHECK(!things.items && !things.capacity);
}

TEST(an_impossible_size_leaves_the_vector_as_it_was) {
    size_t capacity = 0;
    void *items = vec_grow_(NULL, &capacity, 1, 8);
    CHECK(items);
    size_t before = capacity;
    CHECK(!vec_grow_(items, &capacity, SIZE_MAX / 4, 8));
    CHECK_EQ(capacity, before);
    free(items);
}

TEST(resources_are_released_at_the_end_of_their_scope_unless_taken) {
    int released, kept;
    {
        _cleanup_close_ int a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(a >= 0 && b >= 0);
        released = a;
        kept = TAKE_FD(b);
        CHECK_EQ(b, -1);
    }
    CHECK_EQ(fcntl(released, F_GETFD), -1);
    CHECK(fcntl(kept, F_GETFD) >= 0);
    close(kept);
}

TEST(every_class_and_every_end_has_a_name_of_its_own) {
    for (unsigned i = 0; i < FRAME_CLASS_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            CHECK(frame_class_name(i) && strcmp(frame_class_name(i), frame_class_name(k)));
    for (unsigned i = 0; i < STACK_END_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            CHECK(stack_end_name(i) && strcmp(stack_end_name(i), stack_end_name(k)));
    CHECK(frame_class_name(1000) && stack_end_name(1000));
}

TEST(rounding_up_reaches_the_next_multiple) {
    CHECK_EQ(ROUND_UP(0, 8), 0);
    CHECK_EQ(ROUND_UP(1, 8), 8);
    CHECK_EQ(ROUND_UP(8, 8), 8);
    CHECK_EQ(ROUND_UP((uint64_t)0xfffffffff001, 0x1000), 0x1000000000000);
}

TEST_MAIN()
