/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)

#define _cleanup_image_ _cleanup_(elf_image_close_cleanup)

static const char source_text[] = "int main(void) { return 0; }\n";

/* A stripped program at "bin/program" in the folder, and its debug file at `debug`. */
static bool make_pair(const char *build_id, const char *debug) {
    const char *source = tools_write("source.c", source_text, sizeof source_text - 1), *whole = tools_path("whole");
    char link[PATH_MAX + 32];
    mkdir(tools_path("bin"), 0700);
    if (tools_run("cc", "-g", build_id, source, "-o", whole) != 0 || tools_run("objcopy", "--only-keep-debug", whole, debug) != 0)
        return false;
    snprintf(link, sizeof link, "--add-gnu-debuglink=%s", debug);
    return tools_run("objcopy", "-S", link, whole, tools_path("bin/program")) == 0;
}

/* The debug file found for bin/program as it lies under `root`; "" = none. */
static void check_found(const char *path, const char *root, const char *wanted) {
    _cleanup_image_ struct elf_image *image = tools_image(tools_path("bin/program")), *debug = NULL;
    _cleanup_free_ char *found = NULL;
    CHECK(image);
    int r = elf_debug_open(image, path, root, &debug, &found);
    CHECK_EQ(r, wanted[0] ? 0 : -ENOENT);
    if (r < 0)
        return;
    CHECK_STR(found, wanted);
    struct elf_section section;
    CHECK_EQ(elf_image_section(debug, ".debug_info", &section), 0);
}

TEST(by_build_id_below_root) {
    mkdir(tools_path("root"), 0700), mkdir(tools_path("root/usr"), 0700), mkdir(tools_path("root/usr/lib"), 0700);
    mkdir(tools_path("root/usr/lib/debug"), 0700), mkdir(tools_path("root/usr/lib/debug/.build-id"), 0700);
    mkdir(tools_path("root/usr/lib/debug/.build-id/ab"), 0700);
    const char *debug = tools_path("root/usr/lib/debug/.build-id/ab/cdef0123456789.debug");
    if (!make_pair("-Wl,--build-id=0xabcdef0123456789", debug))
        SKIP("no compiler or binutils");
    check_found(NULL, tools_path("root"), debug);
    check_found("/nowhere/program", tools_path("root"), debug);
    check_found(NULL, "", "");
    if (!check_failed && make_pair("-Wl,--build-id=0xabcdef01234567ff", tools_path("other")))
        check_found(NULL, tools_path("root"), ""); /* there is a file of another name only */
    if (!check_failed && rename(tools_path("other"), debug) == 0 && make_pair("-Wl,--build-id=0xabcdef0123456789", tools_path("other")))
        check_found(NULL, tools_path("root"), ""); /* the file of that name is of another build */
}

TEST(by_debuglink_beside_the_file_and_in_dot_debug) {
    const char *beside = tools_path("bin/program.debug"), *below = tools_path("bin/.debug/program.debug");
    mkdir(tools_path("bin"), 0700), mkdir(tools_path("bin/.debug"), 0700);
    if (!make_pair("-Wl,--build-id=none", beside))
        SKIP("no compiler or binutils");
    check_found(tools_path("bin/program"), "", beside);
    CHECK(!check_failed);
    CHECK_EQ(rename(beside, below), 0);
    check_found(tools_path("bin/program"), "", below);
    CHECK(!check_failed);
    check_found(NULL, "", ""); /* without its path there is nowhere to look */
    CHECK(!check_failed);

    FILE *file = fopen(below, "ae"); /* one byte more: another CRC */
    CHECK(file && fputc(0, file) == 0 && fclose(file) == 0);
    check_found(tools_path("bin/program"), "", "");
}

TEST(a_fifo_in_the_place_of_a_debug_file_does_not_hold_us_up) {
    const char *beside = tools_path("bin/program.debug");
    mkdir(tools_path("bin"), 0700);
    if (!make_pair("-Wl,--build-id=none", beside))
        SKIP("no compiler or binutils");
    CHECK_EQ(unlink(beside), 0);
    CHECK_EQ(mkfifo(beside, 0600), 0);
    check_found(tools_path("bin/program"), "", "");
    unlink(beside);
}

TEST(a_debug_file_of_another_build_is_refused) {
    const char *beside = tools_path("bin/program.debug");
    mkdir(tools_path("bin"), 0700);
    if (!make_pair("-Wl,--build-id=0x1111111111111111", beside))
        SKIP("no compiler or binutils");
    check_found(tools_path("bin/program"), "", beside);
    CHECK(!check_failed);
    CHECK_EQ(rename(beside, tools_path("old")), 0);
    CHECK(make_pair("-Wl,--build-id=0x2222222222222222", beside));
    CHECK_EQ(rename(tools_path("old"), beside), 0);
    check_found(tools_path("bin/program"), "", "");
}

TEST(libc_has_its_debug_package) {
    _cleanup_image_ struct elf_image *image = tools_image("/lib/x86_64-linux-gnu/libc.so.6"), *debug = NULL;
    _cleanup_free_ char *path = NULL;
    struct elf_section section;
    if (!image || elf_debug_open(image, "/lib/x86_64-linux-gnu/libc.so.6", "", &debug, &path) < 0)
        SKIP("libc6-dbg is not installed");
    CHECK(elf_build_id_equal(&elf_image_info(image)->build_id, &elf_image_info(debug)->build_id));
    CHECK_EQ(elf_image_section(debug, ".symtab", &section), 0);
}

TEST_MAIN()
