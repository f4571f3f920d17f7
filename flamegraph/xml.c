/* SPDX-License-Identifier: MIT */
#include "flamegraph/xml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/macros.h"

enum { REPLACEMENT = 0xfffd };

/* RFC 3629: the shortest form only, no surrogates, at most U+10FFFF. */
static uint32_t utf8_decode(const uint8_t *text, size_t length, size_t *ret_taken) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = text[0];
    unsigned size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    *ret_taken = 1;
    if (size == 1)
        return lead;
    if (!size || size > length)
        return REPLACEMENT;
    uint32_t character = lead & (0x7fu >> size);
    for (unsigned i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        character = character << 6 | (text[i] & 0x3f);
    }
    if (character < least[size] || (character >= 0xd800 && character < 0xe000) || character > 0x10ffff)
        return REPLACEMENT;
    *ret_taken = size;
    return character;
}

uint32_t xml_character(const char *text, size_t length, size_t *ret_taken) {
    uint32_t character = utf8_decode((const uint8_t *)text, length, ret_taken);
    if (character == '\t' || character == '\n' || character == '\r')
        return ' ';
    if (character < 0x20 || character == 0x7f || character == 0xfffe || character == 0xffff)
        return REPLACEMENT;
    return character;
}

unsigned xml_columns(uint32_t c) {
    if ((c >= 0x300 && c < 0x370) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f))
        return 0;
    bool wide = (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
                (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) || (c >= 0x1f300 && c < 0x1fb00) ||
                (c >= 0x20000 && c < 0x40000);
    return wide ? 2 : 1;
}

static bool xml_is_plain(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '&' && byte != '<' && byte != '>' && byte != '"';
}

static void escape_special(struct buffer *to, uint32_t character, const char *bytes, size_t length) {
    switch (character) {
    case '&':
        buffer_put(to, "&amp;", 5);
        break;
    case '<':
        buffer_put(to, "&lt;", 4);
        break;
    case '>':
        buffer_put(to, "&gt;", 4);
        break;
    case '"':
        buffer_put(to, "&quot;", 6);
        break;
    case ' ':
        buffer_put_u8(to, ' ');
        break;
    case REPLACEMENT:
        buffer_put(to, "\xef\xbf\xbd", 3);
        break;
    default:
        buffer_put(to, bytes, length);
    }
}

void xml_escape(struct buffer *to, const char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t plain = i;
        while (plain < length && xml_is_plain((uint8_t)text[plain]))
            plain++;
        buffer_put(to, text + i, plain - i);
        i = plain;
        if (i < length) {
            size_t taken;
            uint32_t character = xml_character(text + i, length - i, &taken);
            escape_special(to, character, text + i, taken);
            i += taken;
        }
    }
}

bool xml_link_is_safe(const char *link) {
    static const char *const scripts[] = {"javascript", "data", "vbscript"};
    size_t length = strcspn(link, ":/?#");
    if (link[length] != ':')
        return true;
    /* RFC 3986, 3.1. Browsers skip white space and controls in a scheme; we do not try to follow them. */
    for (size_t i = 0; i < length; i++) {
        bool letter = (link[i] | 0x20) >= 'a' && (link[i] | 0x20) <= 'z';
        bool other = (link[i] >= '0' && link[i] <= '9') || link[i] == '+' || link[i] == '-' || link[i] == '.';
        if (!letter && !(i && other))
            return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        if (strlen(scripts[i]) == length && !strncasecmp(link, scripts[i], length))
            return false;
    }
    return length > 0;
}

static void xml_flush(struct xml_output *output) {
    if (!output->error && output->buffer.length)
        output->error = output->write(output->context, output->buffer.data, output->buffer.length);
    output->buffer.length = 0;
}

char *xml_reserve_slowly(struct xml_output *output, size_t more) {
    if (output->buffer.length >= XML_FLUSH_AT)
        xml_flush(output);
    if (output->error)
        return NULL;
    char *room = (char *)buffer_reserve(&output->buffer, more);
    if (!room)
        output->error = -ENOMEM;
    return room;
}

void xml_put(struct xml_output *output, const char *text, size_t length) {
    char *to = xml_reserve(output, length);
    if (to && length)
        xml_advance(output, (char *)memcpy(to, text, length) + length);
}

void xml_puts(struct xml_output *output, const char *text) {
    xml_put(output, text, strlen(text));
}

void xml_put_escaped(struct xml_output *output, const char *text, size_t length) {
    if (!xml_reserve(output, 1))
        return;
    xml_escape(&output->buffer, text, length);
    if (output->buffer.failed)
        output->error = -ENOMEM;
}

void xml_printf(struct xml_output *output, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) /* for short pieces only: strings from outside go through xml_put_escaped */
        output->error = output->error ? output->error : -EOVERFLOW;
    else
        xml_put(output, text, (size_t)length);
}

void xml_put_attribute(struct xml_output *output, const char *name, const char *value) {
    xml_printf(output, " %s=\"", name);
    xml_put_escaped(output, value, strlen(value));
    xml_puts(output, "\"");
}

int xml_finish(struct xml_output *output) {
    xml_flush(output);
    buffer_free(&output->buffer);
    return output->error;
}

char *xml_number(char *to, uint64_t value) {
    char digits[20];
    unsigned count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        *to++ = digits[--count];
    return to;
}

static uint64_t xml_rounded(double value) {
    return value >= 0x1p63 ? (uint64_t)1 << 63 : (uint64_t)(value + 0.5);
}

char *xml_number_grouped(char *to, double number) {
    char digits[20];
    unsigned count = 0;
    uint64_t value = xml_rounded(number);
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count) {
        *to++ = digits[--count];
        if (count && count % 3 == 0)
            *to++ = ',';
    }
    return to;
}

char *xml_tenths(char *to, int64_t tenths) {
    if (tenths < 0) {
        *to++ = '-';
        tenths = -tenths;
    }
    to = xml_number(to, (uint64_t)tenths / 10);
    if (tenths % 10) {
        *to++ = '.';
        *to++ = (char)('0' + tenths % 10);
    }
    return to;
}

char *xml_hundredths(char *to, double value) {
    uint64_t hundredths = xml_rounded(value * 100);
    to = xml_number(to, hundredths / 100);
    *to++ = '.';
    *to++ = (char)('0' + hundredths / 10 % 10);
    *to++ = (char)('0' + hundredths % 10);
    return to;
}

char *xml_color(char *to, uint32_t color) {
    static const char digits[] = "0123456789abcdef";
    *to++ = '#';
    for (int shift = 20; shift >= 0; shift -= 4)
        *to++ = digits[color >> shift & 15];
    return to;
}
