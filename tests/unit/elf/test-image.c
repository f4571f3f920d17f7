/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)

#define _cleanup_image_ _cleanup_(elf_image_close_cleanup)

static const char source_text[] = "int global = 7;\nint function(int x) { return x + global; }\nint main(void) { return function(1); }\n";

static int open_path(const char *path, struct elf_image **ret) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = elf_image_open(fd, ret);
    close(fd);
    return r;
}

/* ---- what changes under our hands ------------------------------------------------------------------------------------------------ */

TEST(a_file_truncated_while_it_is_open_reads_as_zeros) {
    static char content[64 << 20];
    _cleanup_fclose_ FILE *self = fopen("/proc/self/exe", "re");
    CHECK(self != NULL);
    const char *path = tools_write("truncated", content, fread(content, 1, sizeof content, self));
    _cleanup_image_ struct elf_image *image = NULL;
    CHECK_EQ(open_path(path, &image), 0);
    CHECK_EQ(truncate(path, 4096), 0);
    const struct elf_info *info = elf_image_info(image);
    const struct elf_segment *last = &info->segments[info->segment_count - 1];
    CHECK(last->offset > 4096);
    const uint8_t *bytes = elf_image_bytes(image, last->address, 8);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < 8; i++)
        CHECK_EQ(bytes[i], 0);
}

/* kB of `path` in our memory. */
static long resident(const char *path) {
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/smaps", "re");
    char line[8192];
    bool is_it = false;
    long sum = 0, one;
    while (maps && fgets(line, sizeof line, maps)) {
        if (strstr(line, path))
            is_it = true;
        else if (is_it && sscanf(line, "Rss: %ld", &one) == 1) {
            sum += one;
            is_it = false;
        }
    }
    return sum;
}

static uint64_t sum_of(const struct elf_image *image) {
    const struct elf_info *info = elf_image_info(image);
    uint64_t sum = 0;
    for (size_t i = 0; i < info->segment_count; i++) {
        const uint8_t *bytes = elf_image_bytes(image, info->segments[i].address, info->segments[i].file_size);
        for (size_t k = 0; bytes && k < info->segments[i].file_size; k++)
            sum = sum * 31 + bytes[k];
    }
    return sum;
}

TEST(an_unloaded_file_takes_no_memory_until_it_is_read_again) {
    static char content[64 << 20];
    _cleanup_fclose_ FILE *self = fopen("/proc/self/exe", "re");
    CHECK(self != NULL);
    const char *path = tools_write("unloaded", content, fread(content, 1, sizeof content, self));
    _cleanup_image_ struct elf_image *image = NULL;
    CHECK_EQ(open_path(path, &image), 0);
    uint64_t sum = sum_of(image);
    CHECK(resident(path) > 0);
    elf_image_unload(image);
    CHECK_EQ(resident(path), 0);
    CHECK_EQ(sum_of(image), sum);
}

/* ---- what is no ELF file --------------------------------------------------------------------------------------------------------- */

TEST(only_regular_files_are_opened) {
    struct elf_image *image = NULL;
    const char *fifo = tools_path("fifo");
    CHECK_EQ(open_path("/", &image), -EINVAL);
    CHECK_EQ(open_path("/dev/null", &image), -EINVAL);
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    CHECK_EQ(open_path(fifo, &image), -EINVAL);
    CHECK(!image);
}

TEST(other_files_are_refused) {
    struct elf_image *image = NULL;
    CHECK_EQ(open_path(tools_write("empty", "", 0), &image), -ENOEXEC);
    CHECK_EQ(open_path(tools_write("text", "#!/bin/sh\nexit 0\n", 17), &image), -ENOEXEC);
    CHECK_EQ(open_path(tools_write("magic", "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", 16), &image), -ENOEXEC);
    CHECK_EQ(elf_image_open_memory("", 0, &image), -ENOEXEC);
    CHECK(!image);
}

