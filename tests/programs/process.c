/* SPDX-License-Identifier: MIT */
/* Work in a process, in its forked child before exec, in what that executes (process-child, by fork, vfork and posix_spawn), in order. */
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chain.h"

#define CHAINS                                       \
    "main +\n"                                       \
    "main > parent_step > parent_leaf\n"             \
    "main +\n"                                       \
    "main > fork_step > forked_step > forked_leaf\n" \
    "fork_step +\n"                                  \
    "forked_step +\n"                                \
    "main > vfork_step +\n"                          \
    "main > spawn_step +\n"                          \
    "main > child_step > child_leaf\n"               \
    "main > grandchild_step > grandchild_leaf\n"

static char child_path[PATH_MAX + 8];
static char *child_arguments[] = {child_path, NULL, NULL};

LINK static void parent_leaf(void) {
    chain_work();
}

LINK static void parent_step(void) {
    for (int i = 0; i < 50; i++)
        parent_leaf();
}

LINK static void forked_leaf(void) {
    chain_work();
}

LINK static void forked_step(void) {
    for (int i = 0; i < 1000; i++)
        forked_leaf();
    execv(child_path, child_arguments);
    _exit(126);
}

LINK static void fork_step(void) {
    pid_t pid = fork();
    if (!pid)
        forked_step();
    waitpid(pid, NULL, 0);
    chain_sink++;
}

LINK static void vfork_step(void) {
    pid_t pid = vfork();
    if (!pid) {
        execv(child_path, child_arguments);
        _exit(126);
    }
    waitpid(pid, NULL, 0);
    chain_sink++;
}

LINK static void spawn_step(void) {
    pid_t pid;
    if (!posix_spawn(&pid, child_path, NULL, NULL, child_arguments, NULL))
        waitpid(pid, NULL, 0);
    chain_sink++;
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    ssize_t length = readlink("/proc/self/exe", child_path, PATH_MAX);
    if (length < 0)
        return 1;
    strcpy(child_path + length, "-child");
    char child_seconds[32];
    snprintf(child_seconds, sizeof child_seconds, "%f", seconds / 6);
    child_arguments[1] = child_seconds;
    fork_step();
    vfork_step();
    spawn_step();
    while (chain_goes_on(seconds / 6))
        parent_step();
    return 0;
}
