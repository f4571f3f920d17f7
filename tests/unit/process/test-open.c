/* SPDX-License-Identifier: MIT */
/* Opening the very file that was mapped, whatever has become of its path since. */
#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/unit/process/listener.h"

static char directory[] = "/tmp/cprof-open-XXXXXX";

static const char *in_directory(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* A file as it is mapped into this process: `name` in the directory, a copy of this program or of `content`. */
struct fixture {
    char path[128];
    void *at;
    size_t length;
    struct process_identity identity;
};

static bool copy_self(const char *path) {
    static char buffer[1 << 16];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, (size_t)got) != got)
            break;
    close(from);
    close(to);
    return !got;
}

static int find_mapping(void *context, const struct process_map_event *event) {
    struct fixture *f = context;
    if (event->start != (uintptr_t)f->at)
        return 0;
    f->identity = event->identity;
    f->length = event->length;
    return 1;
}

static bool fixture_begin(struct fixture *f, const char *name, const char *content) {
    static bool is_made;
    if (!is_made && !mkdtemp(directory))
        return false;
    is_made = true;
    snprintf(f->path, sizeof f->path, "%s", in_directory(name));
    unlink(f->path);
    if (content) {
        FILE *file = fopen(f->path, "we");
        fputs(content, file);
        fclose(file);
    } else if (!copy_self(f->path)) {
        return false;
    }
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    f->at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    close(fd);
    static char maps[1 << 20];
    FILE *file = fopen("/proc/self/maps", "re");
    size_t length = fread(maps, 1, sizeof maps, file), skipped;
    fclose(file);
    return f->at != MAP_FAILED && process_maps_parse(maps, length, find_mapping, f, &skipped) == 1;
}

static void fixture_end(struct fixture *f) {
    munmap(f->at, 4096);
    unlink(f->path);
    rmdir(directory);
    mkdir(directory, 0700);
}

static struct process_module *module_of(struct process_table *table, const struct fixture *f) {
    return process_module_get(table, PROCESS_MODULE_FILE, &f->identity, f->path);
}

static int open_by(struct process_module *module, const struct fixture *f, pid_t pid) {
    struct process_sighting sighting = {.pid = (uint32_t)pid, .start = (uintptr_t)f->at, .length = f->length, .is_live = true, .root = ""};
    return process_module_open(module, &sighting);
}

enum { NOBODY = 0x3fffffff }; /* above pid_max */

TEST(by_its_path) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_module *module = module_of(table, &f);
    CHECK_EQ(process_module_state(module), PROCESS_MODULE_UNOPENED);
    CHECK_EQ(open_by(module, &f, getpid()), 0);
    CHECK_EQ(process_module_state(module), PROCESS_MODULE_OPEN);
    CHECK(!module->is_deleted);
    CHECK(elf_image_info(module->image)->is_64);
    const struct elf_image *image = module->image;
    CHECK_EQ(open_by(module, &f, getpid()), 0); /* a second time changes nothing */
    CHECK(module->image == image);
    fixture_end(&f);
    process_table_free(table);
}

TEST(of_a_process_that_has_ended) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_module *module = module_of(table, &f);
    CHECK_EQ(open_by(module, &f, NOBODY), 0);
    CHECK(!module->is_deleted);
    fixture_end(&f);
    process_table_free(table);
}

TEST(deleted) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_module *module = module_of(table, &f);
    unlink(f.path);
    char link[128], target[256];
    snprintf(link, sizeof link, "/proc/self/map_files/%lx-%lx", (unsigned long)f.at, (unsigned long)f.at + f.length);
    int fd = open(link, O_RDONLY | O_CLOEXEC); /* needs CAP_CHECKPOINT_RESTORE */
    bool is_allowed = fd >= 0 && readlink(link, target, sizeof target) > 0;
    close(fd);
    int r = open_by(module, &f, getpid());
    CHECK_EQ(r, is_allowed ? 0 : -ENOENT);
    CHECK_EQ(process_module_state(module), is_allowed ? PROCESS_MODULE_OPEN : PROCESS_MODULE_FAILED);
    if (is_allowed)
        CHECK(module->is_deleted);
    fixture_end(&f);
    process_table_free(table);
}

TEST(replaced_by_another_file) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_module *module = module_of(table, &f);
    char kept[128], other[128];
    snprintf(kept, sizeof kept, "%s", in_directory("kept"));
    snprintf(other, sizeof other, "%s", in_directory("other"));
    CHECK(copy_self(other));
    CHECK_EQ(rename(f.path, kept), 0);
    CHECK_EQ(rename(other, f.path), 0);
    CHECK(open_by(module, &f, NOBODY) < 0);
    CHECK_EQ(process_module_state(module), PROCESS_MODULE_FAILED);
    CHECK(module->is_deleted);

    /* It comes back: what failed is tried again. */
    CHECK_EQ(rename(kept, f.path), 0);
    CHECK_EQ(open_by(module, &f, getpid()), 0);
    CHECK_EQ(process_module_state(module), PROCESS_MODULE_OPEN);
    CHECK(!module->is_deleted);
    fixture_end(&f);
    process_table_free(table);
}

