/* SPDX-License-Identifier: MIT */
/* The naming policy of symbol.h on programs made for it. */
#include "base/cleanup.h"
#include "symbol/symbol.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)
DEFINE_CLEANUP(struct symbol_module *, symbol_module_close)

#define _cleanup_image_  _cleanup_(elf_image_close_cleanup)
#define _cleanup_module_ _cleanup_(symbol_module_close_cleanup)

static const char source_text[] = "#include <cstdlib>\n"
                                  "namespace shape {\n"
                                  "struct Box { int w, h; inline __attribute__((always_inline)) int area() const { return w * h; } };\n"
                                  "template <class T> __attribute__((noinline)) T grow(T n) { return n + (T)std::rand(); }\n"
                                  "template long grow<long>(long);\n"
                                  "}\n"
                                  "extern \"C\" __attribute__((noinline)) int outer(const volatile shape::Box *b) {\n"
                                  "  shape::Box box{b->w, b->h};\n"
                                  "  return box.area() + 1;\n"
                                  "}\n"
                                  "extern \"C\" __attribute__((noinline, noipa)) int split(int x) asm(\"split.part.0\");\n"
                                  "extern \"C\" int split(int x) { return x + 5; }\n"
                                  "int main(int argc, char **) {\n"
                                  "  volatile shape::Box b{argc, 2};\n"
                                  "  return outer(&b) + (int)shape::grow<long>(argc) + split(argc);\n"
                                  "}\n";

static const struct symbol_options all = {.inlines = true, .root = ""}, names_only = {.root = ""};

static const char *build(void) {
    const char *source = tools_write("source.cc", source_text, sizeof source_text - 1), *path = tools_path("program");
    return tools_run("c++", "-O2", "-g", source, "-o", path) == 0 ? path : NULL;
}

/* A symbol's address and size, by readelf. */
static bool symbol_of(const char *path, const char *name, uint64_t *ret_start, uint64_t *ret_size) {
    _cleanup_fclose_ FILE *text = tools_read("readelf", "-W", "-s", path);
    char line[4096], found[2048];
    unsigned long long value;
    unsigned size;
    while (text && fgets(line, sizeof line, text)) {
        if (sscanf(line, "%*d: %llx %u FUNC %*s %*s %*s %2047s", &value, &size, found) == 3 && !strcmp(found, name)) {
            *ret_start = value;
            *ret_size = size;
            return true;
        }
    }
    return false;
}

static const char grow[] = "_ZN5shape4growIlEET_S1_";

/* How the outermost frame at the start of `symbol` in `path` is named under `options`; the symbol is looked up in `whole`. */
static void check_name(const char *path, const char *whole, const char *symbol, const struct symbol_options *options, const char *wanted) {
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_module_ struct symbol_module *module = NULL;
    struct symbol_frame chain[SYMBOL_CHAIN_MAX];
    uint64_t start, size;
    CHECK(image);
    CHECK(symbol_of(whole, symbol, &start, &size));
    CHECK_EQ(symbol_module_open(image, path, options, &module), 0);
    int count = symbol_module_find(module, start + size - 1, chain, SYMBOL_CHAIN_MAX);
    CHECK(count > 0);
    CHECK_STR(chain[count - 1].function, wanted);
    CHECK(!chain[count - 1].is_inlined);
}

TEST(names_are_readable_with_and_without_dwarf) {
    const char *path = build();
    if (!path)
        SKIP("no C++ compiler");
    const struct symbol_options *const options[] = {&all, &names_only};
    for (size_t i = 0; i < 2 && !check_failed; i++) {
        check_name(path, path, "outer", options[i], "outer");
        check_name(path, path, grow, options[i], "long shape::grow<long>(long)");
        check_name(path, path, "split.part.0", options[i], "split.part.0");
    }
}

TEST(inlined_calls_come_before_their_function) {
    const char *path = build();
    if (!path)
        SKIP("no C++ compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_module_ struct symbol_module *module = NULL;
    uint64_t start, size;
    CHECK(symbol_of(path, "outer", &start, &size));
    CHECK_EQ(symbol_module_open(image, path, &all, &module), 0);
    size_t inlined = 0;
    for (uint64_t address = start; address < start + size; address++) {
        struct symbol_frame chain[SYMBOL_CHAIN_MAX];
        int count = symbol_module_find(module, address, chain, SYMBOL_CHAIN_MAX);
        CHECK(count >= 1 && count <= 2);
        CHECK_STR(chain[count - 1].function, "outer");
        CHECK(chain[count - 1].file && strstr(chain[count - 1].file, "source.cc"));
        if (count < 2)
            continue;
        inlined++;
        CHECK_STR(chain[0].function, "shape::Box::area() const");
        CHECK(chain[0].is_inlined);
        CHECK_EQ(chain[1].line, 9); /* where area is called */
    }
    CHECK(inlined > 0);
}

TEST(without_inlines_no_dwarf_is_read) {
    const char *path = build();
    if (!path)
        SKIP("no C++ compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_module_ struct symbol_module *module = NULL;
    struct symbol_frame chain[SYMBOL_CHAIN_MAX];
    uint64_t start, size;
    CHECK(symbol_of(path, "outer", &start, &size));
    CHECK_EQ(symbol_module_open(image, path, &names_only, &module), 0);
    for (uint64_t address = start; address < start + size; address++) {
        CHECK_EQ(symbol_module_find(module, address, chain, SYMBOL_CHAIN_MAX), 1);
        CHECK(!chain[0].file && !chain[0].line);
    }
}

/* Two runs of the recorder must call it the same, wherever it was mapped. */
TEST(a_function_without_name_is_called_by_its_start) {
    const char *path = build(), *stripped = tools_path("stripped");
    if (!path || tools_run("strip", path, "-o", stripped) != 0)
        SKIP("no C++ compiler or strip");
    uint64_t start, size;
    char wanted[32];
    CHECK(symbol_of(path, "outer", &start, &size));
    snprintf(wanted, sizeof wanted, "fun_%" PRIx64, start);
    check_name(stripped, path, "outer", &all, wanted);
}

TEST(a_plt_entry_is_name_at_plt) {
    const char *path = build();
    if (!path)
        SKIP("no C++ compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_module_ struct symbol_module *module = NULL;
    CHECK_EQ(symbol_module_open(image, path, &all, &module), 0);
    static const char *const sections[] = {".plt", ".plt.sec", ".plt.got"};
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        struct elf_section section = {0};
        if (elf_image_section(image, sections[i], &section) < 0)
            continue;
        for (size_t at = 0; at < section.length; at += 8) {
            struct symbol_frame chain[SYMBOL_CHAIN_MAX];
            int count = symbol_module_find(module, section.address + at, chain, SYMBOL_CHAIN_MAX);
            found += count == 1 && chain[0].function && !strcmp(chain[0].function, "rand@plt");
        }
    }
    CHECK(found > 0);
}

TEST(where_nothing_is_there_is_no_name) {
    const char *path = build();
    if (!path)
        SKIP("no C++ compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_module_ struct symbol_module *module = NULL;
    struct symbol_frame chain[1];
    CHECK_EQ(symbol_module_open(image, NULL, &all, &module), 0);
    CHECK_EQ(symbol_module_find(module, 0, chain, 1), 0);
    CHECK_EQ(symbol_module_find(module, UINT64_MAX, chain, 1), 0);
    CHECK_EQ(symbol_module_find(module, elf_image_info(image)->segments[0].address, chain, 0), 0);
}

TEST_MAIN()