/* Cut anywhere, a file opens or is refused; what opens answers within its bytes (a sanitizer sees the rest). */
TEST(a_file_cut_short_costs_what_was_cut) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1), *path = tools_path("whole");
    if (tools_run("cc", "-O1", "-g", source, "-o", path) != 0)
        SKIP("no compiler");
    static uint8_t bytes[1 << 16];
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    size_t length = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    CHECK(length > 4096);
    size_t opened = 0;
    for (size_t cut = 0; cut <= length; cut += cut < 4096 ? 61 : 509) {
        struct elf_image *image;
        struct elf_section section;
        if (elf_image_open_memory(bytes, cut, &image) < 0)
            continue;
        opened++;
        const struct elf_info *info = elf_image_info(image);
        for (size_t i = 0; i < info->segment_count; i++)
            (void)elf_image_bytes(image, info->segments[i].address, info->segments[i].file_size);
        (void)elf_image_section(image, ".text", &section);
        elf_image_close(image);
    }
    CHECK(opened > 4);
}

/* ---- identity -------------------------------------------------------------------------------------------------------------------- */

TEST(the_build_id_is_what_readelf_reads) {
    _cleanup_image_ struct elf_image *image = NULL;
    char path[PATH_MAX] = "", line[256], hex[256] = "", ours[65] = "";
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    CHECK_EQ(open_path(path, &image), 0);
    _cleanup_fclose_ FILE *text = tools_read("readelf", "-n", path);
    while (text && fgets(line, sizeof line, text))
        (void)sscanf(line, " Build ID: %255s", hex);
    if (!hex[0])
        SKIP("no readelf, or built without build-id");
    const struct elf_info *info = elf_image_info(image);
    for (size_t i = 0; i < info->build_id.length; i++)
        snprintf(ours + 2 * i, 3, "%02x", info->build_id.bytes[i]);
    CHECK_STR(ours, hex);
    CHECK(elf_build_id_equal(&info->build_id, &info->build_id));
    struct elf_build_id other = info->build_id;
    other.bytes[other.length - 1] ^= 1;
    CHECK(!elf_build_id_equal(&info->build_id, &other));
    other = info->build_id;
    other.length--;
    CHECK(!elf_build_id_equal(&info->build_id, &other));
}

TEST(a_long_build_id_is_read_and_one_that_is_too_long_is_none) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1), *path = tools_path("long-id");
    const struct { unsigned digits, length; } cases[] = {{16, 8}, {40, 20}, {64, 32}, {66, 0}, {200, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_image_ struct elf_image *image = NULL;
        char option[256] = "-Wl,--build-id=0x";
        memset(option + 17, 'a', cases[i].digits);
        if (tools_run("cc", option, source, "-o", path) != 0)
            SKIP("no compiler, or its linker takes no build-id");
        CHECK_EQ(open_path(path, &image), 0);
        CHECK_EQ(elf_image_info(image)->build_id.length, cases[i].length);
    }
}

TEST(the_vdso_is_read_from_memory) {
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long long start = 0, end = 0;
    char line[PATH_MAX + 128];
    while (maps && fgets(line, sizeof line, maps)) {
        if (strstr(line, "[vdso]") && sscanf(line, "%llx-%llx", &start, &end) == 2)
            break;
        start = 0;
    }
    if (!start)
        SKIP("no vDSO");
    _cleanup_image_ struct elf_image *image = NULL;
    struct elf_section section;
    CHECK_EQ(elf_image_open_memory((const void *)(uintptr_t)start, end - start, &image), 0);
    CHECK_EQ(elf_image_info(image)->machine, EM_X86_64);
    CHECK(elf_image_info(image)->build_id.length > 0);
    CHECK_EQ(elf_image_section(image, ".dynsym", &section), 0);
    CHECK(section.length > 0);
}

/* ---- sections -------------------------------------------------------------------------------------------------------------------- */

/* The content of `name` in a program built with `option` is that of one built without. */
static void check_compressed(const char *option, uint64_t wanted_flag) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1);
    const char *plain = tools_path("plain"), *packed = tools_path("packed");
    if (tools_run("cc", "-g", source, "-o", plain) != 0 || tools_run("objcopy", option, plain, packed) != 0)
        SKIP("no compiler, or binutils cannot do this");
    _cleanup_image_ struct elf_image *a = NULL, *b = NULL;
    CHECK_EQ(open_path(plain, &a), 0);
    CHECK_EQ(open_path(packed, &b), 0);
    static const char *const names[] = {".debug_info", ".debug_str", ".debug_line", ".text", ".dynsym"};
    bool seen = false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct elf_section x, y;
        CHECK_EQ(elf_image_section(a, names[i], &x), 0);
        CHECK_EQ(elf_image_section(b, names[i], &y), 0);
        CHECK_EQ(y.length, x.length);
        CHECK(!memcmp(x.data, y.data, x.length));
        seen |= (y.flags & wanted_flag) != 0;
    }
    CHECK(seen || !wanted_flag);
}

