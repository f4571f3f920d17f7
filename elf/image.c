/* SPDX-License-Identifier: MIT */
/*
 * Opens an image: headers, segments, section table, build-id. Own code and not libelf's, for it is short and must bear any bytes.
 *
 * Files are mapped, so that code and tables cost no memory of ours. Writing over a running executable is refused by the kernel (ETXTBSY),
 * and package managers replace files by rename; but anybody may truncate a library that is in use. What is gone then reads as zeros
 * (elf/guard.h).
 */
#include "elf/image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "elf/guard.h"

/* The bytes [offset, offset + length) of the file, or NULL. */
static const uint8_t *file_bytes(const struct elf_image *image, uint64_t offset, uint64_t length) {
    return offset <= image->length && length <= image->length - offset ? image->data + offset : NULL;
}

/* ---- headers --------------------------------------------------------------------------------------------------------------------- */

struct headers {
    uint64_t program_offset, section_offset;
    uint16_t program_entry, program_count, section_entry;
    uint64_t section_count;
    uint32_t names_index;
};

static int read_elf_header(struct elf_image *image, struct headers *ret) {
    struct bytes b = bytes_of(image->data, image->length);
    const uint8_t *identity = bytes_take(&b, EI_NIDENT);
    if (!identity || memcmp(identity, ELFMAG, SELFMAG) || identity[EI_DATA] != ELFDATA2LSB ||
        (identity[EI_CLASS] != ELFCLASS64 && identity[EI_CLASS] != ELFCLASS32))
        return -ENOEXEC;
    bool is_64 = image->info.is_64 = identity[EI_CLASS] == ELFCLASS64;
    image->info.type = bytes_u16(&b);
    image->info.machine = bytes_u16(&b);
    bytes_skip(&b, is_64 ? 12 : 8); /* version, entry */
    ret->program_offset = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    ret->section_offset = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    bytes_skip(&b, 6); /* flags, header size */
    ret->program_entry = bytes_u16(&b);
    ret->program_count = bytes_u16(&b);
    ret->section_entry = bytes_u16(&b);
    ret->section_count = bytes_u16(&b);
    ret->names_index = bytes_u16(&b);
    return b.failed ? -ENOEXEC : 0;
}

static struct elf_section_header read_section_header(struct bytes b, bool is_64, uint32_t *ret_name) {
    struct elf_section_header h = {.name = ""};
    *ret_name = bytes_u32(&b);
    h.type = bytes_u32(&b);
    h.flags = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    h.address = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    h.offset = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    h.size = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    h.link = bytes_u32(&b);
    h.info = bytes_u32(&b);
    bytes_skip(&b, is_64 ? 8 : 4); /* alignment */
    h.entry_size = is_64 ? bytes_u64(&b) : bytes_u32(&b);
    return h;
}

