/* SPDX-License-Identifier: MIT */
#include "pipeline/jit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct jit *jit_new(uint32_t pid) {
    struct jit *jit = calloc(1, sizeof *jit);
    if (jit) {
        jit->pid = jit->inner_pid = pid;
        jit->directory = jit->dump = -1;
    }
    return jit;
}

void jit_free(struct jit *jit) {
    if (!jit)
        return;
    cleanup_close(&jit->directory);
    cleanup_close(&jit->dump);
    if (jit->table)
        symbol_table_free(jit->table);
    free(jit);
}

/* The pid by which the process knows itself: the last of "NSpid:\t<outermost>\t...\t<its own>" (proc_pid_status(5)). */
static uint32_t read_inner_pid(int process, uint32_t pid) {
    _cleanup_close_ int fd = openat(process, "status", O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return pid;
    text[length] = 0;
    const char *line = strstr(text, "\nNSpid:");
    if (!line)
        return pid;
    char *end = NULL;
    unsigned long inner = 0;
    for (const char *at = line + strlen("\nNSpid:"); *at == '\t'; at = end) {
        unsigned long number = strtoul(at, &end, 10);
        if (end == at)
            break;
        inner = number;
    }
    return inner && inner <= UINT32_MAX ? (uint32_t)inner : pid;
}

void jit_begin(struct jit *jit) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%u", jit->pid);
    _cleanup_close_ int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process < 0 || fstat(process, &status) < 0)
        return;
    jit->owner = status.st_uid;
    jit->inner_pid = read_inner_pid(process, jit->pid);
    jit->directory = openat(process, "root/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

uint32_t jit_dump_pid(const char *path) {
    const char *name = strrchr(path, '/');
    char *end;
    if (!name || strncmp(name, "/jit-", 5) || name[5] < '1' || name[5] > '9')
        return 0;
    errno = 0;
    unsigned long pid = strtoul(name + 5, &end, 10);
    return !errno && pid <= INT32_MAX && !strcmp(end, ".dump") ? (uint32_t)pid : 0;
}

static bool is_owner_trusted(const struct jit *jit, bool is_live, uid_t owner) {
    return !owner || (is_live ? owner == jit->owner : !geteuid() || owner == geteuid());
}

void jit_begin_dump(struct jit *jit, const struct process_module *module, const struct process_sighting *sighting) {
    char path[PATH_MAX];
    struct stat status;
    const char *root = sighting->root ? sighting->root : "";
    int length = sighting->is_live ? snprintf(path, sizeof path, "/proc/%u/root%s", sighting->pid, module->path)
                                   : snprintf(path, sizeof path, "%s%s", root, module->path);
    if (length >= (int)sizeof path)
        return;
    _cleanup_close_ int fd = process_open_mapped(module, path, sighting->is_live || !*root, &status);
    if (fd < 0 || !is_owner_trusted(jit, sighting->is_live, status.st_uid))
        return;
    cleanup_close(&jit->dump);
    jit->dump = TAKE_FD(fd);
    jit->dump_pid = jit_dump_pid(module->path);
}

static void load_map(struct jit *jit) {
    char name[64];
    struct stat status;
    snprintf(name, sizeof name, "perf-%u.map", jit->inner_pid);
    /* O_NONBLOCK: a FIFO put there by somebody else must not hold us up; fstat then refuses it. */
    _cleanup_close_ int fd = openat(jit->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode) && (status.st_uid == jit->owner || !status.st_uid))
        (void)symbol_table_open_perf_map(fd, &jit->table, &jit->skipped); /* no table, no names */
}

void jit_load(struct jit *jit) {
    if (jit->is_loaded)
        return;
    jit->is_loaded = true;
    if (jit->directory >= 0)
        load_map(jit);
    if (jit->dump >= 0)
        (void)symbol_table_add_jitdump(jit->dump, jit->dump_pid, &jit->table, &jit->skipped);
    cleanup_close(&jit->directory);
    cleanup_close(&jit->dump);
    jit->directory = jit->dump = -1;
}
