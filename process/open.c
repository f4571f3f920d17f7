/* SPDX-License-Identifier: MIT */
/* Finding the very file that was mapped. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "process/private.h"

/* Opens a regular file and nothing else: to open a device or a FIFO can do something, so it is looked at before (O_PATH opens nothing). */
static int open_regular(const char *path, struct stat *ret_status) {
    _cleanup_close_ int handle = open(path, O_PATH | O_CLOEXEC);
    if (handle < 0)
        return -errno;
    if (fstat(handle, ret_status) < 0)
        return -errno;
    if (!S_ISREG(ret_status->st_mode))
        return -EINVAL;
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
    int fd = open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

/* ---- is it the file that was mapped? --------------------------------------------------------------------------------------------- */

struct own_mapping {
    uint64_t address;
    struct process_identity identity;
    bool is_found;
};

static int own_mapping_visit(void *context, const struct process_map_event *event) {
    struct own_mapping *own = context;
    if (own->address - event->start >= event->length)
        return 0;
    own->identity = event->identity;
    own->is_found = true;
    return 1;
}

static int read_file(const char *path, char **ret, size_t *ret_length) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    VEC(char) text = {0};
    for (;;) {
        if (!vec_reserve(&text, text.count + 16384)) {
            vec_free(&text);
            return -ENOMEM;
        }
        size_t got = fread(text.items + text.count, 1, text.capacity - text.count, file);
        if (!got)
            break;
        text.count += got;
    }
    *ret = text.items;
    *ret_length = text.count;
    return 0;
}

/* The device and inode by which the kernel names the file in mappings. On overlayfs, btrfs and others they are not those of fstat, so it is
 * mapped here and read back. */
static bool identity_when_mapped(int fd, struct process_identity *ret) {
    void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED)
        return false;
    _cleanup_free_ char *text = NULL;
    size_t length = 0, skipped;
    struct own_mapping own = {.address = (uintptr_t)page};
    if (!read_file("/proc/self/maps", &text, &length))
        process_maps_parse(text, length, own_mapping_visit, &own, &skipped);
    munmap(page, 1);
    *ret = own.identity;
    return own.is_found;
}

static bool is_same_inode(const struct process_identity *a, uint32_t device_major, uint32_t device_minor, uint64_t inode) {
    return a->device_major == device_major && a->device_minor == device_minor && a->inode == inode;
}

/* Not contradicted: file systems that have no generation do not say. */
static bool is_same_generation(const struct process_identity *identity, int fd) {
    unsigned int generation = 0; /* the ioctl's type says long, but every file system writes an int */
    if (!identity->inode_generation || ioctl(fd, FS_IOC_GETVERSION, &generation) < 0 || !generation)
        return true;
    return (uint32_t)identity->inode_generation == generation;
}

static bool is_mapped_file(const struct process_module *module, int fd, const struct stat *status) {
    const struct process_identity *identity = &module->identity;
    if (!identity->inode)
        return true; /* a build-id decides, or nothing is known */
    if (is_same_inode(identity, major(status->st_dev), minor(status->st_dev), status->st_ino))
        return is_same_generation(identity, fd);
    struct process_identity mapped;
    return identity_when_mapped(fd, &mapped) && is_same_inode(identity, mapped.device_major, mapped.device_minor, mapped.inode);
}

/* ---- where it may be ------------------------------------------------------------------------------------------------------------- */

int process_open_mapped(const struct process_module *module, const char *path, bool check_inode, struct stat *ret_status) {
    _cleanup_close_ int fd = open_regular(path, ret_status);
    if (fd >= 0 && check_inode && !is_mapped_file(module, fd, ret_status))
        return -ESTALE;
    return TAKE_FD(fd);
}

/* Tries one path. -ESTALE: there is a file, and it is another. */
static int try_path(const struct process_module *module, const char *path, bool check_inode, struct elf_image **ret) {
    struct stat status;
    struct elf_image *image;
    _cleanup_close_ int fd = process_open_mapped(module, path, check_inode, &status);
    if (fd < 0)
        return fd;
    int r = elf_image_open(fd, &image);
    if (r < 0)
        return r;
    const struct elf_build_id *wanted = &module->identity.build_id;
    if (wanted->length && !elf_build_id_equal(wanted, &elf_image_info(image)->build_id)) {
        elf_image_close(image);
        return -ESTALE;
    }
    *ret = image;
    return 0;
}

