/* SPDX-License-Identifier: MIT */
#include <elf.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "elf/cfi-entry.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)

#define _cleanup_image_ _cleanup_(elf_image_close_cleanup)

static const char libc[] = "/lib/x86_64-linux-gnu/libc.so.6";

struct range {
    uint64_t start, end;
};

struct ranges {
    VEC(struct range) items;
};

static int add(void *context, const struct elf_cfi_fde *fde) {
    struct ranges *ranges = context;
    struct range *range = vec_push(&ranges->items);
    *range = (struct range){fde->start, fde->end};
    return 0;
}

static int compare_ranges(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void sort(struct ranges *ranges) {
    if (ranges->items.count)
        qsort(ranges->items.items, ranges->items.count, sizeof *ranges->items.items, compare_ranges);
}

/* ---- beside readelf -------------------------------------------------------------------------------------------------------------- */

static void check_against_readelf(const char *path) {
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_fclose_ FILE *text = tools_read("readelf", "--debug-dump=frames", path);
    if (!image || !text)
        SKIP("no readelf, or no such file");
    struct ranges ours = {0}, theirs = {0};
    struct elf_cfi_counts counts;
    CHECK_EQ(elf_cfi_each(image, NULL, add, &ours, &counts), 0);
    CHECK_EQ(counts.entries, ours.items.count);
    CHECK_EQ(counts.skipped, 0);
    char line[4096];
    unsigned long long start, end;
    while (fgets(line, sizeof line, text)) {
        const char *pc = strstr(line, " FDE ") ? strstr(line, " pc=") : NULL;
        if (pc && sscanf(pc, " pc=%llx..%llx", &start, &end) == 2 && start && start < end) {
            struct range *range = vec_push(&theirs.items);
            *range = (struct range){start, end};
        }
    }
    sort(&ours), sort(&theirs);
    CHECK_EQ(ours.items.count, theirs.items.count);
    CHECK(!memcmp(ours.items.items, theirs.items.items, ours.items.count * sizeof *ours.items.items));
    for (size_t i = 0; i < ours.items.count; i++) {
        const struct range *range = &ours.items.items[i];
        uint64_t got_start, got_end;
        CHECK_EQ(elf_cfi_function(image, range->start, &got_start, &got_end), 0);
        CHECK_EQ(got_start, range->start);
        CHECK_EQ(got_end, range->end);
        CHECK_EQ(elf_cfi_function(image, range->end - 1, &got_start, &got_end), 0);
        CHECK_EQ(got_start, range->start);
    }
    uint64_t none;
    CHECK_EQ(elf_cfi_function(image, 0, &none, &none), -ENOENT);
    CHECK_EQ(elf_cfi_function(image, UINT64_MAX, &none, &none), -ENOENT);
    vec_free(&ours.items);
    vec_free(&theirs.items);
}

TEST(libc_has_the_fdes_readelf_lists) {
    check_against_readelf(libc);
}

TEST(this_program_has_the_fdes_readelf_lists) {
    char path[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    check_against_readelf(path);
}

static const char source_text[] = "int f(int x) { return x * 2; }\nint g(int x) { return f(x) + 1; }\nint main(void) { return g(1); }\n";

static void check_built(const char *option, const char *other) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1), *path = tools_path("program");
    if (tools_run("cc", "-g", "-O1", option, other, source, "-o", path) != 0)
        SKIP("this compiler cannot do this");
    check_against_readelf(path);
}

TEST(debug_frame_is_read) {
    check_built("-fno-asynchronous-unwind-tables", "-g");
}

TEST(debug_frame_is_read_compressed) {
    check_built("-fno-asynchronous-unwind-tables", "-gz=zlib");
}

TEST(the_small_and_static_program_is_read) {
    check_built("-static", "-nostartfiles"); /* no _start: it is not run */
}

