/* SPDX-License-Identifier: MIT */
#include "report/text.h"
#include "tests/check.h"

static char *put(enum text_style style, const char *text) {
    static struct buffer b;
    buffer_clear(&b);
    text_put(&b, style, text, strlen(text));
    buffer_put_u8(&b, 0);
    return (char *)b.data;
}

TEST(the_terminal_sees_no_control) {
    CHECK_STR(put(TEXT_TERMINAL, "plain; (name) <x> 3"), "plain; (name) <x> 3");
    CHECK_STR(put(TEXT_TERMINAL, "\x1b]0;pwned\a"), "\\x1b]0;pwned\\x07");
    CHECK_STR(put(TEXT_TERMINAL, "a\r\n\tb\x7f"), "a\\x0d\\x0a\\x09b\\x7f");
    CHECK_STR(put(TEXT_TERMINAL, "\xc2\x9b"
                                 "31m"),
              "\\xc2\\x9b31m");                                       /* CSI of C1 */
    CHECK_STR(put(TEXT_TERMINAL, "\xe2\x80\xae"), "\\xe2\\x80\\xae"); /* right-to-left override */
    CHECK_STR(put(TEXT_TERMINAL, "\xce\xbb \xf0\x9f\x94\xa5"), "\xce\xbb \xf0\x9f\x94\xa5");
}

TEST(broken_utf8_is_shown_as_bytes) {
    CHECK_STR(put(TEXT_TERMINAL, "a\xff"), "a\\xff");
    CHECK_STR(put(TEXT_TERMINAL, "\xc0\xaf"), "\\xc0\\xaf");                   /* overlong */
    CHECK_STR(put(TEXT_TERMINAL, "\xed\xa0\x80"), "\\xed\\xa0\\x80");          /* a surrogate */
    CHECK_STR(put(TEXT_TERMINAL, "\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
    CHECK_STR(put(TEXT_TERMINAL, "\xe2\x82"), "\\xe2\\x82");                   /* cut off */
}

TEST(a_folded_frame_keeps_the_grammar) {
    CHECK_STR(put(TEXT_FOLDED, "a;b"), "a:b");
    CHECK_STR(put(TEXT_FOLDED, "a\r\nb\tc\x1b"), "a  b c");
    CHECK_STR(put(TEXT_FOLDED, "  a  "), "a");
    CHECK_STR(put(TEXT_FOLDED, "a\xff"
                               "b"),
              "a\xef\xbf\xbd"
              "b");
    CHECK_STR(put(TEXT_FOLDED, "\xe2\x80\xa8x"), "x"); /* line separator */
    CHECK_STR(put(TEXT_FOLDED, " \n "), "");
    CHECK_STR(put(TEXT_FOLDED, "\xc2\xa0x\xe3\x80\x80y\xe2\x80\x89"), "x y"); /* no-break, ideographic, thin */
}

TEST(a_trailing_number_is_tied_to_its_name) {
    CHECK_STR(put(TEXT_FOLDED, "foo 3"), "foo_3");
    CHECK_STR(put(TEXT_FOLDED, "foo 3 14"), "foo 3_14");
    CHECK_STR(put(TEXT_FOLDED, "foo 3.5"), "foo_3.5");
    CHECK_STR(put(TEXT_FOLDED, "foo 3."), "foo_3.");
    CHECK_STR(put(TEXT_FOLDED, "foo\t3"), "foo_3");
    CHECK_STR(put(TEXT_FOLDED, "foo 3 "), "foo_3");
    CHECK_STR(put(TEXT_FOLDED, "foo .5"), "foo .5");
    CHECK_STR(put(TEXT_FOLDED, "foo3"), "foo3");
    CHECK_STR(put(TEXT_FOLDED, "3"), "3");
    CHECK_STR(put(TEXT_FOLDED, "1 2"), "1_2");
    CHECK_STR(put(TEXT_FOLDED, "v1.2 3x"), "v1.2 3x");
}

TEST(a_huge_name_is_cut_between_characters) {
    struct buffer b = {0}, name = {0};
    for (int i = 0; i < 65536; i++)
        buffer_put(&name, "\xce\xbb", 2);
    text_put(&b, TEXT_FOLDED, (char *)name.data, name.length);
    CHECK(b.length <= TEXT_FRAME_MAX);
    CHECK(b.length > TEXT_FRAME_MAX - 8);
    CHECK(memmem(b.data, b.length, "\xce\xbb[...]\xce\xbb", 9));
    struct buffer again = {0};
    text_put(&again, TEXT_TERMINAL, (char *)b.data, b.length); /* still valid UTF-8 */
    CHECK_EQ(again.length, b.length);
    buffer_free(&again);
    buffer_free(&b);
    buffer_free(&name);
}

TEST(width_counts_characters) {
    CHECK_EQ(text_width("\xce\xbbx", 3), 2);
    CHECK_EQ(text_fit("\xce\xbb\xce\xbbx", 5, 2), 4);
    CHECK_EQ(text_fit("abc", 3, 9), 3);
    CHECK_EQ(text_fit("abc", 3, 0), 0);
}

TEST_MAIN()
