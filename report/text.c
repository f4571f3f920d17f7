/* SPDX-License-Identifier: MIT */
#include "report/text.h"

#include <stdbool.h>

#include "base/bytes.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

/* One character (Unicode 15, table 3-7: no overlong forms, no surrogates), or one byte that starts none: then -1. */
static int32_t next_character(struct bytes *b) {
    uint8_t first = bytes_u8(b);
    if (first < 0x80)
        return first;
    size_t more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
    if (!more || bytes_left(b) < more)
        return -1;
    int32_t value = first & (0x3f >> more);
    for (size_t i = 0; i < more; i++) {
        if ((b->at[i] & 0xc0) != 0x80)
            return -1;
        value = value << 6 | (b->at[i] & 0x3f);
    }
    bool overlong = value < (more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000);
    if (overlong || (value >= 0xd800 && value < 0xe000) || value > 0x10ffff)
        return -1;
    bytes_skip(b, more);
    return value;
}

/* What moves the cursor, ends a line for some tool, or changes the direction of the text around it. */
static bool is_control(int32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* What Unicode calls white space and is no control: parsers that trim do not agree about it. */
static bool is_space(int32_t c) {
    return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

static void put_terminal(struct buffer *b, const char *text, size_t length) {
    struct bytes in = bytes_of(text, length);
    while (!bytes_empty(&in)) {
        const uint8_t *start = in.at;
        int32_t c = next_character(&in);
        if (!is_control(c)) /* -1 is below 0x20 */
            buffer_put(b, start, (size_t)(in.at - start));
        else
            for (; start < in.at; start++)
                buffer_printf(b, "\\x%02x", *start);
    }
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* flamegraph.pl's count is \d+(\.\d*)? behind a space, and it looks twice: a frame must not end like one. */
static void tie_trailing_number(uint8_t *text, size_t length) {
    size_t at = length;
    while (at && is_digit(text[at - 1]))
        at--;
    if (at && text[at - 1] == '.') {
        at--;
        while (at && is_digit(text[at - 1]))
            at--;
    }
    if (at && at < length && is_digit(text[at]) && text[at - 1] == ' ')
        text[at - 1] = '_';
}

/* Takes the middle out of the `*length` bytes at `text`, at character borders. */
static size_t cut_middle(uint8_t *text, size_t length) {
    static const char mark[] = "[...]";
    size_t head = TEXT_FRAME_MAX / 2, tail = length - (TEXT_FRAME_MAX / 2 - (sizeof mark - 1));
    while (head && (text[head] & 0xc0) == 0x80)
        head--;
    while (tail < length && (text[tail] & 0xc0) == 0x80)
        tail++;
    memcpy(text + head, mark, sizeof mark - 1);
    memmove(text + head + sizeof mark - 1, text + tail, length - tail);
    return head + sizeof mark - 1 + (length - tail);
}

static void put_folded(struct buffer *b, const char *text, size_t length) {
    size_t start = b->length;
    struct bytes in = bytes_of(text, length);
    while (!bytes_empty(&in)) {
        const uint8_t *from = in.at;
        int32_t c = next_character(&in);
        if (c == -1)
            buffer_put(b, REPLACEMENT, sizeof REPLACEMENT - 1);
        else if (is_control(c) || is_space(c)) {
            if (b->length > start) /* trims in front */
                buffer_put_u8(b, ' ');
        } else if (c == ';')
            buffer_put_u8(b, ':');
        else
            buffer_put(b, from, (size_t)(in.at - from));
    }
    if (b->failed || b->length == start)
        return;
    while (b->length > start && b->data[b->length - 1] == ' ')
        b->length--;
    if (b->length - start > TEXT_FRAME_MAX)
        b->length = start + cut_middle(b->data + start, b->length - start);
    tie_trailing_number(b->data + start, b->length - start);
}

void text_put(struct buffer *b, enum text_style style, const char *text, size_t length) {
    if (style == TEXT_FOLDED)
        put_folded(b, text, length);
    else
        put_terminal(b, text, length);
}

size_t text_width(const char *text, size_t length) {
    size_t width = 0;
    for (size_t i = 0; i < length; i++)
        width += ((uint8_t)text[i] & 0xc0) != 0x80;
    return width;
}

size_t text_fit(const char *text, size_t length, size_t width) {
    size_t i = 0;
    for (; i < length; i++)
        if (((uint8_t)text[i] & 0xc0) != 0x80 && width-- == 0)
            break;
    return i;
}
