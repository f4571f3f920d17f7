/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"
#include "symbol/symbol.h"
#include "tests/check.h"

static void check(const char *mangled, const char *wanted) {
    char *readable = symbol_demangle(mangled);
    CHECK_STR(readable, wanted);
    free(readable);
}

TEST(names_of_each_language_are_readable) {
    check("main", "main");
    check("_ZN3foo3barEi", "foo::bar(int)");
    check("_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back(int const&)");
    check("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad");
    check("_RNvC6_123foo3bar", "123foo::bar");
    check("_Znot_mangled", "_Znot_mangled");
    check("", "");
}

static void check_base(const char *name, const char *wanted) {
    CHECK_EQ(symbol_base_length(name, strlen(name)), strlen(wanted));
    CHECK(!strncmp(name, wanted, strlen(wanted)));
}

TEST(suffixes_of_clones_are_kept_and_known) {
    check("foo.cold", "foo.cold");
    check("_ZN3foo3barEi.part.0", "foo::bar(int).part.0");
    check("_ZN3foo3barEi.constprop.0.isra.1", "foo::bar(int).constprop.0.isra.1");
    check("_ZN3foo3barEi.other", "foo::bar(int) [clone .other]");
    check_base("foo.part.0", "foo");
    check_base("foo.constprop.0.isra.0", "foo");
    check_base("foo.cold", "foo");
    check_base("foo.part.0.cold", "foo");
    check_base("foo.llvm.12345678901234567890", "foo");
    check_base("foo::bar(int).part.0", "foo::bar(int)");
    check_base("libname.so", "libname.so");
    check_base("odd.0", "odd.0");
    check_base(".cold", ".cold");
    check_base("proto.clone", "proto.clone");
    check_base("foo.part", "foo.part");
    check_base("", "");
}

/* f(x000<int>, x001<int>, ...) */
TEST(a_long_name_is_readable_in_full) {
    enum { PARAMETERS = 60, LETTERS = 30 };
    struct buffer name = {0}, wanted = {0};
    buffer_printf(&name, "_Z1f");
    buffer_printf(&wanted, "f(");
    for (int i = 0; i < PARAMETERS; i++) {
        buffer_printf(&name, "%dx%0*dIiE", LETTERS, LETTERS - 1, i);
        buffer_printf(&wanted, "%sx%0*d<int>", i ? ", " : "", LETTERS - 1, i);
    }
    buffer_put_u8(&name, 0);
    buffer_put(&wanted, ")", 2);
    CHECK(name.length > 2000);
    check((const char *)name.data, (const char *)wanted.data);
    CHECK(symbol_is_mangled((const char *)name.data));
    CHECK(!symbol_is_mangled((const char *)wanted.data));
    CHECK(!symbol_is_mangled("_Read"));
    buffer_free(&name);
    buffer_free(&wanted);
}

/* Hundreds of templates and of references to their parameters: libiberty's table of both would be megabytes of stack. */
TEST(a_long_name_that_asks_for_much_stack_comes_back_as_it_is) {
    enum { EACH = 700 };
    struct buffer name = {0};
    buffer_printf(&name, "_Z1fIiEv");
    for (int i = 0; i < EACH; i++)
        buffer_printf(&name, i ? "RT_" : "1aIiE");
    for (int i = 0; i < EACH; i++)
        buffer_printf(&name, "S_IcE");
    buffer_put_u8(&name, 0);
    CHECK(name.length < 8000);
    check((const char *)name.data, (const char *)name.data);
    buffer_free(&name);
}

TEST(a_name_made_to_hurt_comes_back_as_it_is) {
    enum { LENGTH = 100000 };
    char *name = malloc(LENGTH + 1);
    memset(name, 'P', LENGTH);
    memcpy(name, "_Z1f", 4);
    name[LENGTH] = '\0';
    check(name, name);
    name[15000] = '\0'; /* below the limit: deep, for the demangler's own */
    char *readable = symbol_demangle(name);
    CHECK(readable != NULL);
    free(readable);
    free(name);
}

/* pair<pair<...>, pair<...>>, 60 deep: some 160 bytes that stand for 2^60 words. */
TEST(a_name_that_stands_for_more_than_memory_comes_back_as_it_is) {
    char name[1024] = "_Z1f4pairI1AS0_E";
    for (unsigned previous = 1; previous <= 60; previous++) {
        static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        char id[8], piece[32];
        unsigned number = previous - 1; /* S0_ is the second substitution, S10_ the 38th */
        if (number < 36)
            snprintf(id, sizeof id, "S%c_", digits[number]);
        else
            snprintf(id, sizeof id, "S1%c_", digits[number - 36]);
        snprintf(piece, sizeof piece, "S_I%s%sE", id, id);
        strncat(name, piece, sizeof name - strlen(name) - 1);
        if (previous == 4) {
            char *readable = symbol_demangle(name);
            CHECK(readable && readable[0] == 'f'); /* it does nest as meant */
            free(readable);
        }
    }
    check(name, name);
}

TEST(a_name_of_many_dots_takes_no_longer_than_its_length) {
    enum { PAIRS = 1 << 20 };
    char *name = malloc(2 * PAIRS + 2);
    name[0] = 'f';
    for (size_t i = 0; i < PAIRS; i++)
        memcpy(name + 1 + 2 * i, ".1", 2);
    name[2 * PAIRS + 1] = '\0';
    check(name, name);
    free(name);
}

TEST_MAIN()
