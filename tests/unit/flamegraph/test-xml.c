/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "flamegraph/xml.h"
#include "tests/check.h"

static char *escaped(const char *text, size_t length) {
    static char result[512];
    struct buffer buffer = {0};
    xml_escape(&buffer, text, length);
    snprintf(result, sizeof result, "%.*s", (int)buffer.length, (const char *)buffer.data);
    buffer_free(&buffer);
    return result;
}

#define ESCAPED(text) escaped(text, sizeof(text) - 1)
#define BAD           "\xef\xbf\xbd"

TEST(markup) {
    CHECK_STR(ESCAPED("std::vector<int>::at(\"x\" && y)"), "std::vector&lt;int&gt;::at(&quot;x&quot; &amp;&amp; y)");
    CHECK_STR(ESCAPED("]]>"), "]]&gt;");
    CHECK_STR(ESCAPED("it's"), "it's");
    CHECK_STR(ESCAPED(""), "");
}

TEST(characters_xml_cannot_hold) {
    CHECK_STR(ESCAPED("a\0b\x01\x1b\x7f"), "a" BAD "b" BAD BAD BAD);
    CHECK_STR(ESCAPED("a\tb\rc\nd"), "a b c d");
    CHECK_STR(ESCAPED("\xef\xbf\xbe\xef\xbf\xbf"), BAD BAD);
}

TEST(utf8) {
    CHECK_STR(ESCAPED("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5");
    CHECK_STR(ESCAPED("\xff\xfe"), BAD BAD);
    CHECK_STR(ESCAPED("\xc0\xaf"), BAD BAD);                 /* overlong */
    CHECK_STR(ESCAPED("\xe0\x80\xaf"), BAD BAD BAD);         /* overlong */
    CHECK_STR(ESCAPED("\xed\xa0\x80"), BAD BAD BAD);         /* surrogate */
    CHECK_STR(ESCAPED("\xf4\x90\x80\x80"), BAD BAD BAD BAD); /* past U+10FFFF */
    CHECK_STR(ESCAPED("\xe2\x82"), BAD BAD);                 /* cut short */
    CHECK_STR(ESCAPED("\xe2<"), BAD "&lt;");                 /* a lead byte must not swallow markup */
}

TEST(links) {
    static const char *const safe[] = {"https://x/y:z", "a.html", "/a:b", "?a=b:c", "#x:y", "mailto:x@y", "vscode://file/x", ""};
    static const char *const unsafe[] = {"javascript:x",  "JavaScript:x",   "data:text/html,x", "vbscript:x",
                                         " javascript:x", "java\nscript:x", "\x01javascript:x", ":x"};
    for (size_t i = 0; i < ARRAY_SIZE(safe); i++)
        CHECK(xml_link_is_safe(safe[i]));
    for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++)
        CHECK(!xml_link_is_safe(unsafe[i]));
}

TEST(columns) {
    CHECK_EQ(xml_columns('a'), 1);
    CHECK_EQ(xml_columns(0x4e2d), 2);
    CHECK_EQ(xml_columns(0x1f525), 2);
    CHECK_EQ(xml_columns(0x301), 0);
}

#define NUMBER(function, value)         \
    ({                                  \
        static char text_[64];          \
        *function(text_, value) = '\0'; \
        text_;                          \
    })

TEST(numbers) {
    CHECK_STR(NUMBER(xml_number, 0), "0");
    CHECK_STR(NUMBER(xml_number, UINT64_MAX), "18446744073709551615");
    CHECK_STR(NUMBER(xml_number_grouped, 999), "999");
    CHECK_STR(NUMBER(xml_number_grouped, 1000), "1,000");
    CHECK_STR(NUMBER(xml_number_grouped, 1234567), "1,234,567");
    CHECK_STR(NUMBER(xml_tenths, 123), "12.3");
    CHECK_STR(NUMBER(xml_tenths, 120), "12");
    CHECK_STR(NUMBER(xml_tenths, -5), "-0.5");
    CHECK_STR(NUMBER(xml_hundredths, 0.051), "0.05");
    CHECK_STR(NUMBER(xml_hundredths, 100), "100.00");
    CHECK_STR(NUMBER(xml_color, 0x0a1bff), "#0a1bff");
}

static int refuse(void *context, const void *data, size_t length) {
    (void)data;
    (void)length;
    ++*(int *)context;
    return -ENOSPC;
}

TEST(first_error_ends_all_writing) {
    int calls = 0;
    struct xml_output output = {.write = refuse, .context = &calls};
    for (int i = 0; i < 1000000; i++)
        xml_puts(&output, "text");
    CHECK_EQ(xml_finish(&output), -ENOSPC);
    CHECK_EQ(calls, 1);
}

TEST_MAIN()
