/* SPDX-License-Identifier: MIT */
/*
 * The whole test framework: TAP on stdout, one line a case, both sides of a failed comparison printed.
 *
 *     TEST(map_grows) {
 *         CHECK_EQ(map.used, 17);
 *         CHECK_STR(name, "main");
 *     }
 *     TEST_MAIN()
 *
 * A failed CHECK ends its case (by return), not the program. Helper functions that check must return void.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_case {
    const char *name;
    void (*run)(void);
    struct check_case *next;
};

static struct check_case *check_first, **check_last = &check_first;
static bool check_failed;
static const char *check_skipped;

#define TEST(name)                                                          \
    static void test_##name(void);                                          \
    __attribute__((constructor)) static void test_##name##_register(void) { \
        static struct check_case case_ = {#name, test_##name, NULL};        \
        *check_last = &case_;                                               \
        check_last = &case_.next;                                           \
    }                                                                       \
    static void test_##name(void)

#define CHECK_FAIL(...)                          \
    do {                                         \
        printf("# %s:%d: ", __FILE__, __LINE__); \
        printf(__VA_ARGS__);                     \
        printf("\n");                            \
        check_failed = true;                     \
        return;                                  \
    } while (0)

#define CHECK(condition)                            \
    do {                                            \
        if (!(condition))                           \
            CHECK_FAIL("not true: %s", #condition); \
    } while (0)

#define CHECK_EQ(got, wanted)                                                                                         \
    do {                                                                                                              \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                                             \
        if (got_ != wanted_)                                                                                          \
            CHECK_FAIL("%s is %lld (0x%llx), not %lld (%s)", #got, got_, (unsigned long long)got_, wanted_, #wanted); \
    } while (0)

#define CHECK_STR(got, wanted)                                                                                  \
    do {                                                                                                        \
        const char *got_ = (got), *wanted_ = (wanted);                                                          \
        if (!got_ || !wanted_ ? got_ != wanted_ : strcmp(got_, wanted_))                                        \
            CHECK_FAIL("%s is \"%s\", not \"%s\"", #got, got_ ? got_ : "(null)", wanted_ ? wanted_ : "(null)"); \
    } while (0)

/* Ends the case as skipped, with the reason. */
#define SKIP(reason)              \
    do {                          \
        check_skipped = (reason); \
        return;                   \
    } while (0)

/* 0: all passed; 1: a case failed. An argument runs that case alone. */
static int check_main(int argc, char **argv) {
    int count = 0, failures = 0;
    for (struct check_case *c = check_first; c; c = c->next) {
        if (argc > 1 && strcmp(argv[1], c->name))
            continue;
        check_failed = false;
        check_skipped = NULL;
        c->run();
        count++;
        failures += check_failed;
        printf("%sok %d - %s", check_failed ? "not " : "", count, c->name);
        printf(check_skipped ? " # SKIP %s\n" : "\n", check_skipped);
        fflush(stdout);
    }
    printf("1..%d\n", count);
    return failures != 0;
}

#define TEST_MAIN()                    \
    int main(int argc, char **argv) {  \
        return check_main(argc, argv); \
    }
