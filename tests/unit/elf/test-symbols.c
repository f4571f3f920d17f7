/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/vec.h"
#include "elf/elf.h"
#include "tests/check.h"
#include "tests/tools.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)
DEFINE_CLEANUP(struct elf_symbols *, elf_symbols_free)

#define _cleanup_image_   _cleanup_(elf_image_close_cleanup)
#define _cleanup_symbols_ _cleanup_(elf_symbols_free_cleanup)

static const char libc[] = "/lib/x86_64-linux-gnu/libc.so.6";

static const char *name_at(const struct elf_symbols *symbols, uint64_t svma) {
    const struct elf_symbol *symbol = elf_symbols_find(symbols, svma);
    return symbol ? symbol->name : NULL;
}

/* The address readelf gives to a name; 0: none. */
static uint64_t address_of(const char *path, const char *name) {
    _cleanup_fclose_ FILE *text = tools_read("readelf", "-W", "-s", path);
    char line[4096], found[2048];
    unsigned long long value;
    while (text && fgets(line, sizeof line, text)) {
        if (sscanf(line, "%*d: %llx %*s %*s %*s %*s %*s %2047s", &value, found) != 2)
            continue;
        found[strcspn(found, "@")] = '\0';
        if (!strcmp(found, name))
            return value;
    }
    return 0;
}

/* ---- beside readelf -------------------------------------------------------------------------------------------------------------- */

struct witness {
    uint64_t start;
    char name[256];
};

