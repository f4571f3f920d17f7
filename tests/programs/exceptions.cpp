/* SPDX-License-Identifier: MIT */
/* C++: destructors that work while an exception unwinds through them, and virtual calls. */
#include "chain.h"

/*
 * Before it jumps to a landing pad, libgcc's unwinder overwrites its own return address with that of the frame it will enter
 * (uw_install_context_1): what calls it in that moment is in no memory.
 */
#define CHAINS                                                \
    "_Unwind_RaiseException ~\n"                              \
    "_Unwind_Resume ~\n"                                      \
    "main +\n"                                                \
    "main > catches > passes > throws\n"                      \
    "throws +\n"                                              \
    "passes > ... > Guard::~Guard > guard_leaf\n"             \
    "main > calls_virtual > Derived::method > virtual_leaf\n" \
    "catches +\n"

LINK static void guard_leaf() {
    chain_work();
}

struct Guard {
    LINK ~Guard();
};

LINK Guard::~Guard() {
    chain_pause();
    guard_leaf();
    chain_pause();
}

LINK static void throws() {
    chain_pause();
    throw 1;
}

LINK static void passes() {
    Guard guard;
    throws();
}

LINK static void catches() {
    try {
        passes();
    } catch (int value) {
        chain_sink += static_cast<uint64_t>(value);
    }
}

LINK static void virtual_leaf() {
    chain_work();
}

struct Base {
    virtual void method() = 0;
    virtual ~Base() = default;
};

struct Derived : Base {
    LINK void method() override;
};

LINK void Derived::method() {
    chain_pause();
    virtual_leaf();
    chain_pause();
}

LINK static void calls_virtual(Base &base) {
    chain_pause();
    base.method();
    chain_pause();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    Derived derived;
    while (chain_goes_on(seconds)) {
        catches();
        calls_virtual(derived);
    }
    return 0;
}
