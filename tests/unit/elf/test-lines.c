/* SPDX-License-Identifier: MIT */
/*
 * Lines and inline chains of specimens, each address of them held against addr2line: LLVM's where it is installed, which shares no code
 * with libdw and knows ranges that overlap, compressed sections and LTO better than that of binutils.
 */
#include "base/cleanup.h"
#include "base/vec.h"
#include "elf/elf.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)
DEFINE_CLEANUP(struct elf_lines *, elf_lines_close)

#define _cleanup_image_ _cleanup_(elf_image_close_cleanup)
#define _cleanup_lines_ _cleanup_(elf_lines_close_cleanup)

enum { CHAIN_MAX = 32 };

static const char header[] = "static inline int add(int a, int b) {\n"
                             "  return a + b;\n"
                             "}\n"
                             "static inline int twice(volatile int *p) {\n"
                             "  int x = *p;\n"
                             "  { int y = *p; x = add(x, y) ^ x; }\n"
                             "  return x;\n"
                             "}\n";

static const char plain[] = "#include <stdlib.h>\n"
                            "#include \"plain.h\"\n"
                            "__attribute__((noinline)) int outer(volatile int *p, int n) {\n"
                            "  int sum = 0;\n"
                            "  for (int i = 0; i < n; i++)\n"
                            "    sum += twice(p) * i;\n"
                            "  if (__builtin_expect(sum == 12345, 0)) abort();\n"
                            "  return sum + add(n, *p);\n"
                            "}\n"
                            "int main(int argc, char **argv) {\n"
                            "  volatile int x = argc;\n"
                            "  (void)argv;\n"
                            "  return outer(&x, argc) + twice(&x);\n"
                            "}\n";

static const char classes[] = "#include <vector>\n#include <algorithm>\n"
                              "namespace shape {\n"
                              "struct Box { int w, h; int area() const { return w * h; } };\n"
                              "template <class T> __attribute__((noinline)) T total(const std::vector<Box> &boxes) {\n"
                              "  T sum{};\n"
                              "  for (const Box &box : boxes) sum += box.area();\n"
                              "  return sum;\n"
                              "}\n"
                              "}\n"
                              "int main(int argc, char **) {\n"
                              "  std::vector<shape::Box> boxes(static_cast<size_t>(argc), shape::Box{argc, 2});\n"
                              "  std::sort(boxes.begin(), boxes.end(), [](const auto &a, const auto &b) { return a.area() < b.area(); });\n"
                              "  return static_cast<int>(shape::total<long>(boxes));\n"
                              "}\n";

static const char *write_plain(void) {
    tools_write("plain.h", header, sizeof header - 1);
    return tools_write("plain.c", plain, sizeof plain - 1);
}

/* ---- what addr2line says --------------------------------------------------------------------------------------------------------- */

struct frame {
    char function[1024];
    char file[1024];
    unsigned line;
};

struct answer {
    uint64_t address;
    struct frame frames[CHAIN_MAX];
    size_t count;
};

struct answers {
    VEC(struct answer) items;
};

/* "file:line" or "file:line (discriminator n)"; "?" for unknown. */
static void read_place(char *text, struct frame *frame) {
    text[strcspn(text, "\n")] = '\0';
    char *colon = strrchr(text, ':');
    frame->line = colon && colon[1] != '?' ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    if (colon)
        *colon = '\0';
    snprintf(frame->file, sizeof frame->file, "%.1023s", text);
}

