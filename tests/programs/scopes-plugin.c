/* SPDX-License-Identifier: MIT */
/* A plugin with a site of its own, linked with the shared library, whoever loads it. */
#include <stdint.h>

#include "include/cprof.h"

__attribute__((visibility("default"))) void plugin_work(unsigned count);

void plugin_work(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        CPROF_SCOPE("plugin");
        for (volatile unsigned k = 0; k < 20000; k++)
            ;
    }
}
