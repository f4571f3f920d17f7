/* SPDX-License-Identifier: MIT */
#include "sampler/agent-file.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"

enum { PATH_BYTES = 4096, SCRIPTS_MAX = 4 };

/* As execvp looks for it; NULL: it is not there. */
static FILE *open_program(const char *program) {
    const char *at = getenv("PATH");
    if (strchr(program, '/'))
        return fopen(program, "re");
    for (at = at ? at : "/bin:/usr/bin";; at++) {
        size_t length = strcspn(at, ":");
        char path[PATH_BYTES];
        int written = snprintf(path, sizeof path, "%.*s/%s", length ? (int)length : 1, length ? at : ".", program);
        if (written < (int)sizeof path && access(path, X_OK) == 0)
            return fopen(path, "re");
        at += length;
        if (!*at)
            return NULL;
    }
}

/* The loader that an ELF file names, into `ret`; false: none. */
static bool read_loader(FILE *file, char ret[PATH_BYTES]) {
    Elf64_Ehdr head;
    rewind(file);
    if (fread(&head, sizeof head, 1, file) != 1 || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > INT32_MAX)
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        if (fseek(file, (long)(head.e_phoff + i * sizeof segment), SEEK_SET) != 0 || fread(&segment, sizeof segment, 1, file) != 1)
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        size_t size = MIN(segment.p_filesz, (uint64_t)PATH_BYTES - 1);
        ret[size] = '\0';
        return segment.p_offset <= INT32_MAX && fseek(file, (long)segment.p_offset, SEEK_SET) == 0 && fread(ret, size, 1, file) == 1;
    }
    return false;
}

/* "#!/path argument": the path, into `ret`; false: it is no script. */
static bool read_interpreter(FILE *file, char ret[PATH_BYTES]) {
    char line[PATH_BYTES];
    rewind(file);
    if (!fgets(line, sizeof line, file) || strncmp(line, "#!", 2) != 0)
        return false;
    const char *path = line + 2 + strspn(line + 2, " \t");
    snprintf(ret, PATH_BYTES, "%.*s", (int)strcspn(path, " \t\n"), path);
    return *ret;
}

static bool is_for_musl(const char *program) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", program);
    for (int depth = 0; depth < SCRIPTS_MAX; depth++) {
        _cleanup_fclose_ FILE *file = open_program(path);
        if (!file)
            return false;
        if (read_loader(file, path))
            return strstr(path, "/ld-musl-") != NULL;
        if (!read_interpreter(file, path))
            return false;
    }
    return false;
}

/* Beside us where it was built, or where it was installed. */
static int find_beside(const char *name, char **ret) {
    static const char *const places[] = {"/../agent/", "/", "/../" CPROF_LIBDIR "/"};
    char own[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return -errno;
    own[length] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s%s%s", own, places[i], name) < 0) {
            path = NULL;
            return -ENOMEM;
        }
        char *real = realpath(path, NULL);
        if (real) {
            *ret = real;
            return 0;
        }
    }
    return -ENOENT;
}

int agent_file_find(const char *program, char **ret, char *ret_problem, size_t problem_size) {
#ifdef __GLIBC__
    bool is_foreign = is_for_musl(program);
#else
    bool is_foreign = false;
#endif
    char *path = NULL;
    int error = find_beside(is_foreign ? "libcprof-agent-musl.so" : "libcprof-agent.so", &path);
    if (error < 0 && is_foreign)
        snprintf(ret_problem, problem_size,
                 "%s is built for musl, and libcprof-agent-musl.so, which would sample it from inside, was not built: it needs musl-gcc "
                 "(apt install musl-tools)",
                 program);
    else if (error < 0)
        snprintf(ret_problem, problem_size, "cannot find libcprof-agent.so, which samples from inside: %s", strerror(-error));
    if (error < 0)
        return error;
    if (strpbrk(path, ": ")) {
        snprintf(ret_problem, problem_size, "%s cannot be preloaded: its path has a space or a colon", path);
        free(path);
        return -EINVAL;
    }
    *ret = path;
    return 0;
}
