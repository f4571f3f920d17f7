/* SPDX-License-Identifier: MIT */
/* `readelf --debug-dump=frames-interp`: what a file's call frame information says, in the words of somebody who has nothing to do with us.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* Its output, to be closed, and the child, to be waited for. */
static inline int readelf_start(const char *path, FILE **ret_text, pid_t *ret_child) {
    char name[] = "readelf", option[] = "--debug-dump=frames-interp";
    char *arguments[] = {name, option, (char *)(uintptr_t)path, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int r = -posix_spawnp(ret_child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (r == 0)
        *ret_text = fdopen(ends[0], "r");
    else
        close(ends[0]);
    return r;
}
