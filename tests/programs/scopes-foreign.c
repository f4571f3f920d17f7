/* SPDX-License-Identifier: MIT */
/* Has a libcprof of a later version in itself, as its plugins see it: scopes-foreign PLUGIN. On stdout what the plugin made it do. */
#include <dlfcn.h>
#include <stdio.h>

#include "include/cprof.h"

static unsigned calls;

static void begin(struct cprof_scope *scope, struct cprof_site *site) {
    (void)scope, (void)site;
    calls++;
}

__attribute__((visibility("default"))) struct cprof_runtime cprof_runtime = {
    .size = sizeof cprof_runtime, .version = CPROF_ABI_VERSION + 1, .recording = CPROF_ABI_VERSION + 1, .begin = begin};

int main(int argc, char **argv) {
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    void (*function)(unsigned) = plugin ? (void (*)(unsigned))dlsym(plugin, "plugin_work") : NULL;
    if (!function)
        return 1;
    function(10);
    printf("%u calls\n", calls);
    return 0;
}