/* With or without its version in the name; NULL: it is not installed. */
static const char *find_witness(void) {
    static const char *const names[] = {"llvm-addr2line", "llvm-addr2line-14"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (tools_run(names[i], "--version") == 0)
            return names[i];
    return NULL;
}

/* Asks for each address in [start, end). */
static bool ask_addr2line(const char *path, uint64_t start, uint64_t end, struct answers *answers) {
    const char *list = tools_path("addresses");
    char at_list[PATH_MAX + 1], line[4096];
    FILE *file = fopen(list, "we");
    if (!file)
        return false;
    for (uint64_t address = start; address < end; address++)
        fprintf(file, "0x%" PRIx64 "\n", address);
    fclose(file);
    snprintf(at_list, sizeof at_list, "@%s", list);
    const char *witness = find_witness();
    _cleanup_fclose_ FILE *text = witness ? tools_read(witness, "-a", "-i", "-f", "-e", path, at_list) : NULL;
    struct answer *answer = NULL;
    while (text && fgets(line, sizeof line, text)) {
        if (!strncmp(line, "0x", 2)) {
            answer = vec_push(&answers->items);
            answer->address = strtoull(line, NULL, 16);
            continue;
        }
        struct frame *frame = &answer->frames[answer->count];
        line[strcspn(line, "\n")] = '\0';
        snprintf(frame->function, sizeof frame->function, "%.1023s", line);
        if (!fgets(line, sizeof line, text))
            break;
        read_place(line, frame);
        answer->count += answer->count + 1 < CHAIN_MAX;
    }
    return answers->items.count > 0;
}

/* ---- comparison ------------------------------------------------------------------------------------------------------------------ */

static const char *last_part(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

/* Whole paths are compared where both are absolute and without "..", which the two leave in different places. */
static bool is_same_file(const char *ours, const char *theirs) {
    if (!ours)
        return !strcmp(theirs, "??");
    if (strstr(ours, "..") || strstr(theirs, "..") || theirs[0] != '/')
        return !strcmp(last_part(ours), last_part(theirs));
    return !strcmp(ours, theirs);
}

/* Where a function has no linkage name, LLVM gives its bare one and we its namespaces and classes too. */
static bool is_same_function(const char *ours, const char *theirs) {
    size_t length = ours ? strlen(ours) : 0, shorter = strlen(theirs);
    if (length < shorter || strcmp(ours + length - shorter, theirs) != 0)
        return false;
    return length == shorter || (length > shorter + 2 && !memcmp(ours + length - shorter - 2, "::", 2));
}

static bool is_same(const struct answer *answer, const struct elf_line *chain, int count) {
    if (count != (int)answer->count)
        return false;
    for (int i = 0; i < count; i++) {
        const struct frame *frame = &answer->frames[i];
        if (!is_same_function(chain[i].function, frame->function) || chain[i].line != frame->line ||
            !is_same_file(chain[i].file, frame->file) || chain[i].is_inlined != (i + 1 < count))
            return false;
    }
    return true;
}

static void show(const struct answer *answer, const struct elf_line *chain, int count) {
    printf("# %" PRIx64 "\n", answer->address);
    for (size_t i = 0; i < answer->count; i++)
        printf("#   addr2line %s %s:%u\n", answer->frames[i].function, answer->frames[i].file, answer->frames[i].line);
    for (int i = 0; i < count; i++)
        printf("#   we        %s %s:%u%s\n", chain[i].function ? chain[i].function : "-", chain[i].file ? chain[i].file : "-",
               chain[i].line, chain[i].is_inlined ? " inlined" : "");
}

struct extents {
    uint64_t start, end;
};

static struct extents extents_of(const char *path, const char *function) {
    _cleanup_fclose_ FILE *text = tools_read("readelf", "-W", "-s", path);
    char line[4096], name[2048];
    unsigned long long value;
    unsigned size;
    while (text && fgets(line, sizeof line, text)) {
        if (sscanf(line, "%*d: %llx %u FUNC %*s %*s %*s %2047s", &value, &size, name) == 3 && !strcmp(name, function))
            return (struct extents){value, value + size};
    }
    return (struct extents){0};
}

static void compare(const char *path, struct elf_lines *lines, const char *function, size_t *ret_inlined) {
    struct extents extents = extents_of(path, function);
    CHECK(extents.end > extents.start);
    struct answers answers = {0};
    if (!ask_addr2line(path, extents.start, extents.end, &answers))
        SKIP("no llvm-addr2line");
    size_t wrong = 0, inlined = 0;
    for (size_t i = 0; i < answers.items.count; i++) {
        struct elf_line chain[CHAIN_MAX];
        int count = elf_lines_find(lines, answers.items.items[i].address, chain, CHAIN_MAX);
        inlined += count > 1;
        if (!is_same(&answers.items.items[i], chain, count) && wrong++ < 3)
            show(&answers.items.items[i], chain, count);
    }
    size_t asked = answers.items.count;
    vec_free(&answers.items);
    *ret_inlined += inlined;
    if (wrong)
        CHECK_FAIL("%zu of %zu addresses of %s differ from addr2line's", wrong, asked, function);
}

static void check_lines(const char *path, struct elf_image *image, struct elf_image *debug, const char *const *functions) {
    _cleanup_lines_ struct elf_lines *lines = NULL;
    size_t inlined = 0;
    CHECK_EQ(elf_lines_open(image, debug, path, &lines), 0);
    for (; *functions && !check_failed && !check_skipped; functions++)
        compare(path, lines, *functions, &inlined);
    if (!check_failed && !check_skipped)
        CHECK(inlined > 0);
}

static void check_c(const char *compiler, const char *option, const char *other) {
    const char *source = write_plain(), *path = tools_path("plain");
    if (tools_run(compiler, "-O2", "-g", option, other, source, "-o", path) != 0)
        SKIP("this compiler cannot do this");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    CHECK(image);
    check_lines(path, image, NULL, (const char *const[]){"outer", "main", NULL});
}

static void check_cxx(const char *compiler, const char *option) {
    const char *source = tools_write("classes.cc", classes, sizeof classes - 1), *path = tools_path("classes");
    if (tools_run(compiler, "-O2", "-g", "-std=c++17", option, source, "-o", path) != 0)
        SKIP("this compiler cannot do this");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    CHECK(image);
    check_lines(path, image, NULL, (const char *const[]){"_ZN5shape5totalIlEET_RKSt6vectorINS_3BoxESaIS3_EE", "main", NULL});
}

TEST(gcc_dwarf5_as_addr2line) {
    check_c("gcc", "-gdwarf-5", "-O2");
}

TEST(gcc_dwarf4_as_addr2line) {
    check_c("gcc", "-gdwarf-4", "-O2");
}

TEST(gcc_dwarf2_as_addr2line) {
    check_c("gcc", "-gdwarf-2", "-O2");
}

TEST(gcc_compressed_as_addr2line) {
    check_c("gcc", "-gz=zlib", "-O2");
}

TEST(gcc_compressed_in_the_old_way_as_addr2line) {
    check_c("gcc", "-gz=zlib-gnu", "-O2");
}

TEST(gcc_sections_garbage_collected_as_addr2line) {
    check_c("gcc", "-ffunction-sections", "-Wl,--gc-sections");
}

TEST(gcc_lto_as_addr2line) {
    check_c("gcc", "-flto", "-fno-ipa-icf");
}

TEST(clang_dwarf5_as_addr2line) {
    check_c("clang", "-gdwarf-5", "-O2");
}

TEST(clang_dwarf4_as_addr2line) {
    check_c("clang", "-gdwarf-4", "-O2");
}

TEST(clang_lld_as_addr2line) {
    check_c("clang", "-fuse-ld=lld", "-Wl,--gc-sections");
}

TEST(gxx_as_addr2line) {
    check_cxx("g++", "-gdwarf-5");
}

TEST(clangxx_as_addr2line) {
    check_cxx("clang++", "-gdwarf-5");
}

/* ---- names that no linkage name qualifies ---------------------------------------------------------------------------------------- */

static const char locals[] = "namespace app {\n"
                             "volatile int sink;\n"
                             "namespace { struct Key { int k; void use() const { sink = k; } }; }\n"
                             "template <class F> inline void each(int n, F f) { for (int i = 0; i < n; i++) f(i); }\n"
                             "struct Work { static void run(int n) { sink = n; } };\n"
                             "}\n"
                             "int main(int argc, char **) {\n"
                             "  struct Local { void step(int i) { app::sink = i * 3; } } local;\n"
                             "  app::each(argc, [&](int i) { local.step(i); app::Key{i}.use(); });\n"
                             "  app::Work::run(argc);\n"
                             "}\n";

static bool is_any(const char *name, const char *const *wanted, unsigned *seen) {
    for (unsigned i = 0; wanted[i]; i++)
        if (!strcmp(name, wanted[i])) {
            *seen |= 1u << i;
            return true;
        }
    return false;
}

/* Every function inlined into main, by its plain name qualified or by its linkage name: nothing else. */
static void check_qualified(const char *compiler, const char *version, const char *const *wanted) {
    const char *source = tools_write("locals.cc", locals, sizeof locals - 1), *path = tools_path("locals");
    if (tools_run(compiler, "-O2", "-g", "-std=c++17", version, source, "-o", path) != 0)
        SKIP("this compiler cannot do this");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_lines_ struct elf_lines *lines = NULL;
    CHECK(image);
    CHECK_EQ(elf_lines_open(image, NULL, path, &lines), 0);
    struct extents extents = extents_of(path, "main");
    unsigned seen = 0, count = 0;
    while (wanted[count])
        count++;
    for (uint64_t address = extents.start; address < extents.end; address++) {
        struct elf_line chain[CHAIN_MAX];
        int length = elf_lines_find(lines, address, chain, CHAIN_MAX);
        for (int i = 0; i + 1 < length; i++)
            if (!is_any(chain[i].function, wanted, &seen))
                CHECK_FAIL("unexpected %s", chain[i].function);
    }
    CHECK_EQ(seen, (1u << count) - 1);
}

TEST(gxx_functions_without_linkage_names_are_qualified) {
    check_qualified("g++", "-gdwarf-5",
                    (const char *const[]){"main::{lambda}::operator()", "main::Local::step", "app::(anonymous namespace)::Key::use",
                                          "app::each<main(int, char**)::<lambda(int)> >", "_ZN3app4Work3runEi", NULL});
}

/* ---- DWARF that lies elsewhere --------------------------------------------------------------------------------------------------- */

TEST(dwarf_is_taken_from_the_debug_file) {
    const char *source = write_plain(), *path = tools_path("plain");
    const char *debug_path = tools_path("plain.debug"), *stripped = tools_path("stripped");
    if (tools_run("cc", "-O2", "-g", source, "-o", path) != 0 || tools_run("objcopy", "--only-keep-debug", path, debug_path) != 0 ||
        tools_run("strip", path, "-o", stripped) != 0)
        SKIP("no compiler or binutils");
    _cleanup_image_ struct elf_image *image = tools_image(stripped), *debug = tools_image(debug_path);
    struct elf_lines *none = NULL;
    CHECK(image && debug);
    CHECK_EQ(elf_lines_open(image, NULL, NULL, &none), -ENOENT);
    check_lines(path, image, debug, (const char *const[]){"outer", "main", NULL});
}

static void check_split(const char *compiler, const char *version) {
    const char *source = write_plain(), *path = tools_path("split");
    if (tools_run(compiler, "-O2", "-g", version, "-gsplit-dwarf", source, "-o", path) != 0)
        SKIP("this compiler cannot do this");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_lines_ struct elf_lines *lines = NULL;
    CHECK(image);
    CHECK_EQ(elf_lines_open(image, NULL, path, &lines), 0);
    struct extents extents = extents_of(path, "outer");
    size_t inlined = 0, deep = 0, covered = 0;
    for (uint64_t address = extents.start; address < extents.end; address++) {
        struct elf_line chain[CHAIN_MAX];
        int count = elf_lines_find(lines, address, chain, CHAIN_MAX);
        covered += count > 0;
        if (count < 2)
            continue;
        inlined++;
        CHECK_STR(chain[count - 1].function, "outer");
        CHECK(!strcmp(chain[0].function, "add") || !strcmp(chain[0].function, "twice"));
        CHECK_STR(last_part(chain[count - 1].file), "plain.c");
        CHECK(chain[count - 1].line == 6 || chain[count - 1].line == 8); /* where outer calls the others */
        for (int i = 1; i + 1 < count; i++)                              /* the innermost is where the line table says */
            CHECK_STR(last_part(chain[i].file), "plain.h");
        deep += count == 3 && chain[1].line == 6 && !strcmp(chain[1].function, "twice");
    }
    CHECK_EQ(covered, extents.end - extents.start);
    CHECK(inlined > 0 && deep > 0);
}

/* addr2line of binutils 2.40 reads no inlines out of .dwo files, so these are held against their source. */
TEST(split_dwarf5_of_gcc) {
    check_split("gcc", "-gdwarf-5");
}

TEST(split_dwarf4_of_gcc) {
    check_split("gcc", "-gdwarf-4");
}

TEST(split_dwarf5_of_clang) {
    check_split("clang", "-gdwarf-5");
}

/* ---- hand-made cases ------------------------------------------------------------------------------------------------------------- */

TEST(an_address_outside_has_no_lines) {
    const char *source = write_plain(), *path = tools_path("plain");
    if (tools_run("cc", "-O2", "-g", source, "-o", path) != 0)
        SKIP("no compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_lines_ struct elf_lines *lines = NULL;
    struct elf_line chain[CHAIN_MAX];
    CHECK(image);
    CHECK_EQ(elf_lines_open(image, NULL, path, &lines), 0);
    CHECK_EQ(elf_lines_find(lines, 0, chain, CHAIN_MAX), 0);
    CHECK_EQ(elf_lines_find(lines, UINT64_MAX, chain, CHAIN_MAX), 0);
    CHECK_EQ(elf_lines_find(lines, extents_of(path, "_start").start, chain, CHAIN_MAX), 0);
}

/* The outermost frame is the one that must not be lost: it is where the caller's stack goes on. */
TEST(a_short_chain_keeps_the_physical_function) {
    const char *source = write_plain(), *path = tools_path("plain");
    if (tools_run("cc", "-O2", "-g", source, "-o", path) != 0)
        SKIP("no compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_lines_ struct elf_lines *lines = NULL;
    CHECK(image);
    CHECK_EQ(elf_lines_open(image, NULL, path, &lines), 0);
    struct extents extents = extents_of(path, "outer");
    size_t longer = 0;
    for (uint64_t address = extents.start; address < extents.end; address++) {
        struct elf_line chain[CHAIN_MAX], one[1];
        int count = elf_lines_find(lines, address, chain, CHAIN_MAX);
        CHECK_EQ(elf_lines_find(lines, address, one, 1), count > 0);
        if (count > 0) {
            CHECK_STR(one[0].function, "outer");
            CHECK(!one[0].is_inlined);
        }
        longer += count > 1;
    }
    CHECK(longer > 0);
}

TEST_MAIN()
