// SPDX-License-Identifier: MIT
// Scopes of C++ that exceptions leave: scopes-throw COUNT. On stdout name, calls, as scopes.c.
#include <cstdio>
#include <cstdlib>

#include "include/cprof.h"

static unsigned long long throwers, catchers;

__attribute__((noinline)) static void thrower(unsigned depth, bool fails) {
    CPROF_FUNCTION();
    throwers++;
    if (depth)
        thrower(depth - 1, fails);
    else if (fails)
        throw depth;
}

__attribute__((noinline)) static void catcher(unsigned number) {
    CPROF_FUNCTION();
    catchers++;
    try {
        CPROF_SCOPE("try");
        thrower(3, number % 2);
    } catch (unsigned) {
        CPROF_SCOPE("catch");
    }
}

int main(int argc, char **argv) {
    unsigned long count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1000;
    for (unsigned long i = 0; i < count; i++)
        catcher(static_cast<unsigned>(i));
    std::printf("thrower %llu\ncatcher %llu\ntry %llu\ncatch %llu\n", throwers, catchers, catchers, catchers / 2);
}
