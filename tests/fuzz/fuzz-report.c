/* SPDX-License-Identifier: MIT */
/*
 * A recording of whatever bytes through the whole report: every view of it is made, and what comes out must be harmless.
 *
 * The first byte picks the options; the rest is the recording.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/view.h"
#include "tests/fuzz/fuzzed-recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static struct recording *open_recording(const uint8_t *data, size_t size) {
    struct recording *r = NULL;
    const char *newer;
    return fuzzed_recording_open(data, size, &r, &newer) < 0 ? NULL : r;
}

static void check_folded(const struct buffer *out, const struct report_options *options, const struct recording *r) {
    uint64_t sum = 0;
    const uint8_t *line = out->data, *end = out->length ? out->data + out->length : line;
    while (line < end) {
        const uint8_t *newline = memchr(line, '\n', (size_t)(end - line));
        MUST(newline && newline - line < 65535);
        const uint8_t *space = memrchr(line, ' ', (size_t)(newline - line));
        MUST(space && memchr(line, ';', (size_t)(space - line)));
        sum += strtoull((const char *)space, NULL, 10);
        line = newline + 1;
    }
    MUST(options->by_weight || sum <= r->sample_count);
    MUST(options->by_weight || r->events.count != 1 || sum == r->sample_count);
}

static void check_harmless(const struct buffer *out) {
    for (size_t i = 0; i < out->length; i++)
        MUST(out->data[i] == '\n' || (out->data[i] >= 0x20 && out->data[i] != 0x7f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct recording *r = open_recording(data + 1, size - 1);
    if (!r)
        return 0;
    struct report_options options = {
        .view = data[0] & 1 ? VIEW_FOLDED : VIEW_TABLE,
        .inlines = data[0] & 2,
        .full_names = data[0] & 4,
        .no_ends = data[0] & 8,
        .by_weight = data[0] & 16,
        .annotate_kernel = data[0] & 32,
        .annotate_inlined = data[0] & 64,
        .keys = KEY_FUNCTION | (data[0] & 32 ? KEY_COMM | KEY_TID : KEY_MODULE) | (data[0] & 64 ? KEY_LINE : 0),
    };
    struct buffer out = {0};
    struct view_notes notes;
    if (view_write(r, &options, data[0] & 128 ? 80 : 0, &out, NULL, &notes) == 0) {
        check_harmless(&out);
        if (options.view == VIEW_FOLDED)
            check_folded(&out, &options, r);
    }
    buffer_free(&out);
    recording_free(r);
    return 0;
}
