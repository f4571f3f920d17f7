/* SPDX-License-Identifier: MIT */
/*
 * Text that is safe inside XML, and numbers without printf. Private to flamegraph/.
 *
 * What XML 1.0 cannot hold (section 2.2: most control characters, U+FFFE, U+FFFF, lone surrogates) and what is not UTF-8 becomes U+FFFD;
 * tab, CR and LF become a space, so that a name stays one line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/macros.h"
#include "flamegraph/flamegraph.h"

/* Appends the text escaped for content and for attributes in double quotes. */
void xml_escape(struct buffer *to, const char *text, size_t length);

/* The next character of the text, cleaned as above, and how many bytes it took; length >= 1. */
uint32_t xml_character(const char *text, size_t length, size_t *ret_taken);

/* How many columns a character takes in a monospaced font: 0 (combining), 1 or 2 (East Asian wide, emoji). */
unsigned xml_columns(uint32_t character);

/* True unless the link could run script where it is followed: a relative one, or one whose scheme is plainly spelled and not of that sort.
 */
bool xml_link_is_safe(const char *link);

/* Where output goes: a buffer that empties itself into the caller's function. The first error ends all writing. */
struct xml_output {
    struct buffer buffer;
    flamegraph_write *write;
    void *context;
    int error;
};

enum { XML_FLUSH_AT = 256 * 1024 };
char *xml_reserve_slowly(struct xml_output *output, size_t more);

/* Room for `more` bytes, or NULL after an error. What is then written there is added by xml_advance. */
static inline char *xml_reserve(struct xml_output *output, size_t more) {
    const struct buffer *buffer = &output->buffer;
    if (likely(buffer->length < XML_FLUSH_AT && more <= buffer->capacity - buffer->length))
        return (char *)buffer->data + buffer->length;
    return xml_reserve_slowly(output, more);
}

static inline void xml_advance(struct xml_output *output, const char *end) {
    output->buffer.length = (size_t)((const uint8_t *)end - output->buffer.data);
}

void xml_put(struct xml_output *output, const char *text, size_t length);
void xml_puts(struct xml_output *output, const char *text);
void xml_printf(struct xml_output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));
void xml_put_escaped(struct xml_output *output, const char *text, size_t length);

/* ' name="value"' */
void xml_put_attribute(struct xml_output *output, const char *name, const char *value);

/* Writes what is left and releases the buffer. The first error, or 0. */
int xml_finish(struct xml_output *output);

/* Numbers >= 0, rounded, at `to`; each returns its end. At most 32 bytes. */
char *xml_number(char *to, uint64_t value);
char *xml_number_grouped(char *to, double value); /* 1,234,567 */
char *xml_hundredths(char *to, double value);     /* 12.34, 12.00 */
char *xml_tenths(char *to, int64_t tenths);       /* 12.3, 12, -0.5 */
char *xml_color(char *to, uint32_t color);        /* #rrggbb */

/* A string literal. */
#define XML_COPY(to, literal) ((char *)memcpy((to), "" literal, sizeof(literal) - 1) + (sizeof(literal) - 1))
