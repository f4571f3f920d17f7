/* SPDX-License-Identifier: MIT */
/*
 * For functions of libc that are interposed: to be seen by the program, and the definition that comes next.
 *
 *     AGENT_NEXT(open)    defines next_open(), which returns it
 *
 * It is looked up at the first call: libraries that are initialised before us may call. Looking up takes the loader's lock, which in fork's
 * child may be held by a thread that is not there; so the constructor makes the first call of each (agent_hooks_init, agent_exec_init).
 */
#pragma once

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

#define AGENT_EXPORT __attribute__((visibility("default")))

/* Relaxed: whoever finds it not looked up yet looks it up and finds the same. */
#define AGENT_NEXT(name)                                                  \
    static __typeof__(&name) next_##name(void) {                          \
        static _Atomic(void *) next;                                      \
        void *found = atomic_load_explicit(&next, memory_order_relaxed);  \
        if (!found) {                                                     \
            found = dlsym(RTLD_NEXT, #name);                              \
            atomic_store_explicit(&next, found, memory_order_relaxed);    \
        }                                                                 \
        __typeof__(&name) function;                                       \
        memcpy(&function, &found, sizeof function); /* as POSIX allows */ \
        return function;                                                  \
    }
