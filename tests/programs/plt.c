/* SPDX-License-Identifier: MIT */
/* Little but calls through the PLT into libmany.so, bound lazily: samples fall into the stubs. */
#include "chain.h"
#include "many.h"

#define CHAIN(n) "caller > many_" #n " > many_leaf_" #n "\n"
#define CHAINS \
    "main +\n" \
    "main > caller +\n" EACH_OF_MANY(CHAIN)

#define CALL(n) many_##n();

LINK static void caller(void) {
    EACH_OF_MANY(CALL)
    chain_sink++;
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    while (chain_goes_on(seconds))
        for (int i = 0; i < 100; i++)
            caller();
    return 0;
}
