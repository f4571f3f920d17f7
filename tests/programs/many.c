/* SPDX-License-Identifier: MIT */
/* libmany.so: functions so short that calling them is most of the work. */
#include "many.h"

#include "chain.h"

#define DEFINE(n)                                                     \
    LINK static void many_leaf_##n(void) {                            \
        chain_sink += n;                                              \
    }                                                                 \
    __attribute__((visibility("default"))) LINK void many_##n(void) { \
        many_leaf_##n();                                              \
        chain_sink += n;                                              \
    }
EACH_OF_MANY(DEFINE)