/* A section table that does not fit the file counts as none: files stripped of it (sstrip) still have segments. */
static int read_sections(struct elf_image *image, const struct headers *headers) {
    uint64_t count = headers->section_count, entry = headers->section_entry;
    if (!headers->section_offset || entry < (image->info.is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
        return 0;
    uint32_t name, names_index = headers->names_index;
    const uint8_t *first = file_bytes(image, headers->section_offset, entry);
    if (!first)
        return 0;
    struct elf_section_header zero = read_section_header(bytes_of(first, entry), image->info.is_64, &name);
    count = count ? count : zero.size; /* more than 0xff00 sections: the count stands in the first */
    names_index = names_index == SHN_XINDEX ? zero.link : names_index;
    const uint8_t *table = count <= image->length / entry ? file_bytes(image, headers->section_offset, count * entry) : NULL;
    if (!table || !count)
        return 0;

    image->sections = calloc(count, sizeof *image->sections);
    image->inflated = calloc(count, sizeof *image->inflated);
    image->inflated_length = calloc(count, sizeof *image->inflated_length);
    _cleanup_free_ uint32_t *names = calloc(count, sizeof *names);
    if (!image->sections || !image->inflated || !image->inflated_length || !names)
        return -ENOMEM;
    image->section_count = count;
    for (uint64_t i = 0; i < count; i++)
        image->sections[i] = read_section_header(bytes_of(table + i * entry, entry), image->info.is_64, &names[i]);

    const struct elf_section_header *strings = names_index < count ? &image->sections[names_index] : NULL;
    const uint8_t *content = strings && strings->type == SHT_STRTAB ? file_bytes(image, strings->offset, strings->size) : NULL;
    for (uint64_t i = 0; content && i < count; i++) {
        if (names[i] >= strings->size)
            continue;
        struct bytes b = bytes_of(content + names[i], strings->size - names[i]);
        const char *string = bytes_string(&b);
        image->sections[i].name = string ? string : "";
    }
    return 0;
}

/* Notes are {u32 name size, u32 descriptor size, u32 type, name, descriptor}, the two padded to 4. */
static void read_build_id(struct elf_image *image, const uint8_t *notes, uint64_t length) {
    struct bytes b = bytes_of(notes, notes ? length : 0);
    while (bytes_left(&b) >= 12 && !image->info.build_id.length) {
        uint32_t name_size = bytes_u32(&b), size = bytes_u32(&b), type = bytes_u32(&b);
        const uint8_t *name = bytes_take(&b, ROUND_UP((uint64_t)name_size, 4));
        const uint8_t *descriptor = bytes_take(&b, MIN(ROUND_UP((uint64_t)size, 4), MAX((uint64_t)size, bytes_left(&b))));
        struct elf_build_id *id = &image->info.build_id;
        if (!name || !descriptor || type != NT_GNU_BUILD_ID || name_size != 4 || memcmp(name, "GNU", 4) || !size || size > sizeof id->bytes)
            continue;
        id->length = (uint8_t)size;
        memcpy(id->bytes, descriptor, size);
    }
}

static int read_segments(struct elf_image *image, const struct headers *headers) {
    const bool is_64 = image->info.is_64;
    const uint64_t entry = headers->program_entry;
    if (!headers->program_count)
        return 0;
    const uint8_t *table = file_bytes(image, headers->program_offset, entry * headers->program_count);
    if (!table || entry < (is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
        return -ENOEXEC;
    image->segments = calloc(headers->program_count, sizeof *image->segments);
    if (!image->segments)
        return -ENOMEM;
    for (size_t i = 0; i < headers->program_count; i++) {
        struct bytes b = bytes_of(table + i * entry, entry);
        struct elf_segment s = {0};
        uint32_t type = bytes_u32(&b);
        if (is_64)
            s.flags = bytes_u32(&b);
        s.offset = is_64 ? bytes_u64(&b) : bytes_u32(&b);
        s.address = is_64 ? bytes_u64(&b) : bytes_u32(&b);
        bytes_skip(&b, is_64 ? 8 : 4); /* physical address */
        s.file_size = is_64 ? bytes_u64(&b) : bytes_u32(&b);
        s.memory_size = is_64 ? bytes_u64(&b) : bytes_u32(&b);
        if (!is_64)
            s.flags = bytes_u32(&b);
        if (type == PT_LOAD)
            image->segments[image->info.segment_count++] = s;
        else if (type == PT_NOTE)
            read_build_id(image, file_bytes(image, s.offset, s.file_size), s.file_size);
        else if (type == PT_GNU_EH_FRAME) {
            image->eh_frame_hdr = s.address;
            image->eh_frame_hdr_size = s.memory_size;
        } else if (type == PT_DYNAMIC) {
            image->dynamic = s.address;
            image->dynamic_size = s.memory_size;
        }
    }
    image->info.segments = image->segments;
    return 0;
}

/* ---- open, close ----------------------------------------------------------------------------------------------------------------- */

static int image_read(struct elf_image *image) {
    struct headers headers;
    int r = read_elf_header(image, &headers);
    if (r >= 0)
        r = read_sections(image, &headers);
    if (r >= 0)
        r = read_segments(image, &headers);
    for (size_t i = 0; r >= 0 && i < image->section_count && !image->info.build_id.length; i++) {
        const struct elf_section_header *h = &image->sections[i]; /* relocatable files and debug files: no usable PT_NOTE */
        if (h->type == SHT_NOTE)
            read_build_id(image, file_bytes(image, h->offset, h->size), h->size);
    }
    return r;
}

static void release_bytes(const uint8_t *data, size_t length, bool is_mapped) {
    if (!is_mapped) {
        free((void *)(uintptr_t)data);
        return;
    }
    elf_guard_remove(data);
    (void)munmap((void *)(uintptr_t)data, length);
}

/* Takes the bytes: they are released with the image, and on failure. */
static int image_new(const uint8_t *data, size_t length, bool is_mapped, struct elf_image **ret) {
    struct elf_image *image = calloc(1, sizeof *image);
    if (!image) {
        release_bytes(data, length, is_mapped);
        return -ENOMEM;
    }
    image->data = data;
    image->length = length;
    image->is_mapped = is_mapped;
    pthread_mutex_init(&image->lock, NULL);
    int r = image_read(image);
    if (r < 0) {
        elf_image_close(image);
        return r;
    }
    *ret = image;
    return 0;
}

int elf_image_open(int fd, struct elf_image **ret) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size < EI_NIDENT)
        return -ENOEXEC;
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    elf_guard_add(data, (size_t)status.st_size);
    return image_new(data, (size_t)status.st_size, true, ret);
}

int elf_image_open_memory(const void *bytes, size_t length, struct elf_image **ret) {
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, length);
    return image_new(copy, length, false, ret);
}

void elf_image_close(struct elf_image *image) {
    if (image->libelf)
        elf_end(image->libelf);
    for (size_t i = 0; i < image->section_count; i++)
        free(image->inflated[i]);
    free(image->inflated);
    free(image->inflated_length);
    free(image->sections);
    free(image->segments);
    free(image->functions);
    pthread_mutex_destroy(&image->lock);
    release_bytes(image->data, image->length, image->is_mapped);
    free(image);
}

void elf_image_unload(struct elf_image *image) {
    pthread_mutex_lock(&image->lock);
    if (image->is_mapped && !image->libelf) /* which has pages that are no longer the file's */
        (void)madvise((void *)(uintptr_t)image->data, image->length, MADV_DONTNEED);
    pthread_mutex_unlock(&image->lock);
}

/* ---- questions ------------------------------------------------------------------------------------------------------------------- */

bool elf_build_id_equal(const struct elf_build_id *a, const struct elf_build_id *b) {
    return a->length == b->length && !memcmp(a->bytes, b->bytes, a->length);
}

const struct elf_info *elf_image_info(const struct elf_image *image) {
    return &image->info;
}

const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t svma, size_t length) {
    for (size_t i = 0; i < image->info.segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        if (svma >= s->address && svma - s->address <= s->file_size && length <= s->file_size - (svma - s->address))
            return file_bytes(image, s->offset + (svma - s->address), length);
    }
    return NULL;
}