/* It was found and is what is mapped, or it was found not to be ELF: no other path can be better. */
static bool is_settled(int r) {
    return !r || r == -ENOEXEC || r == -EBADMSG || r == -ENOMEM;
}

static int open_live(const struct process_module *module, const struct process_sighting *sighting, bool *ret_deleted,
                     struct elf_image **ret) {
    char path[PATH_MAX + 64];
    *ret_deleted = false;
    snprintf(path, sizeof path, "/proc/%u/root%s", sighting->pid, module->path);
    int first = try_path(module, path, true, ret);
    if (is_settled(first))
        return first;

    *ret_deleted = true;
    snprintf(path, sizeof path, "/proc/%u/map_files/%llx-%llx", sighting->pid, (unsigned long long)sighting->start,
             (unsigned long long)(sighting->start + sighting->length));
    int r = try_path(module, path, true, ret);
    if (is_settled(r))
        return r;
    snprintf(path, sizeof path, "/proc/%u/exe", sighting->pid);
    r = try_path(module, path, true, ret);
    if (is_settled(r))
        return r;

    r = try_path(module, module->path, true, ret);
    if (is_settled(r)) {
        *ret_deleted = false;
        return r;
    }
    *ret_deleted = first == -ENOENT || first == -ESTALE || r == -ENOENT || r == -ESTALE;
    return first;
}

/* A file from elsewhere: device and inode mean something only if it was recorded here. */
static int open_import(const struct process_module *module, const char *root, struct elf_image **ret) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s%s", root ? root : "", module->path) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return try_path(module, path, !root || !*root, ret);
}

/* ---- the vDSO -------------------------------------------------------------------------------------------------------------------- */

enum { VDSO_MAX = 1 << 16 };

/* Every 64-bit program has the one the kernel has, so our own will do when the target's cannot be read (any more). */
static int read_own_vdso(const struct process_module *module, uint8_t *bytes, size_t length) {
    void *own = (void *)getauxval(AT_SYSINFO_EHDR); /* NOLINT: that is how the kernel says it */
    if (!own || strcmp(module->path, "[vdso]"))
        return -ENOENT;
    struct iovec to = {bytes, length}, from = {own, length}; /* by the kernel, which does not fault if ours is shorter */
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)length ? 0 : -ENOENT;
}

static int open_vdso(const struct process_module *module, const struct process_sighting *sighting, struct elf_image **ret) {
    const struct elf_build_id *wanted = &module->identity.build_id;
    size_t length = MIN(sighting->length, (uint64_t)VDSO_MAX);
    _cleanup_free_ uint8_t *bytes = malloc(length);
    if (!bytes)
        return -ENOMEM;
    struct iovec to = {bytes, length}, from = {(void *)(uintptr_t)sighting->start, length};
    bool is_read = sighting->is_live && process_vm_readv((pid_t)sighting->pid, &to, 1, &from, 1, 0) == (ssize_t)length;
    if (!is_read && !sighting->is_live && !sighting->is_same_kernel && !wanted->length)
        return -ENOENT;
    int r = is_read ? 0 : read_own_vdso(module, bytes, length);
    struct elf_image *image;
    if (r == 0)
        r = elf_image_open_memory(bytes, length, &image);
    if (r < 0)
        return r;
    if (wanted->length && !elf_build_id_equal(wanted, &elf_image_info(image)->build_id)) {
        elf_image_close(image);
        return -ESTALE;
    }
    *ret = image;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int process_module_open(struct process_module *module, const struct process_sighting *sighting) {
    enum process_module_state state = process_module_state(module);
    if (state == PROCESS_MODULE_OPEN || state == PROCESS_MODULE_NOT_ELF)
        return 0;

    struct elf_image *image = NULL;
    bool is_deleted = false;
    int r;
    if (module->kind == PROCESS_MODULE_VDSO)
        r = open_vdso(module, sighting, &image);
    else if (module->kind != PROCESS_MODULE_FILE)
        r = -EINVAL;
    else if (sighting->is_live)
        r = open_live(module, sighting, &is_deleted, &image);
    else
        r = open_import(module, sighting->root, &image);

    module->image = image;
    module->is_deleted = is_deleted;
    state = !r ? PROCESS_MODULE_OPEN : r == -ENOEXEC || r == -EBADMSG ? PROCESS_MODULE_NOT_ELF : PROCESS_MODULE_FAILED;
    atomic_store_explicit(&module->state, state, memory_order_release);
    return r;
}
