/* SPDX-License-Identifier: MIT */
/* Sections by name, decompressed where they need it: SHF_COMPRESSED (gABI chapter 4) with zlib or zstd, and GNU's older .zdebug_* ("ZLIB",
 * big-endian size). */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "elf/image.h"

enum {
    ZLIB_RATIO_MAX = 1032
}; /* deflate cannot do better (zlib's technical notes), so a greater claim is a lie; zstd's frames are bounded by the same */

static bool is_zdebug(const struct elf_section_header *h) {
    return !strncmp(h->name, ".zdebug_", 8);
}

int elf_image_section_index(const struct elf_image *image, const char *name) {
    for (size_t i = 0; i < image->section_count; i++) {
        const char *has = image->sections[i].name;
        if (!strcmp(has, name) || (is_zdebug(&image->sections[i]) && !strncmp(name, ".debug_", 7) && !strcmp(has + 8, name + 7)))
            return (int)i;
    }
    return -ENOENT;
}

static int inflate_zlib(const uint8_t *from, size_t length, uint8_t *to, uint64_t size) {
    uLongf written = size;
    return uncompress(to, &written, from, length) == Z_OK && written == size ? 0 : -EBADMSG;
}

static int inflate_zstd(const uint8_t *from, size_t length, uint8_t *to, uint64_t size) {
    return ZSTD_decompress(to, size, from, length) == size ? 0 : -EBADMSG;
}

/* What is compressed in `b`, into a fresh buffer of the size it claims. */
static int section_inflate(const struct elf_image *image, const struct elf_section_header *h, struct bytes b, uint8_t **ret,
                           size_t *ret_length) {
    uint32_t type = ELFCOMPRESS_ZLIB;
    uint64_t size;
    if (is_zdebug(h)) {
        const uint8_t *magic = bytes_take(&b, 4);
        size = be64toh(bytes_u64(&b));
        if (b.failed || memcmp(magic, "ZLIB", 4))
            return -EBADMSG;
    } else {
        type = bytes_u32(&b);
        bytes_skip(&b, image->info.is_64 ? 4 : 0);
        size = image->info.is_64 ? bytes_u64(&b) : bytes_u32(&b);
        bytes_skip(&b, image->info.is_64 ? 8 : 4); /* alignment */
    }
    if (b.failed || size / ZLIB_RATIO_MAX > bytes_left(&b))
        return -EBADMSG;
    _cleanup_free_ uint8_t *to = malloc(size ? size : 1);
    if (!to)
        return -ENOMEM;
    int r = type == ELFCOMPRESS_ZLIB ? inflate_zlib(b.at, bytes_left(&b), to, size)
            : type == 2              ? inflate_zstd(b.at, bytes_left(&b), to, size)
                                     : -EBADMSG;
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(to);
    *ret_length = size;
    return 0;
}

int elf_image_section_at(struct elf_image *image, size_t index, struct elf_section *ret) {
    const struct elf_section_header *h = &image->sections[index];
    if (h->type == SHT_NOBITS || h->type == SHT_NULL)
        return -ENOENT;
    if (h->offset > image->length || h->size > image->length - h->offset)
        return -EBADMSG;
    struct elf_section section = {image->data + h->offset, h->size, h->address, h->type, h->flags};
    if ((h->flags & SHF_COMPRESSED) || is_zdebug(h)) {
        int r = 0;
        pthread_mutex_lock(&image->lock);
        if (!image->inflated[index])
            r = section_inflate(image, h, bytes_of(section.data, section.length), &image->inflated[index], &image->inflated_length[index]);
        pthread_mutex_unlock(&image->lock);
        if (r < 0)
            return r;
        section.data = image->inflated[index];
        section.length = image->inflated_length[index];
    }
    *ret = section;
    return 0;
}

int elf_image_section(struct elf_image *image, const char *name, struct elf_section *ret) {
    int index = elf_image_section_index(image, name);
    return index < 0 ? index : elf_image_section_at(image, (size_t)index, ret);
}
