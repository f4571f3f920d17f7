/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "elf/cfi-entry.h"

/* .eh_frame_hdr (LSB Core 5.0, section 10.6.2): encodings, pointer to .eh_frame, count, then {function, FDE} sorted by function. */
struct eh_frame_hdr {
    struct bytes table;
    uint64_t address;  /* svma of the header, what "datarel" counts from */
    uint64_t eh_frame; /* svma */
    uint64_t count;    /* of table entries, 8 bytes each (sdata4 | datarel, what every linker writes); 0: no usable table */
};

static int read_eh_frame_hdr(const struct elf_image *image, struct eh_frame_hdr *ret) {
    enum { TABLE_ENCODING = 0x3b };
    const uint8_t *data = image->eh_frame_hdr ? elf_image_bytes(image, image->eh_frame_hdr, image->eh_frame_hdr_size) : NULL;
    if (!data)
        return -ENOENT;
    struct bytes b = bytes_of(data, image->eh_frame_hdr_size);
    struct eh_frame_hdr hdr = {.address = image->eh_frame_hdr};
    uint8_t version = bytes_u8(&b), pointer = bytes_u8(&b), count = bytes_u8(&b), table = bytes_u8(&b);
    if (version != 1 || !elf_cfi_pointer(&b, pointer, hdr.address + 4, hdr.address, image->info.is_64, &hdr.eh_frame))
        return -EBADMSG;
    uint64_t field = hdr.address + (uint64_t)(b.at - data);
    if (table == TABLE_ENCODING && elf_cfi_pointer(&b, count, field, hdr.address, image->info.is_64, &hdr.count))
        hdr.count = MIN(hdr.count, bytes_left(&b) / 8);
    else
        hdr.count = 0;
    hdr.table = b;
    *ret = hdr;
    return 0;
}

/* From `svma` to the end of what its segment holds in the file. */
static int section_from_segment(const struct elf_image *image, uint64_t svma, struct elf_cfi_section *ret) {
    for (size_t i = 0; i < image->info.segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        if (svma < s->address || svma - s->address >= s->file_size)
            continue;
        size_t length = s->file_size - (svma - s->address);
        const uint8_t *data = elf_image_bytes(image, svma, length);
        if (!data)
            return -EBADMSG;
        *ret = (struct elf_cfi_section){
            .data = data, .length = length, .address = svma, .is_eh = true, .is_64 = image->info.is_64, .ends_at_zero = true};
        return 0;
    }
    return -ENOENT;
}

int elf_cfi_find_section(struct elf_image *image, bool is_eh, struct elf_cfi_section *ret) {
    struct elf_section section;
    int r = elf_image_section(image, is_eh ? ".eh_frame" : ".debug_frame", &section);
    if (r >= 0) {
        *ret = (struct elf_cfi_section){
            .data = section.data, .length = section.length, .address = section.address, .is_eh = is_eh, .is_64 = image->info.is_64};
        return 0;
    }
    struct eh_frame_hdr hdr;
    if (is_eh && read_eh_frame_hdr(image, &hdr) >= 0)
        return section_from_segment(image, hdr.eh_frame, ret);
    return r;
}

static int each_in_section(const struct elf_cfi_section *section, elf_cfi_visit visit, void *context, struct elf_cfi_counts *counts) {
    struct elf_cfi_cies cies = {0};
    size_t offset = 0;
    int r;
    for (;;) {
        struct elf_cfi_fde fde;
        r = elf_cfi_entry(section, &cies, &offset, &fde);
        if (r == -ENODATA) {
            r = 0;
            break;
        }
        counts->skipped += r < 0;
        if (r <= 0)
            continue;
        counts->entries++;
        r = visit(context, &fde);
        if (r)
            break;
    }
    elf_cfi_cies_free(&cies);
    return r;
}

int elf_cfi_each(struct elf_image *image, struct elf_image *debug, elf_cfi_visit visit, void *context, struct elf_cfi_counts *ret_counts) {
    struct {
        struct elf_image *image;
        bool is_eh;
    } places[] = {{image, true}, {image, false}, {debug, false}};
    struct elf_cfi_counts counts = {0};
    bool found = false;
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(places) && !r; i++) {
        struct elf_cfi_section section;
        if (!places[i].image || elf_cfi_find_section(places[i].image, places[i].is_eh, &section) < 0)
            continue;
        found = true;
        r = each_in_section(&section, visit, context, &counts);
    }
    if (!found)
        return -ENOENT;
    *ret_counts = counts;
    return r;
}

/* ---- which function covers a pc -------------------------------------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b) {
    const struct elf_function_range *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

struct function_list {
    VEC(struct elf_function_range) ranges;
};

static int add_range(void *context, const struct elf_cfi_fde *fde) {
    struct function_list *list = context;
    struct elf_function_range *range = vec_push(&list->ranges);
    if (!range)
        return -ENOMEM;
    *range = (struct elf_function_range){fde->start, fde->end};
    return 0;
}

static int make_functions(struct elf_image *image) {
    struct function_list list = {0};
    struct elf_cfi_counts counts;
    int r = elf_cfi_each(image, NULL, add_range, &list, &counts);
    if (r < 0 && r != -ENOENT) {
        vec_free(&list.ranges);
        return r;
    }
    if (list.ranges.count)
        qsort(list.ranges.items, list.ranges.count, sizeof *list.ranges.items, compare_ranges);
    image->functions = list.ranges.items;
    image->function_count = list.ranges.count;
    image->functions_made = true;
    return 0;
}

/* The last entry of the sorted table that starts at or below `svma`; -ENOENT if the table cannot tell. */
static int find_in_hdr(const struct elf_image *image, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end) {
    struct eh_frame_hdr hdr;
    if (read_eh_frame_hdr(image, &hdr) < 0 || !hdr.count)
        return -ENODATA;
    uint64_t low = 0, high = hdr.count;
    int32_t pair[2];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        memcpy(pair, hdr.table.at + middle * sizeof pair, sizeof pair);
        if (hdr.address + (uint64_t)(int64_t)pair[0] <= svma)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return -ENOENT;
    memcpy(pair, hdr.table.at + (low - 1) * sizeof pair, sizeof pair);
    struct elf_cfi_section section;
    int r = section_from_segment(image, hdr.eh_frame, &section);
    uint64_t offset = hdr.address + (uint64_t)(int64_t)pair[1] - hdr.eh_frame;
    if (r < 0 || offset >= section.length)
        return -ENODATA;
    struct elf_cfi_cies cies = {0};
    struct elf_cfi_fde fde;
    size_t at = (size_t)offset;
    r = elf_cfi_entry(&section, &cies, &at, &fde);
    elf_cfi_cies_free(&cies);
    if (r <= 0)
        return -ENODATA;
    if (svma < fde.start || svma >= fde.end)
        return -ENOENT;
    *ret_start = fde.start;
    *ret_end = fde.end;
    return 0;
}

int elf_cfi_function(struct elf_image *image, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end) {
    int r = find_in_hdr(image, svma, ret_start, ret_end);
    if (r >= 0 || (r == -ENOENT && elf_image_section_index(image, ".debug_frame") < 0))
        return r; /* the header's table knows nothing of .debug_frame */
    if (!image->functions_made) {
        r = make_functions(image);
        if (r < 0)
            return r;
    }
    size_t low = 0, high = image->function_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->functions[middle].start <= svma)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low || svma >= image->functions[low - 1].end)
        return -ENOENT;
    *ret_start = image->functions[low - 1].start;
    *ret_end = image->functions[low - 1].end;
    return 0;
}
