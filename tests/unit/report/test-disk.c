/* SPDX-License-Identifier: MIT */
/* A recording without symbols is named from this machine's files: here, from the test program itself. */
#include <fcntl.h>
#include <link.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "tests/unit/report/make.h"

int disk_test_function(int x);
__attribute__((noinline)) int disk_test_function(int x) {
    return x * 3 + 1;
}

static char own_path[4096];
static struct elf_build_id own_id;

static int get_bias(struct dl_phdr_info *info, size_t size, void *to) {
    (void)size;
    *(uint64_t *)to = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

static uint64_t function_svma(void) {
    uint64_t bias = 0;
    dl_iterate_phdr(get_bias, &bias);
    return (uint64_t)(uintptr_t)disk_test_function - bias;
}

static bool find_self(void) {
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct elf_image *image;
    if (length <= 0 || elf_image_open(fd, &image) < 0)
        return false;
    own_path[length] = 0;
    own_id = elf_image_info(image)->build_id;
    elf_image_close(image);
    return true;
}

static struct recording *unsymbolised(const char *path, const struct elf_build_id *id) {
    struct make m = make_start();
    struct recording_module module = {.kind = MODULE_FILE, .path = path, .build_id_length = id->length};
    memcpy(module.build_id, id->bytes, id->length);
    uint32_t task = make_task(&m, "app", 1, 1), id_of_module = recording_add_module(m.writer, &module);
    struct recording_frame outer = {
        .class = FRAME_TABLE, .flags = FRAME_FLAG_RETURN, .module = id_of_module, .address = function_svma() + 1};
    struct recording_frame inner = {.module = id_of_module, .address = function_svma()};
    uint32_t frames[] = {recording_add_frame(m.writer, &outer), recording_add_frame(m.writer, &inner)};
    uint32_t node = recording_add_node(m.writer, &(struct recording_node){STACK_COMPLETE, frames[0]});
    node = recording_add_node(m.writer, &(struct recording_node){node, frames[1]});
    recording_add_sample(m.writer, &(struct recording_sample){.time = 1, .task = task, .node = node, .weight = {1}});
    m.left_open = true;
    return make_finish(&m);
}

TEST(a_file_with_the_recorded_build_id_gives_names) {
    CHECK(find_self());
    CHECK(own_id.length);
    _cleanup_free_ char *out = REPORT(unsymbolised(own_path, &own_id), "--folded");
    CHECK_STR(out, "app;disk_test_function;disk_test_function 1\n");
    _cleanup_free_ char *table = REPORT(unsymbolised(own_path, &own_id), "--sort=function");
    CHECK(strstr(table, "# names: 2 places have none in the recording; 2 of them are named from this machine's files"));
    CHECK(!strstr(table, "without names"));
}

TEST(another_build_gives_none_and_is_told) {
    CHECK(find_self());
    struct elf_build_id other = own_id;
    other.bytes[0] ^= 1;
    struct view_notes notes;
    _cleanup_free_ char *out = make_report_noting(unsymbolised(own_path, &other), MAKE_STACK("--folded"), &notes);
    CHECK(!strstr(out, "disk_test_function"));
    CHECK(strstr(out, ";[test-report-disk] 1\n"));
    CHECK_EQ(notes.unnamed, 2);
    _cleanup_free_ char *table = REPORT(unsymbolised(own_path, &other), "--sort=function");
    CHECK(strstr(table, "2 places have none in the recording; 0 of them"));
    CHECK(strstr(table, "test-report-disk (another build here)\n"));
}

TEST(what_cannot_be_checked_is_not_used) {
    CHECK(find_self());
    struct elf_build_id none = {0};
    _cleanup_free_ char *table = REPORT(unsymbolised(own_path, &none), "--sort=function");
    CHECK(strstr(table, "(nothing to know it by)\n"));
    _cleanup_free_ char *gone = REPORT(unsymbolised("/nonexistent/app", &own_id), "--sort=function");
    CHECK(strstr(gone, "# modules without names: /nonexistent/app (not here)\n"));
    _cleanup_free_ char *directory = REPORT(unsymbolised("/tmp", &own_id), "--sort=function");
    CHECK(strstr(directory, "# modules without names: /tmp (not here)\n"));
}

TEST_MAIN()
