/* SPDX-License-Identifier: MIT */
/*
 * Compilers and binary utilities as makers of specimens and as independent witnesses. No shell. A tool that is not installed is no failure:
 * tools_run says 127, tools_read NULL, and the case is skipped.
 *
 * Each program has a folder of its own, made on first use and removed at exit.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf/elf.h"

extern char **environ;

static char tools_folder[] = "/tmp/cprof-test-XXXXXX";

static inline int tools_remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

static inline void tools_remove(void) {
    nftw(tools_folder, tools_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder; valid until 32 more were asked for. */
static inline const char *tools_path(const char *name) {
    enum { PATHS = 32 };
    static char paths[PATHS][PATH_MAX];
    static unsigned next;
    static bool made;
    if (!made) {
        made = mkdtemp(tools_folder) != NULL;
        atexit(tools_remove);
    }
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_MAX, "%s/%s", tools_folder, name);
    return path;
}

static inline const char *tools_write(const char *name, const void *data, size_t length) {
    const char *path = tools_path(name);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(data, 1, length, file) != length || fclose(file) != 0)
        abort();
    return path;
}

/* Runs a tool to its end, its words going to the file `output` or nowhere: its exit status, 127 if it is not there. */
static inline int tools_spawn(const char *output, const char *const *arguments) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    (void)tools_path("");
    posix_spawn_file_actions_addchdir_np(&actions, tools_folder); /* some tools leave files where they stand */
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output ? output : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    int status, r = posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0 || waitpid(child, &status, 0) != child)
        return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define tools_run(...) tools_spawn(NULL, (const char *const[]){__VA_ARGS__, NULL})

/* Runs a tool and opens what it said; NULL if it is not there. Its status is not asked: witnesses warn about much. */
static inline FILE *tools_read_output(const char *const *arguments) {
    const char *output = tools_path("output");
    return tools_spawn(output, arguments) == 127 ? NULL : fopen(output, "re");
}

#define tools_read(...) tools_read_output((const char *const[]){__VA_ARGS__, NULL})

/* The file as an image, or NULL. */
static inline struct elf_image *tools_image(const char *path) {
    struct elf_image *image = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    int r = elf_image_open(fd, &image);
    close(fd);
    return r < 0 ? NULL : image;
}
