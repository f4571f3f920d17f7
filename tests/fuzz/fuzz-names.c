/* SPDX-License-Identifier: MIT */
/* Any bytes as a name: shortened, and made fit for folded stacks and terminals. */
#include <stdlib.h>
#include <string.h>

#include "report/name.h"
#include "report/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

/* Made once more, a text stays as it is: so it holds nothing that would have to be changed. */
static void check_stable(enum text_style style, const struct buffer *text) {
    struct buffer again = {0};
    text_put(&again, style, (const char *)text->data, text->length);
    MUST(again.length == text->length && (!text->length || !memcmp(again.data, text->data, text->length)));
    buffer_free(&again);
}

static void check_text(enum text_style style, const char *name, size_t length) {
    struct buffer text = {0};
    text_put(&text, style, name, length);
    check_stable(style, &text);
    for (size_t i = 0; i < text.length; i++)
        MUST(text.data[i] >= 0x20 && text.data[i] != 0x7f && (style != TEXT_FOLDED || text.data[i] != ';'));
    MUST(style != TEXT_FOLDED || text.length <= TEXT_FRAME_MAX);
    for (size_t width = 0; width < 5; width++) {
        size_t fits = text_fit((const char *)text.data, text.length, width);
        MUST(fits <= text.length && text_width((const char *)text.data, fits) <= width);
    }
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *name = calloc(1, size + !size); /* of exactly this size: reads beyond it are seen */
    MUST(name);
    if (size)
        memcpy(name, data, size);
    struct buffer brief = {0};
    name_put_short(&brief, name, size);
    MUST(brief.length <= size && (brief.length || !size));
    check_text(TEXT_TERMINAL, (const char *)brief.data, brief.length);
    check_text(TEXT_FOLDED, (const char *)brief.data, brief.length);
    check_text(TEXT_FOLDED, name, size);
    buffer_free(&brief);
    free(name);
    return 0;
}
