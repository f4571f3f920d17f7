/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"
#include "base/bytes.h"
#include "tests/check.h"

TEST(reads_stop_at_the_end_and_say_so) {
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
    struct bytes b = bytes_of(data, sizeof data);
    CHECK_EQ(bytes_u32(&b), 0x04030201);
    CHECK_EQ(bytes_left(&b), 3);
    CHECK(!b.failed);
    CHECK_EQ(bytes_u32(&b), 0);
    CHECK(b.failed);
    CHECK_EQ(bytes_u8(&b), 0); /* a failed cursor stays failed, though three bytes were left */
    CHECK(bytes_empty(&b));
}

TEST(a_huge_length_is_compared_and_not_added) {
    static const uint8_t data[4];
    struct bytes b = bytes_of(data, sizeof data);
    CHECK(!bytes_take(&b, UINT64_MAX));
    CHECK(b.failed);
    b = bytes_of(data, sizeof data);
    struct bytes sub = bytes_sub(&b, 5);
    CHECK(sub.failed && b.failed);
    CHECK_EQ(bytes_left(&sub), 0);
}

TEST(a_sub_cursor_ends_where_it_was_told) {
    static const uint8_t data[] = {1, 2, 3, 4};
    struct bytes b = bytes_of(data, sizeof data), sub = bytes_sub(&b, 2);
    CHECK_EQ(bytes_u16(&sub), 0x0201);
    CHECK_EQ(bytes_u8(&sub), 0);
    CHECK(sub.failed && !b.failed);
    CHECK_EQ(bytes_u16(&b), 0x0403);
}

TEST(nothing_is_an_empty_cursor) {
    struct bytes b = bytes_of(NULL, 0);
    CHECK(bytes_empty(&b) && !b.failed);
    CHECK(!bytes_string(&b));
    CHECK(b.failed);
}

TEST(leb128_goes_through_both_ways) {
    static const int64_t values[] = {0, 1, -1, 63, 64, -64, -65, 127, 128, -128, 300, -300, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct buffer out = {0};
        buffer_put_sleb(&out, values[i]);
        buffer_put_uleb(&out, (uint64_t)values[i]);
        struct bytes in = bytes_of(out.data, out.length);
        CHECK_EQ(bytes_sleb(&in), values[i]);
        CHECK_EQ(bytes_uleb(&in), values[i]);
        CHECK(bytes_empty(&in) && !in.failed);
        buffer_free(&out);
    }
}

TEST(leb128_as_the_dwarf_standard_writes_it) {
    static const uint8_t data[] = {0xb9, 0x64, /* sleb 12857's first half as uleb: 57 + 128 * 100 */
                                   0x80, 0x7f, /* sleb -128 */
                                   0x80, 0x00 /* uleb 0, padded */};
    struct bytes b = bytes_of(data, sizeof data);
    CHECK_EQ(bytes_uleb(&b), 12857);
    CHECK_EQ(bytes_sleb(&b), -128);
    CHECK_EQ(bytes_uleb(&b), 0);
    CHECK(!b.failed);
}

TEST(leb128_without_an_end_fails) {
    uint8_t data[20];
    memset(data, 0xff, sizeof data);
    struct bytes b = bytes_of(data, sizeof data);
    bytes_uleb(&b);
    CHECK(b.failed);
    b = bytes_of(data, 3);
    bytes_sleb(&b);
    CHECK(b.failed);
}

TEST(a_string_needs_its_nul) {
    struct bytes b = bytes_of("ab\0cd", 5);
    CHECK_STR(bytes_string(&b), "ab");
    CHECK(!bytes_string(&b));
    CHECK(b.failed);
}

TEST_MAIN()
