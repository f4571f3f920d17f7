/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>

#include "flamegraph/palette.h"
#include "tests/check.h"

/* WCAG 2.1: relative luminance and contrast ratio. */
static double luminance(uint32_t color) {
    static const double weights[] = {0.0722, 0.7152, 0.2126};
    double sum = 0;
    for (unsigned i = 0; i < 3; i++, color >>= 8) {
        double channel = (color & 255) / 255.0;
        sum += weights[i] * (channel <= 0.03928 ? channel / 12.92 : pow((channel + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(uint32_t a, uint32_t b) {
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static uint32_t color_of(enum flamegraph_palette palette, const char *name) {
    struct palette_frame frame = {.name = name, .length = strlen(name)};
    return palette_color(palette, &frame, false);
}

TEST(every_color_is_readable) {
    static const char *const suffixes[] = {"", "_[k]", "_[j]", "_[i]", "_[w]", "_[s]", "::x", ".js:1", "/x", " [libc.so]"};
    for (unsigned palette = 0; palette < FLAMEGRAPH_PALETTE_COUNT; palette++) {
        for (unsigned i = 0; i < 9 * 300; i++) {
            char name[64];
            snprintf(name, sizeof name, "name%u%s", i, suffixes[i % 9]);
            struct palette_frame frame = {.name = name, .length = strlen(name)};
            CHECK(contrast(palette_color((enum flamegraph_palette)palette, &frame, i & 1), PALETTE_INK) >= 4.5);
        }
    }
    for (int i = -100; i <= 100; i++)
        CHECK(contrast(palette_difference(i, 100, false), PALETTE_INK) >= 4.5);
}

TEST(a_name_keeps_its_color) {
    CHECK_EQ(color_of(FLAMEGRAPH_HOT, "main"), color_of(FLAMEGRAPH_HOT, "main"));
    CHECK(color_of(FLAMEGRAPH_HOT, "main") != color_of(FLAMEGRAPH_HOT, "memcpy"));
    CHECK(color_of(FLAMEGRAPH_HOT, "main") != color_of(FLAMEGRAPH_MEM, "main"));
}

TEST(kinds) {
    CHECK_EQ(palette_kind("do_syscall_64_[k]", 17), FLAMEGRAPH_KIND_KERNEL);
    CHECK_EQ(palette_kind("f_[j]", 5), FLAMEGRAPH_KIND_JIT);
    CHECK_EQ(palette_kind("f_[i]", 5), FLAMEGRAPH_KIND_INLINED);
    CHECK_EQ(palette_kind("f_[x]", 5), FLAMEGRAPH_KIND_AUTO);
    CHECK_EQ(palette_kind("[k]", 3), FLAMEGRAPH_KIND_AUTO);
    CHECK_EQ(palette_visible("f_[k]", 5), 1);
    CHECK_EQ(palette_visible("f[k]", 4), 4);
    uint32_t user = color_of(FLAMEGRAPH_KIND, "f"), kernel = color_of(FLAMEGRAPH_KIND, "f_[k]");
    uint32_t jit = color_of(FLAMEGRAPH_KIND, "f_[j]"), inlined = color_of(FLAMEGRAPH_KIND, "f_[i]");
    CHECK(user != kernel && kernel != jit && jit != inlined && user != inlined);
    struct palette_frame told = {.name = "f", .length = 1, .kind = FLAMEGRAPH_KIND_KERNEL};
    CHECK_EQ(palette_color(FLAMEGRAPH_KIND, &told, false), kernel);
}

static const char *module_of(const char *name) {
    static char module[64];
    size_t length;
    const char *start = palette_module(name, strlen(name), &length);
    snprintf(module, sizeof module, "%.*s", (int)length, start);
    return module;
}

TEST(modules) {
    CHECK_STR(module_of("libc.so.1`malloc"), "libc.so.1");
    CHECK_STR(module_of("malloc [libc.so.6]"), "libc.so.6");
    CHECK_STR(module_of("[libc.so.6]"), "libc.so.6");
    CHECK_STR(module_of("ext4_write [ext4]_[k]"), "ext4");
    CHECK_STR(module_of("std::sort<int[3]>"), "std");
    CHECK_STR(module_of("operator[]"), "");
    CHECK_STR(module_of(""), "");
    struct palette_frame told = {.name = "malloc", .length = 6, .module = "libc.so.6"};
    struct palette_frame read = {.name = "malloc [libc.so.6]", .length = 18};
    uint32_t a = palette_color(FLAMEGRAPH_MODULE, &told, true), b = palette_color(FLAMEGRAPH_MODULE, &read, true);
    CHECK_EQ(a, b);
}

TEST(differences) {
    uint32_t same = palette_difference(0, 10, false), more = palette_difference(10, 10, false), less = palette_difference(-10, 10, false);
    CHECK_EQ(same >> 16, same & 255);
    CHECK(more >> 16 > (more & 255));
    CHECK(less >> 16 < (less & 255));
    CHECK_EQ(palette_difference(10, 10, true), less);
    CHECK_EQ(palette_difference(0, 0, false), same);
}

TEST(names_of_palettes) {
    enum flamegraph_palette palette;
    for (unsigned i = 0; i < FLAMEGRAPH_PALETTE_COUNT; i++) {
        CHECK_EQ(flamegraph_palette_parse(flamegraph_palette_name((enum flamegraph_palette)i), &palette), 0);
        CHECK_EQ(palette, i);
    }
    CHECK_EQ(flamegraph_palette_parse("mauve", &palette), -EINVAL);
}

TEST_MAIN()
