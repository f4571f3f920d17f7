/* SPDX-License-Identifier: MIT */
/* Loads and unloads two shared objects in turn; the loader puts them at the same address, where a stale mapping names the wrong one. */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

#include "chain.h"

#define CHAINS                                     \
    "main +\n"                                     \
    "main > with_a > entry_a > inner_a > leaf_a\n" \
    "main > with_b > entry_b > inner_b > leaf_b\n" \
    "with_a +\n"                                   \
    "with_b +\n"

typedef void (*entry_function)(void);

static void *open_plugin(const char *name) {
    char self[PATH_MAX] = "", path[PATH_MAX * 2];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return NULL;
    snprintf(path, sizeof path, "%s/libplugin-%s.so", dirname(self), name);
    return dlopen(path, RTLD_NOW);
}

LINK static bool with_a(void **address) {
    void *plugin = open_plugin("a");
    entry_function entry = plugin ? (entry_function)dlsym(plugin, "entry_a") : NULL;
    if (!entry)
        return false;
    entry();
    *address = (void *)entry;
    dlclose(plugin);
    return true;
}

LINK static bool with_b(void **address) {
    void *plugin = open_plugin("b");
    entry_function entry = plugin ? (entry_function)dlsym(plugin, "entry_b") : NULL;
    if (!entry)
        return false;
    entry();
    *address = (void *)entry;
    dlclose(plugin);
    return true;
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    unsigned rounds = 0, same = 0;
    while (chain_goes_on(seconds)) {
        void *a = NULL, *b = NULL;
        if (!with_a(&a) || !with_b(&b)) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        rounds++;
        same += ((uintptr_t)a ^ (uintptr_t)b) < 4096;
    }
    printf("%u rounds, %u at one address\n", rounds, same);
    return 0;
}
