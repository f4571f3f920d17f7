/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "elf/symbol-set.h"

enum { MEMORY_MAX = 64 << 20, CONTENT_MAX = 256 << 20, PIECE = 1 << 18 };

int elf_minidebug_open(struct elf_image *image, struct elf_image **ret) {
    struct elf_section section;
    int r = elf_image_section(image, ".gnu_debugdata", &section);
    if (r < 0)
        return r;
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, MEMORY_MAX, 0) != LZMA_OK)
        return -ENOMEM;
    stream.next_in = section.data;
    stream.avail_in = section.length;
    VEC(uint8_t) content = {0};
    lzma_ret status = LZMA_OK;
    while (status == LZMA_OK && content.count < CONTENT_MAX) {
        if (!vec_reserve(&content, content.count + PIECE))
            break;
        stream.next_out = content.items + content.count;
        stream.avail_out = PIECE;
        status = lzma_code(&stream, LZMA_FINISH);
        content.count += PIECE - stream.avail_out;
    }
    lzma_end(&stream);
    r = status == LZMA_STREAM_END ? elf_image_open_memory(content.items, content.count, ret) : -EBADMSG;
    vec_free(&content);
    return r;
}