bool elf_image_bias(const struct elf_image *image, uint64_t start, uint64_t length, uint64_t offset, uint64_t *ret_bias) {
    enum { PAGE = 4096 };
    (void)length;
    const struct elf_segment *found = NULL;
    for (size_t i = 0; i < image->info.segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        uint64_t first = s->offset & ~(uint64_t)(PAGE - 1), end = ROUND_UP(s->offset + s->file_size, PAGE);
        if (!s->file_size || offset < first || offset >= end)
            continue;
        /* The page where two segments meet belongs to both; the one that is executable is the one people ask about. */
        if (!found || (s->flags & PF_X))
            found = s;
    }
    if (!found)
        return false;
    *ret_bias = start - offset + found->offset - found->address;
    return true;
}

Elf *elf_image_libelf(struct elf_image *image) {
    pthread_mutex_lock(&image->lock);
    /* libelf writes to the section headers when libdw has it decompress a section; the mapping is private, so only a page or two become
     * ours. */
    bool may_write = !image->is_mapped || mprotect((void *)(uintptr_t)image->data, image->length, PROT_READ | PROT_WRITE) == 0;
    if (!image->libelf && may_write && elf_version(EV_CURRENT) != EV_NONE)
        image->libelf = elf_memory((char *)(uintptr_t)image->data, image->length);
    Elf *libelf = image->libelf;
    pthread_mutex_unlock(&image->lock);
    return libelf;
}
