/* SPDX-License-Identifier: MIT */
/* An ELF file: headers, sections and their decompression, call frame information, symbols, PLT, .gnu_debugdata. */
#include <stdlib.h>

#include "elf/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte it is given, so that a sanitizer sees one that is not there. */
static uint64_t sum_of(const uint8_t *data, size_t length) {
    uint64_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += data[i];
    return sum;
}

static void expect(bool condition) {
    if (!condition)
        abort();
}

static void read_sections(struct elf_image *image, volatile uint64_t *sink) {
    static const char *const names[] = {".text",       ".plt",         ".dynsym",     ".dynstr",        ".eh_frame",      ".eh_frame_hdr",
                                        ".debug_info", ".debug_frame", ".debug_line", ".gnu_debuglink", ".gnu_debugdata", ".rela.plt"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct elf_section section;
        if (elf_image_section(image, names[i], &section) >= 0)
            *sink += sum_of(section.data, section.length);
    }
}

static void read_segments(const struct elf_image *image, volatile uint64_t *sink) {
    const struct elf_info *info = elf_image_info(image);
    *sink += sum_of(info->build_id.bytes, info->build_id.length);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct elf_segment *segment = &info->segments[i];
        const uint8_t *bytes = elf_image_bytes(image, segment->address, segment->file_size);
        if (bytes)
            *sink += sum_of(bytes, segment->file_size);
        bytes = elf_image_bytes(image, segment->address + segment->file_size / 2, 16);
        if (bytes)
            *sink += sum_of(bytes, 16);
        uint64_t bias;
        if (elf_image_bias(image, 0x7f0000000000, 4096, segment->offset & ~(uint64_t)4095, &bias))
            *sink += bias;
    }
}

struct visited {
    struct elf_image *image;
    volatile uint64_t *sink;
    uint64_t count;
};

static int visit(void *context, const struct elf_cfi_fde *fde) {
    enum { LOOKUPS_MAX = 64 };
    struct visited *visited = context;
    expect(fde->start < fde->end);
    *visited->sink += sum_of(fde->instructions.at, bytes_left(&fde->instructions));
    *visited->sink += sum_of(fde->cie->instructions.at, bytes_left(&fde->cie->instructions));
    uint64_t start, end;
    if (visited->count++ < LOOKUPS_MAX && elf_cfi_function(visited->image, fde->start, &start, &end) >= 0)
        expect(start <= fde->start && fde->start < end);
    return 0;
}

static void read_cfi(struct elf_image *image, volatile uint64_t *sink) {
    struct visited visited = {image, sink, 0};
    struct elf_cfi_counts counts;
    if (elf_cfi_each(image, image, visit, &visited, &counts) >= 0)
        expect(counts.entries == visited.count);
}

static void read_symbols(struct elf_image *image, volatile uint64_t *sink) {
    struct elf_symbols *symbols;
    if (elf_symbols_load(image, NULL, &symbols) < 0)
        return;
    const struct elf_info *info = elf_image_info(image);
    for (size_t i = 0; i < info->segment_count; i++) {
        for (uint64_t step = 0; step < 256; step++) {
            uint64_t address = info->segments[i].address + step * 16;
            const struct elf_symbol *symbol = elf_symbols_find(symbols, address);
            if (!symbol)
                continue;
            expect(symbol->start <= address && address < symbol->end);
            *sink += strlen(symbol->name);
        }
    }
    elf_symbols_free(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile uint64_t sink;
    struct elf_image *image;
    if (elf_image_open_memory(data, size, &image) < 0)
        return 0;
    read_sections(image, &sink);
    read_segments(image, &sink);
    read_cfi(image, &sink);
    read_symbols(image, &sink);
    elf_image_close(image);
    return 0;
}
