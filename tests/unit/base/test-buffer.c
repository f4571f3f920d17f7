/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"
#include "tests/check.h"

TEST(what_is_put_is_there) {
    struct buffer b = {0};
    buffer_put_u8(&b, 1);
    buffer_put_u16(&b, 0x0302);
    buffer_put_u32(&b, 0x07060504);
    buffer_put_u64(&b, 0x0f0e0d0c0b0a0908);
    CHECK_EQ(b.length, 15);
    for (size_t i = 0; i < b.length; i++)
        CHECK_EQ(b.data[i], i + 1);
    buffer_free(&b);
    CHECK(!b.data && !b.capacity);
}

TEST(it_grows_and_keeps_its_content) {
    struct buffer b = {0};
    for (uint32_t i = 0; i < 100000; i++)
        buffer_put_u32(&b, i);
    CHECK_EQ(b.length, 400000);
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t got;
        memcpy(&got, b.data + 4 * (size_t)i, 4);
        CHECK_EQ(got, i);
    }
    size_t capacity = b.capacity;
    buffer_clear(&b);
    CHECK_EQ(b.length, 0);
    CHECK_EQ(b.capacity, capacity);
    buffer_free(&b);
}

TEST(an_impossible_reservation_fails_for_good) {
    struct buffer b = {0};
    buffer_put_u8(&b, 7);
    CHECK(!buffer_reserve(&b, SIZE_MAX - 16));
    CHECK(b.failed);
    buffer_put_u8(&b, 8);
    buffer_put(&b, "xyz", 3);
    CHECK_EQ(b.length, 1);
    buffer_clear(&b);
    buffer_put_u8(&b, 9);
    CHECK_EQ(b.length, 1);
    CHECK_EQ(b.data[0], 9);
    buffer_free(&b);
}

TEST(strings_carry_their_length) {
    struct buffer b = {0};
    buffer_put_string(&b, "main", 4);
    buffer_put_string(&b, NULL, 0);
    CHECK_EQ(b.length, 6);
    CHECK(!memcmp(b.data, "\4main\0", 6));
    buffer_free(&b);
}

TEST(printf_appends_and_counts_no_nul) {
    struct buffer b = {0};
    buffer_printf(&b, "%s=%d", "n", 42);
    buffer_printf(&b, ";%0500d", 0);
    CHECK_EQ(b.length, 505);
    CHECK(!memcmp(b.data, "n=42;000", 8));
    buffer_free(&b);
}

TEST(room_for_nothing_is_room) {
    struct buffer b = {0};
    buffer_put(&b, NULL, 0);
    CHECK(!b.failed && !b.length);
    CHECK(buffer_reserve(&b, 0)); /* NULL would mean that memory is out */
    buffer_free(&b);
}

TEST_MAIN()