TEST(sections_compressed_with_zlib_are_given_plain) {
    check_compressed("--compress-debug-sections=zlib", SHF_COMPRESSED);
}

TEST(sections_compressed_with_zstd_are_given_plain) {
    check_compressed("--compress-debug-sections=zstd", SHF_COMPRESSED);
}

TEST(sections_compressed_in_the_old_way_are_given_plain) {
    check_compressed("--compress-debug-sections=zlib-gnu", 0);
}

TEST(sections_that_are_not_there_are_enoent) {
    _cleanup_image_ struct elf_image *image = NULL;
    struct elf_section section;
    CHECK_EQ(open_path("/proc/self/exe", &image), 0);
    CHECK_EQ(elf_image_section(image, ".no_such_section", &section), -ENOENT);
    CHECK_EQ(elf_image_section(image, ".bss", &section), -ENOENT); /* it has no bytes in the file */
}

/* ---- segments -------------------------------------------------------------------------------------------------------------------- */

/* This program's own mappings, its own bytes in memory and the file's must tell the same. */
static void check_own_mappings(const char *path_end) {
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    char line[PATH_MAX + 128], path[PATH_MAX], access[8];
    unsigned long long start, end, offset;
    size_t compared = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        path[0] = '\0';
        if (sscanf(line, "%llx-%llx %7s %llx %*s %*s %4095s", &start, &end, access, &offset, path) < 4 || access[2] != 'x' ||
            !strstr(path, path_end))
            continue;
        _cleanup_image_ struct elf_image *image = NULL;
        uint64_t bias;
        CHECK_EQ(open_path(path, &image), 0);
        CHECK(elf_image_bias(image, start, end - start, offset, &bias));
        for (uint64_t at = start; at + 64 <= end; at += 4096) {
            const uint8_t *bytes = elf_image_bytes(image, at - bias, 64);
            if (!bytes)
                continue; /* the last page holds more than the segment */
            CHECK(!memcmp(bytes, (const void *)(uintptr_t)at, 64));
            compared++;
        }
    }
    CHECK(compared > 0);
}

TEST(code_in_memory_and_in_the_file_are_one_by_the_bias) {
    check_own_mappings("/test-elf-image");
    if (!check_failed)
        check_own_mappings("/libc.so.6");
}

/* lld puts the code segment at an address that differs from its file offset by a page; so offset and address must not be confused. */
TEST(the_bias_holds_where_offset_and_address_differ) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1), *path = tools_path("lld");
    if (tools_run("clang", "-fuse-ld=lld", "-pie", "-fPIE", source, "-o", path) != 0)
        SKIP("no clang or lld");
    _cleanup_image_ struct elf_image *image = NULL;
    CHECK_EQ(open_path(path, &image), 0);
    const struct elf_info *info = elf_image_info(image);
    size_t differing = 0;
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct elf_segment *s = &info->segments[i];
        uint64_t bias, page = s->offset & ~(uint64_t)4095;
        if (!(s->flags & PF_X))
            continue;
        differing += s->offset != s->address;
        CHECK(elf_image_bias(image, 0x555500000000, 4096, page, &bias));
        CHECK_EQ(bias + s->address, 0x555500000000 + (s->offset - page));
    }
    CHECK(differing > 0);
    uint64_t bias;
    CHECK(!elf_image_bias(image, 0x555500000000, 4096, 1 << 30, &bias));
}

TEST(bytes_are_given_only_where_the_file_has_them_all) {
    _cleanup_image_ struct elf_image *image = NULL;
    CHECK_EQ(open_path("/proc/self/exe", &image), 0);
    const struct elf_info *info = elf_image_info(image);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct elf_segment *s = &info->segments[i];
        if (!s->file_size)
            continue;
        CHECK(elf_image_bytes(image, s->address, s->file_size));
        CHECK(elf_image_bytes(image, s->address + s->file_size - 1, 1));
        CHECK(!elf_image_bytes(image, s->address, s->file_size + 1));
        CHECK(!elf_image_bytes(image, s->address + 1, SIZE_MAX));
    }
    CHECK(!elf_image_bytes(image, UINT64_MAX, 1));
}

TEST_MAIN()