TEST(with_another_build_id) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_module *first = module_of(table, &f);
    CHECK_EQ(open_by(first, &f, getpid()), 0);
    struct process_identity wanted = {.build_id = elf_image_info(first->image)->build_id};
    CHECK(wanted.build_id.length > 0);
    CHECK_EQ(open_by(process_module_get(table, PROCESS_MODULE_FILE, &wanted, f.path), &f, NOBODY), 0);
    wanted.build_id.bytes[0] ^= 1;
    struct process_module *other = process_module_get(table, PROCESS_MODULE_FILE, &wanted, f.path);
    CHECK(open_by(other, &f, NOBODY) < 0);
    CHECK_EQ(process_module_state(other), PROCESS_MODULE_FAILED);
    fixture_end(&f);
    process_table_free(table);
}

TEST(not_elf) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", "a JIT's memory"));
    struct process_module *module = module_of(table, &f);
    CHECK(open_by(module, &f, getpid()) < 0);
    CHECK_EQ(process_module_state(module), PROCESS_MODULE_NOT_ELF);
    fixture_end(&f);
    process_table_free(table);
}

TEST(not_a_regular_file) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    static const struct process_identity unknown;
    char fifo[128];
    snprintf(fifo, sizeof fifo, "%s", in_directory("fifo"));
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    const char *paths[] = {fifo, directory, "/dev/zero", "/dev/tty"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct process_module *module = process_module_get(table, PROCESS_MODULE_FILE, &unknown, paths[i]);
        CHECK(open_by(module, &f, NOBODY) < 0);
        CHECK_EQ(process_module_state(module), PROCESS_MODULE_FAILED);
    }
    unlink(fifo);
    fixture_end(&f);
    process_table_free(table);
}

TEST(import_looks_below_the_root) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct fixture f;
    CHECK(fixture_begin(&f, "a", NULL));
    struct process_identity elsewhere = {.device_major = 1, .inode = 4711};
    struct process_module *module = process_module_get(table, PROCESS_MODULE_FILE, &elsewhere, "/a");
    CHECK_EQ(process_module_open(module, &(struct process_sighting){.root = directory}), 0);
    /* Without a root the recording is from here, and the inode must be right. */
    struct process_module *here = process_module_get(table, PROCESS_MODULE_FILE, &elsewhere, f.path);
    CHECK(here == module);
    elsewhere.inode++;
    here = process_module_get(table, PROCESS_MODULE_FILE, &elsewhere, f.path);
    CHECK_EQ(process_module_open(here, &(struct process_sighting){.root = ""}), -ESTALE);
    fixture_end(&f);
    process_table_free(table);
}

TEST(the_vdso_is_read_from_memory) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    static const struct process_identity unknown;
    uint64_t start = getauxval(AT_SYSINFO_EHDR);
    if (!start)
        SKIP("no vDSO here");
    struct process_sighting sighting = {.pid = NOBODY, .start = start, .length = 8192, .is_live = true, .root = ""};
    struct process_module *module = process_module_get(table, PROCESS_MODULE_VDSO, &unknown, "[vdso]");
    CHECK_EQ(process_module_open(module, &sighting), 0); /* ours, for want of theirs */
    CHECK(elf_image_info(module->image)->segment_count > 0);
    struct process_module *narrow = process_module_get(table, PROCESS_MODULE_VDSO, &unknown, "[vdso32]");
    CHECK(process_module_open(narrow, &sighting) < 0); /* but that is not theirs */
    process_table_free(table);
}

TEST(an_import_takes_our_vdso_only_where_it_is_the_one) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct process_identity identity = {0};
    if (!getauxval(AT_SYSINFO_EHDR))
        SKIP("no vDSO here");
    struct process_sighting elsewhere = {.pid = NOBODY, .start = 1 << 20, .length = 4096, .root = ""}, here = elsewhere;
    here.is_same_kernel = true;
    struct process_module *module = process_module_get(table, PROCESS_MODULE_VDSO, &identity, "[vdso]");
    CHECK_EQ(process_module_open(module, &elsewhere), -ENOENT);
    CHECK_EQ(process_module_open(module, &here), 0);
    identity.build_id = elf_image_info(module->image)->build_id;
    if (!identity.build_id.length)
        SKIP("this kernel's vDSO has no build-id");
    struct process_module *same = process_module_get(table, PROCESS_MODULE_VDSO, &identity, "[vdso]");
    CHECK_EQ(process_module_open(same, &elsewhere), 0); /* the build-id is proof enough */
    identity.build_id.bytes[0]++;
    struct process_module *other = process_module_get(table, PROCESS_MODULE_VDSO, &identity, "[vdso]");
    CHECK_EQ(process_module_open(other, &here), -ESTALE);
    process_table_free(table);
}

TEST_MAIN()