static int compare_witnesses(const void *a, const void *b) {
    const struct witness *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void check_against_readelf(const char *path, const char *symbols_of) {
    _cleanup_image_ struct elf_image *image = tools_image(path), *debug = strcmp(path, symbols_of) ? tools_image(symbols_of) : NULL;
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    _cleanup_fclose_ FILE *text = tools_read("readelf", "-W", "-s", symbols_of);
    if (!image || !text)
        SKIP("no readelf, or no such file");
    CHECK_EQ(elf_symbols_load(image, debug, &symbols), 0);
    VEC(struct witness) witnesses = {0};
    char line[4096], type[16], section[16], name[2048];
    unsigned long long value;
    while (fgets(line, sizeof line, text)) {
        if (sscanf(line, "%*d: %llx %*s %15s %*s %*s %15s %2047s", &value, type, section, name) != 4 || !strcmp(section, "UND") ||
            !strcmp(section, "ABS") || (strcmp(type, "FUNC") && strcmp(type, "IFUNC")) || strlen(name) > 255)
            continue;
        struct witness *witness = vec_push(&witnesses);
        witness->start = value;
        snprintf(witness->name, sizeof witness->name, "%.*s", (int)strcspn(name, "@"), name);
    }
    CHECK(witnesses.count > 0);
    qsort(witnesses.items, witnesses.count, sizeof *witnesses.items, compare_witnesses);
    size_t wrong = 0;
    for (size_t i = 0, next; i < witnesses.count; i = next) {
        const struct elf_symbol *symbol = elf_symbols_find(symbols, witnesses.items[i].start);
        bool found = false;
        for (next = i; next < witnesses.count && witnesses.items[next].start == witnesses.items[i].start; next++)
            found |= symbol && symbol->start == witnesses.items[i].start && !strcmp(symbol->name, witnesses.items[next].name);
        if (!found && ++wrong < 10)
            printf("# %s at %" PRIx64 ": we say %s\n", witnesses.items[i].name, witnesses.items[i].start, symbol ? symbol->name : "-");
    }
    vec_free(&witnesses);
    CHECK_EQ(wrong, 0);
}

TEST(every_function_readelf_lists_is_found_in_this_program) {
    char path[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    check_against_readelf(path, path);
}

TEST(every_function_readelf_lists_is_found_in_libc) {
    check_against_readelf(libc, libc);
}

TEST(every_function_readelf_lists_is_found_in_sqlite) {
    check_against_readelf("/usr/lib/x86_64-linux-gnu/libsqlite3.so.0", "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0");
}

/* ---- which alias ----------------------------------------------------------------------------------------------------------------- */

TEST(libc_has_the_names_of_its_manual) {
    _cleanup_image_ struct elf_image *image = tools_image(libc), *debug = NULL;
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    _cleanup_free_ char *debug_path = NULL;
    if (!image)
        SKIP("no libc.so.6 where Debian has it");
    (void)elf_debug_open(image, libc, "", &debug, &debug_path);
    CHECK_EQ(elf_symbols_load(image, debug, &symbols), 0);
    static const char *const names[] = {"malloc", "free", "puts", "read", "write", "memcpy", "qsort", "fopen", "nanosleep", "_exit"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        uint64_t address = address_of(libc, names[i]);
        if (address)
            CHECK_STR(name_at(symbols, address), names[i]);
    }
}

static const char aliases[] = "__attribute__((noinline)) int __GI_one(int x) { return x + 1; }\n"
                              "int one(int) __attribute__((alias(\"__GI_one\")));\n"
                              "int one_longer(int) __attribute__((alias(\"__GI_one\")));\n"
                              "__attribute__((noinline)) int __two(int x) { return x + 2; }\n"
                              "int two(int) __attribute__((weak, alias(\"__two\")));\n"
                              "static __attribute__((noinline, used)) int abc(int x) { return x + 3; }\n"
                              "int three_exported(int) __attribute__((alias(\"abc\")));\n"
                              "__attribute__((noinline)) int _IO_four(int x) { return x + 4; }\n"
                              "int four(int) __attribute__((weak, alias(\"_IO_four\")));\n"
                              "__attribute__((noinline)) int five_b(int x) { return x + 5; }\n"
                              "int five_a(int) __attribute__((alias(\"five_b\")));\n"
                              "int main(void) { return 0; }\n";

TEST(the_alias_a_programmer_knows_wins) {
    const char *source = tools_write("aliases.c", aliases, sizeof aliases - 1), *path = tools_path("aliases");
    if (tools_run("cc", "-O1", source, "-o", path) != 0)
        SKIP("no compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    CHECK(image);
    CHECK_EQ(elf_symbols_load(image, NULL, &symbols), 0);
    CHECK_STR(name_at(symbols, address_of(path, "__GI_one")), "one");
    CHECK_STR(name_at(symbols, address_of(path, "__two")), "two");
    CHECK_STR(name_at(symbols, address_of(path, "abc")), "three_exported");
    CHECK_STR(name_at(symbols, address_of(path, "_IO_four")), "four");
    CHECK_STR(name_at(symbols, address_of(path, "five_b")), "five_a");
}

/* ---- extents --------------------------------------------------------------------------------------------------------------------- */

static const char labels[] = "\t.text\n"
                             "\t.globl outer\n\t.type outer, @function\nouter:\n\t.skip 16, 0x90\n"
                             "inner_label:\n\t.skip 16, 0x90\n"
                             "\t.globl inner\n\t.type inner, @function\ninner:\n\t.skip 16, 0x90\n\t.size inner, .-inner\n"
                             "\t.skip 16, 0x90\n\t.size outer, .-outer\n"
                             "bare:\n\t.skip 16, 0x90\n"
                             "\t.globl sizeless\n\t.type sizeless, @function\nsizeless:\n\t.skip 16, 0x90\n"
                             "\t.globl last\n\t.type last, @function\nlast:\n\tret\n\t.size last, .-last\n"
                             "\t.skip 15, 0x90\n"
                             "\t.section .note.GNU-stack,\"\",@progbits\n";

TEST(extents_nest_and_labels_only_fill_gaps) {
    const char *source = tools_write("labels.s", labels, sizeof labels - 1), *path = tools_path("labels.so");
    if (tools_run("cc", "-shared", "-nostdlib", source, "-o", path) != 0)
        SKIP("no compiler");
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    CHECK(image);
    CHECK_EQ(elf_symbols_load(image, NULL, &symbols), 0);
    uint64_t outer = address_of(path, "outer");
    CHECK(outer);
    CHECK_STR(name_at(symbols, outer), "outer");
    CHECK_STR(name_at(symbols, outer + 20), "outer"); /* inner_label is no function */
    CHECK_STR(name_at(symbols, outer + 32), "inner");
    CHECK_STR(name_at(symbols, outer + 47), "inner");
    CHECK_STR(name_at(symbols, outer + 48), "outer"); /* behind the nested one */
    CHECK_STR(name_at(symbols, outer + 63), "outer");
    CHECK_STR(name_at(symbols, outer + 64), "bare");
    CHECK_STR(name_at(symbols, outer + 95), "sizeless");
    CHECK_EQ(elf_symbols_find(symbols, outer + 80)->end, outer + 96);
    CHECK_STR(name_at(symbols, outer + 96), "last");
    CHECK(!name_at(symbols, outer + 97));
    CHECK(!name_at(symbols, outer - 1));
    CHECK(!name_at(symbols, 0));
    CHECK(!name_at(symbols, UINT64_MAX));
}

/* ---- PLT ------------------------------------------------------------------------------------------------------------------------- */

static const char caller[] = "#include <stdlib.h>\n#include <string.h>\n#include <time.h>\n"
                             "void *pointer = (void *)malloc;\n"
                             "int run(char *to, const char *from, size_t n) {\n"
                             "  void *p = malloc(n); free(p); memcpy(to, from, n); return strcmp(to, from) + (int)time(NULL);\n}\n";

/* Every "<name@plt>:" of objdump, which counts entries where we read instructions. */
static void check_plt(const char *path, size_t wanted_at_least) {
    _cleanup_image_ struct elf_image *image = tools_image(path);
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    _cleanup_fclose_ FILE *text = tools_read("objdump", "-d", "--no-show-raw-insn", path);
    if (!image || !text)
        SKIP("no objdump, or no such file");
    CHECK_EQ(elf_symbols_load(image, NULL, &symbols), 0);
    char line[4096], name[2048];
    unsigned long long address;
    size_t found = 0;
    while (fgets(line, sizeof line, text)) {
        char *at;
        if (sscanf(line, "%llx <%2047[^>]>:", &address, name) != 2 || !(at = strstr(name, "@plt")) || at[4] || name[0] == '*')
            continue;
        *at = '\0';
        name[strcspn(name, "@")] = '\0';
        const struct elf_symbol *symbol = elf_symbols_find(symbols, address);
        if (!symbol || !symbol->is_plt || symbol->start != address)
            CHECK_FAIL("%s@plt at %llx is not found", name, address);
        CHECK_STR(symbol->name, name);
        found++;
    }
    if (found < wanted_at_least)
        CHECK_FAIL("only %zu PLT entries compared in %s", found, path);
}

static void check_plt_of(const char *compiler, const char *option, const char *other) {
    const char *source = tools_write("caller.c", caller, sizeof caller - 1), *path = tools_path("caller.so");
    if (tools_run(compiler, "-O1", "-fPIC", "-fno-builtin", "-shared", option, other, source, "-o", path) != 0)
        SKIP("this compiler or linker is not installed");
    check_plt(path, 4);
}

TEST(plt_entries_bound_lazily_are_named) {
    check_plt_of("cc", "-Wl,-z,lazy", "-O1");
}

TEST(plt_entries_bound_at_once_are_named) {
    check_plt_of("cc", "-Wl,-z,now", "-O1");
}

TEST(plt_entries_with_ibt_are_named) {
    check_plt_of("cc", "-fcf-protection", "-Wl,-z,ibtplt,-z,lazy");
}

TEST(plt_entries_of_lld_are_named) {
    check_plt_of("clang", "-fuse-ld=lld", "-Wl,-z,lazy");
}

TEST(plt_entries_of_libcrypto_are_named) {
    check_plt("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", 100);
}

/* ---- .gnu_debugdata -------------------------------------------------------------------------------------------------------------- */

TEST(symbols_in_gnu_debugdata_are_found) {
    const char *source = tools_write("aliases.c", aliases, sizeof aliases - 1), *path = tools_path("full"), *mini = tools_path("mini");
    const char *option = "--add-section=.gnu_debugdata=", *stripped = tools_path("stripped"), *packed = tools_path("mini.xz");
    char section[PATH_MAX + 64];
    if (tools_run("cc", "-O1", source, "-o", path) != 0 || tools_run("strip", "--only-keep-debug", path, "-o", mini) != 0 ||
        tools_spawn(packed, (const char *const[]){"xz", "-c", mini, NULL}) != 0)
        SKIP("no compiler, strip or xz");
    snprintf(section, sizeof section, "%s%s", option, packed);
    CHECK_EQ(tools_run("objcopy", "-S", section, path, stripped), 0);
    _cleanup_image_ struct elf_image *image = tools_image(stripped);
    _cleanup_symbols_ struct elf_symbols *symbols = NULL;
    struct elf_section absent;
    CHECK(image);
    CHECK_EQ(elf_image_section(image, ".symtab", &absent), -ENOENT);
    CHECK_EQ(elf_symbols_load(image, NULL, &symbols), 0);
    CHECK_STR(name_at(symbols, address_of(path, "main")), "main");
    CHECK_STR(name_at(symbols, address_of(path, "__two")), "two");
}

TEST_MAIN()
