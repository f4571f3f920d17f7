/* SPDX-License-Identifier: MIT */
#include "tests/oracle/snapshot.h"

#include <errno.h>
#include <string.h>

enum { FORGET = 1, MODULE = 2, SAMPLE = 3 };

static uint64_t padded(uint64_t length) {
    return (length + 7) & ~(uint64_t)7;
}

static int put(FILE *file, const void *data, uint64_t length) {
    static const uint8_t zeros[8];
    if (length && fwrite(data, 1, length, file) != length)
        return -EIO;
    uint64_t rest = padded(length) - length;
    return rest && fwrite(zeros, 1, rest, file) != rest ? -EIO : 0;
}

int snapshot_put_forget(FILE *file) {
    const uint64_t words[] = {FORGET, 0};
    return put(file, words, sizeof words);
}

int snapshot_put_module(FILE *file, const struct unwind_place *place, const char *path, const void *image, uint64_t image_length) {
    uint64_t path_length = strlen(path), kept = image ? image_length : 0;
    const uint64_t words[] = {MODULE, 40 + padded(path_length) + padded(kept), place->start, place->end, place->bias, path_length, kept};
    int r = put(file, words, sizeof words);
    if (r == 0)
        r = put(file, path, path_length);
    return r < 0 ? r : put(file, image, kept);
}

int snapshot_put_sample(FILE *file, uint64_t tid, uint64_t time, const struct unwind_sample *sample) {
    const uint64_t length = sample->stack_length;
    const uint64_t head[] = {SAMPLE, (5 + UNWIND_REGISTERS) * 8 + padded(length), tid, time, sample->registers.valid};
    const uint64_t stack[] = {sample->stack_base, length};
    int r = put(file, head, sizeof head);
    if (r == 0)
        r = put(file, sample->registers.value, sizeof sample->registers.value);
    if (r == 0)
        r = put(file, stack, sizeof stack);
    return r < 0 ? r : put(file, sample->stack, length);
}
