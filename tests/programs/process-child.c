/* SPDX-License-Identifier: MIT */
/* What process.c executes: works, and so does its own forked child. Its chains are printed by process. */
#include <sys/wait.h>
#include <unistd.h>

#include "chain.h"

LINK static void child_leaf(void) {
    chain_work();
}

LINK static void child_step(void) {
    for (int i = 0; i < 50; i++)
        child_leaf();
}

LINK static void grandchild_leaf(void) {
    chain_work();
}

LINK static void grandchild_step(void) {
    for (int i = 0; i < 50; i++)
        grandchild_leaf();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, "");
    pid_t pid = fork();
    if (!pid) {
        while (chain_goes_on(seconds / 2))
            grandchild_step();
        _exit(0);
    }
    while (chain_goes_on(seconds / 2))
        child_step();
    waitpid(pid, NULL, 0);
    return 0;
}