TEST(a_file_without_section_headers_is_read_by_its_segments) {
    _cleanup_image_ struct elf_image *whole = tools_image("/proc/self/exe"), *bare = NULL;
    _cleanup_fclose_ FILE *file = fopen("/proc/self/exe", "re");
    struct buffer bytes = {0};
    for (size_t got = 1; file && got;) {
        uint8_t *to = buffer_reserve(&bytes, 1 << 20);
        CHECK(to);
        got = fread(to, 1, 1 << 20, file);
        bytes.length += got;
    }
    CHECK(whole && bytes.length > sizeof(Elf64_Ehdr));
    memset(bytes.data + offsetof(Elf64_Ehdr, e_shoff), 0, sizeof(Elf64_Off));
    memset(bytes.data + offsetof(Elf64_Ehdr, e_shnum), 0, 2 * sizeof(Elf64_Half));
    CHECK_EQ(elf_image_open_memory(bytes.data, bytes.length, &bare), 0);
    buffer_free(&bytes);
    struct elf_section section;
    CHECK_EQ(elf_image_section(bare, ".eh_frame", &section), -ENOENT);

    struct ranges wanted = {0}, got = {0};
    struct elf_cfi_counts counts;
    CHECK_EQ(elf_cfi_each(whole, NULL, add, &wanted, &counts), 0);
    CHECK_EQ(elf_cfi_each(bare, NULL, add, &got, &counts), 0);
    CHECK(wanted.items.count > 10);
    CHECK_EQ(got.items.count, wanted.items.count);
    CHECK(!memcmp(got.items.items, wanted.items.items, got.items.count * sizeof *got.items.items));
    vec_free(&wanted.items);
    vec_free(&got.items);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------------------- */

enum { BASE = 0x1000 };

struct made {
    struct buffer bytes;
    size_t entry; /* where the open one starts */
    bool is_dwarf64;
};

static void entry_begin(struct made *m) {
    m->entry = m->bytes.length;
    buffer_put_u32(&m->bytes, m->is_dwarf64 ? UINT32_MAX : 0);
    if (m->is_dwarf64)
        buffer_put_u64(&m->bytes, 0);
}

static void entry_end(struct made *m) {
    const size_t head = m->is_dwarf64 ? 12 : 4, width = m->is_dwarf64 ? 8 : 4;
    uint64_t length = m->bytes.length - m->entry - head;
    memcpy(m->bytes.data + m->entry + head - width, &length, width);
}

/* A CIE of .eh_frame with this augmentation string and data. */
static void put_cie(struct made *m, uint8_t version, const char *letters, const void *data, size_t length) {
    entry_begin(m);
    buffer_put_u32(&m->bytes, 0);
    buffer_put_u8(&m->bytes, version);
    buffer_put(&m->bytes, letters, strlen(letters) + 1);
    if (version == 4)
        buffer_put(&m->bytes, "\10", 2); /* 8-byte addresses, no segments */
    buffer_put_uleb(&m->bytes, 1);
    buffer_put_sleb(&m->bytes, -8);
    buffer_put_uleb(&m->bytes, 16);
    if (letters[0] == 'z')
        buffer_put_uleb(&m->bytes, length);
    buffer_put(&m->bytes, data, length);
    buffer_put_u8(&m->bytes, 0x0c); /* some instruction */
    entry_end(m);
}

/* An FDE that belongs to the CIE at `cie`; its addresses are the bytes given. */
static void put_fde(struct made *m, size_t cie, const void *addresses, size_t length, bool has_augmentation) {
    entry_begin(m);
    buffer_put_u32(&m->bytes, (uint32_t)(m->bytes.length - cie));
    buffer_put(&m->bytes, addresses, length);
    if (has_augmentation)
        buffer_put_uleb(&m->bytes, 0);
    entry_end(m);
}

struct seen {
    struct elf_cfi_fde fde;
    struct elf_cfi_cie cie;
    size_t fdes, broken;
};

static struct seen read_all(struct made *m) {
    const struct elf_cfi_section section = {
        .data = m->bytes.data, .length = m->bytes.length, .address = BASE, .is_eh = true, .is_64 = true};
    struct elf_cfi_cies cies = {0};
    struct seen seen = {0};
    size_t offset = 0;
    for (int r; (r = elf_cfi_entry(&section, &cies, &offset, &seen.fde)) != -ENODATA;) {
        seen.broken += r < 0;
        seen.fdes += r > 0;
        if (r > 0)
            seen.cie = *seen.fde.cie;
    }
    elf_cfi_cies_free(&cies);
    buffer_free(&m->bytes);
    return seen;
}

static const uint64_t absolute[] = {0x401000, 0x20};

TEST(each_version_of_a_cie_is_read) {
    static const uint8_t versions[] = {1, 3, 4};
    for (size_t i = 0; i < sizeof versions; i++) {
        struct made m = {0};
        put_cie(&m, versions[i], "", NULL, 0);
        put_fde(&m, 0, absolute, sizeof absolute, false);
        struct seen seen = read_all(&m);
        CHECK_EQ(seen.fdes, 1);
        CHECK_EQ(seen.broken, 0);
        CHECK_EQ(seen.fde.start, 0x401000);
        CHECK_EQ(seen.fde.end, 0x401020);
        CHECK_EQ(seen.cie.version, versions[i]);
        CHECK_EQ(seen.cie.data_align, -8);
        CHECK_EQ(seen.cie.return_register, 16);
    }
}

TEST(an_unknown_version_costs_its_fdes_alone) {
    struct made m = {0};
    put_cie(&m, 2, "", NULL, 0);
    put_fde(&m, 0, absolute, sizeof absolute, false);
    size_t good = m.bytes.length;
    put_cie(&m, 1, "", NULL, 0);
    put_fde(&m, good, absolute, sizeof absolute, false);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK_EQ(seen.broken, 1);
}

TEST(pc_relative_pointers_count_from_their_own_place) {
    struct made m = {0};
    put_cie(&m, 1, "zR", "\x1b", 1); /* pcrel | sdata4 */
    size_t fde = m.bytes.length;
    const int32_t addresses[] = {0x500, 0x30};
    put_fde(&m, 0, addresses, sizeof addresses, true);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK_EQ(seen.fde.start, BASE + fde + 8 + 0x500);
    CHECK_EQ(seen.fde.end - seen.fde.start, 0x30);
}

TEST(a_negative_pc_relative_pointer_points_backwards) {
    struct made m = {0};
    put_cie(&m, 1, "zR", "\x1b", 1);
    size_t fde = m.bytes.length;
    const int32_t addresses[] = {-0x800, 0x30};
    put_fde(&m, 0, addresses, sizeof addresses, true);
    CHECK_EQ(read_all(&m).fde.start, BASE + fde + 8 - 0x800);
}

TEST(every_augmentation_in_use_is_read) {
    struct made m = {0};
    put_cie(&m, 1, "zPLRS", "\x9b\1\2\3\4\x1b\x1b", 7); /* personality (indirect, pcrel, sdata4), LSDA, FDE encoding, signal frame */
    const int32_t addresses[] = {0x500, 0x30};
    put_fde(&m, 0, addresses, sizeof addresses, true);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK(seen.cie.is_signal_frame);
    CHECK_EQ(bytes_left(&seen.cie.instructions), 1);

    put_cie(&m, 1, "zRQ", "\x1b\xff", 2); /* a letter of the future behind the ones that matter */
    put_fde(&m, 0, addresses, sizeof addresses, true);
    CHECK_EQ(read_all(&m).fdes, 1);

    put_cie(&m, 1, "eh", "", 0); /* GCC 2: a pointer follows the string, which put_cie does not write, so it is broken */
    put_fde(&m, 0, addresses, sizeof addresses, false);
    CHECK_EQ(read_all(&m).fdes, 0);
}

TEST(dwarf64_entries_are_read) {
    struct made m = {.is_dwarf64 = true};
    put_cie(&m, 1, "", NULL, 0);
    put_fde(&m, 0, absolute, sizeof absolute, false);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK_EQ(seen.fde.start, 0x401000);
}

TEST(fdes_of_functions_thrown_away_are_left_out) {
    struct made m = {0};
    static const uint64_t at_zero[] = {0, 0x20}, empty[] = {0x401000, 0};
    put_cie(&m, 1, "", NULL, 0);
    put_fde(&m, 0, at_zero, sizeof at_zero, false);
    put_fde(&m, 0, empty, sizeof empty, false);
    put_fde(&m, 0, absolute, sizeof absolute, false);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK_EQ(seen.broken, 0);
}

TEST(broken_entries_are_counted) {
    struct made m = {0};
    static const uint64_t wraps[] = {UINT64_MAX - 4, 0x20};
    put_cie(&m, 1, "", NULL, 0);
    put_fde(&m, 0, wraps, sizeof wraps, false);       /* its end is before its start */
    put_fde(&m, m.bytes.length, absolute, 8, false);  /* its CIE is itself */
    put_fde(&m, 1, absolute, sizeof absolute, false); /* its CIE starts in the middle of one */
    put_fde(&m, 0, absolute, 12, false);              /* cut short */
    put_fde(&m, 0, absolute, sizeof absolute, false);
    buffer_put_u32(&m.bytes, 1000); /* longer than the section: the end */
    buffer_put_u32(&m.bytes, 0);
    struct seen seen = read_all(&m);
    CHECK_EQ(seen.fdes, 1);
    CHECK_EQ(seen.broken, 5);
}

/* A CIE for each FDE, as an enemy or an odd linker writes them: the time must not grow with the square of their number. The case would
 * run for minutes. */
TEST(as_many_cies_as_fdes) {
    enum { COUNT = 200000 };
    struct made m = {0};
    for (size_t i = 0; i < COUNT; i++) {
        size_t cie = m.bytes.length;
        put_cie(&m, 1, "", NULL, 0);
        put_fde(&m, cie, absolute, sizeof absolute, false);
    }
    CHECK(!m.bytes.failed);
    CHECK_EQ(read_all(&m).fdes, COUNT);
}

TEST_MAIN()
