/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"
#include "process/process.h"
#include "tests/check.h"

static int print(void *context, const struct process_map_event *event) {
    buffer_printf(context, "%llx+%llx @%llx %c %x:%x %llu [%s]\n", (unsigned long long)event->start, (unsigned long long)event->length,
                  (unsigned long long)event->offset, event->is_executable ? 'x' : '-', event->identity.device_major,
                  event->identity.device_minor, (unsigned long long)event->identity.inode, event->path);
    return 0;
}

static const char *parse(struct buffer *out, const char *text, size_t *ret_skipped) {
    buffer_clear(out);
    (void)process_maps_parse(text, strlen(text), print, out, ret_skipped);
    buffer_put_u8(out, 0);
    return (const char *)out->data;
}

TEST(lines) {
    struct buffer out = {0};
    size_t skipped;
    CHECK_STR(parse(&out,
                    "55d0c0a00000-55d0c0a02000 r-xp 00002000 fe:00 326269                     /usr/bin/cat\n"
                    "7ffd3e1f0000-7ffd3e211000 rw-p 00000000 00:00 0                          [stack]\n"
                    "7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n"
                    "1000-2000 r-xs 00000000 00:01 7                          /with blank\\012and newline (deleted)",
                    &skipped),
              "55d0c0a00000+2000 @2000 x fe:0 326269 [/usr/bin/cat]\n"
              "7ffd3e1f0000+21000 @0 - 0:0 0 [[stack]]\n"
              "7f0000000000+1000 @0 x 0:0 0 []\n"
              "1000+1000 @0 x 0:1 7 [/with blank\nand newline (deleted)]\n");
    CHECK_EQ(skipped, 0);
    buffer_free(&out);
}

TEST(broken_lines_are_skipped) {
    static const char *const lines[] = {
        "",
        "1000",
        "1000-",
        "2000-1000 r-xp 0 0:0 0 /a",
        "1000-1000 r-xp 0 0:0 0 /a",
        "-2000 r-xp 0 0:0 0 /a",
        "1000-2000 r-x",
        "1000-2000 r-xpp 0 0:0 0 /a",
        "1000-2000 r-xp z 0:0 0 /a",
        "1000-2000 r-xp 0 0 0 /a",
        "1000-2000 r-xp 0 100000000:0 0 /a",
        "1000-2000 r-xp 0 0:0 0x /a",
        "1000-2000 r-xp 0 0:0 ab /a",
        "11111111111111111-22222222222222222 r-xp 0 0:0 0 /a",
        "1000-2000 r-xp 0 0:0 99999999999999999999 /a",
    };
    struct buffer out = {0};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char text[256];
        size_t skipped;
        snprintf(text, sizeof text, "%s\n5000-6000 r-xp 00000000 00:00 0 /good\n", lines[i]);
        CHECK_STR(parse(&out, text, &skipped), "5000+1000 @0 x 0:0 0 [/good]\n");
        CHECK_EQ(skipped, 1);
    }
    buffer_free(&out);
}

static int stop(void *context, const struct process_map_event *event) {
    (void)event;
    return ++*(int *)context;
}

TEST(own_maps_hold_this_function) {
    FILE *file = fopen("/proc/self/maps", "re");
    CHECK(file != NULL);
    static char text[1 << 20];
    size_t length = fread(text, 1, sizeof text, file), skipped;
    fclose(file);
    struct buffer out = {0};
    CHECK_EQ(process_maps_parse(text, length, print, &out, &skipped), 0);
    CHECK_EQ(skipped, 0);
    buffer_put_u8(&out, 0);
    CHECK(strstr((const char *)out.data, "test-process-parse]\n") != NULL);
    CHECK(strstr((const char *)out.data, "[[vdso]]\n") != NULL);
    int seen = 0;
    CHECK_EQ(process_maps_parse(text, length, stop, &seen, &skipped), 1);
    CHECK_EQ(seen, 1);
    buffer_free(&out);
}

TEST_MAIN()
