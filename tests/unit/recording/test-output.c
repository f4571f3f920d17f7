/* SPDX-License-Identifier: MIT */
/* The file as others see it: its name, what becomes of the old one, a disk that is full or too slow, a recorder that is killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/macros.h"
#include "tests/unit/recording/specimen.h"

/* A directory of the case's own, entered; left and removed by leave(). */
static char directory[] = "test-output-XXXXXX";
static void enter(void) {
    memcpy(directory, "test-output-XXXXXX", sizeof directory);
    CHECK(mkdtemp(directory));
    CHECK_EQ(chdir(directory), 0);
}
static void leave(void) {
    static const char *const names[] = {"a", "a~", "a.old", "b", "a.old/x", "fifo"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)remove(names[i]);
    (void)remove("a.old");
    CHECK_EQ(chdir(".."), 0);
    CHECK_EQ(rmdir(directory), 0); /* so nothing else was left */
}

static void put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    CHECK(file);
    fputs(text, file);
    CHECK_EQ(fclose(file), 0);
}
static const char *first_line(const char *path) {
    static char line[64];
    *line = '\0';
    FILE *file = fopen(path, "re");
    if (file && !fgets(line, sizeof line, file))
        *line = '\0';
    if (file)
        fclose(file);
    return line;
}
static mode_t mode_of(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void record_and_close(const char *path) {
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(path, &w), 0);
    specimen_write(w);
    CHECK_EQ(recording_close(w, NULL), 0);
}
static void check_recorded(const char *path) {
    struct recording *r = NULL;
    CHECK_EQ(recording_open(path, &r, NULL), 0);
    CHECK(r->is_complete);
    recording_free(r);
}

TEST(an_older_file_is_kept_as_old) {
    enter();
    umask(0);
    put_file("a", "before");
    put_file("a.old", "long before");
    put_file("a~", "left behind by one that was killed");
    record_and_close("a");
    CHECK_EQ(mode_of("a"), S_IFREG | 0600);
    CHECK_STR(first_line("a.old"), "before");
    CHECK_EQ(mode_of("a~"), 0);
    check_recorded("a");
    leave();
}

TEST(a_link_is_replaced_and_not_followed) {
    enter();
    put_file("b", "precious");
    CHECK_EQ(symlink("b", "a"), 0);
    record_and_close("a");
    CHECK_EQ(mode_of("a"), S_IFREG | 0600);
    CHECK(S_ISLNK(mode_of("a.old")));
    CHECK_STR(first_line("b"), "precious");
    leave();
    enter();
    put_file("b", "precious");
    CHECK_EQ(symlink("b", "a~"), 0);
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("a", &w), -EEXIST);
    CHECK_STR(first_line("b"), "precious");
    leave();
}

TEST(a_failure_leaves_everything_as_it_was) {
    enter();
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("none/a", &w), -ENOENT);
    CHECK_EQ(mkdir("a", 0700), 0);
    CHECK_EQ(recording_create("a", &w), -EISDIR);
    CHECK_EQ(rmdir("a"), 0);
    put_file("a", "before");
    CHECK_EQ(mkdir("a.old", 0700), 0); /* cannot be replaced by a file */
    CHECK_EQ(recording_create("a", &w), -EISDIR);
    CHECK_STR(first_line("a"), "before");
    CHECK_EQ(mode_of("a~"), 0);
    CHECK(!w);
    leave();
}

TEST(a_device_is_written_to_and_never_renamed) {
    struct recording_writer *w = NULL;
    mode_t before = mode_of("/dev/full");
    CHECK(S_ISCHR(before));
    CHECK_EQ(recording_create("/dev/full", &w), -ENOSPC);
    record_and_close("/dev/null");
    CHECK_EQ(mode_of("/dev/full"), before);
    CHECK(S_ISCHR(mode_of("/dev/null")));
}

/* Adds rows until the writer says that something is wrong, or `most` rows are in. */
static int add_until_error(struct recording_writer *w, uint64_t most, uint64_t *ret_rows) {
    recording_add_event(w, &(struct recording_event){"e", "n", "", "", "", 1, false, 1, false, false});
    recording_add_process(w, &(struct recording_process){1, RECORDING_NONE, 0, 0});
    recording_add_thread(w, &(struct recording_thread){1, 1, 0});
    recording_add_task(w, &(struct recording_task){0, 0, "t", 0});
    int error = 0;
    for (uint64_t i = 0; i < most && !error; i++) {
        uint64_t random = (i + 1) * 0x9fb21c651e98df25u;
        recording_add_sample(w, &(struct recording_sample){random, 0, STACK_PC_ONLY, 0, 0, {random >> 7}}); /* hard to compress */
        *ret_rows = i + 1;
        if (i % 1000 == 999)
            error = recording_tick(w);
    }
    return error;
}

/* "-o /dev/stdout >>log" */
TEST(a_file_behind_a_descriptor_is_written_to_only_if_it_is_empty) {
    enter();
    char path[32];
    int fd = open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct recording_writer *w = NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQ(write(fd, "precious", 8), 8);
    CHECK_EQ(recording_create(path, &w), -EEXIST);
    char text[9] = "";
    CHECK_EQ(pread(fd, text, 8, 0), 8);
    CHECK_STR(text, "precious");
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(recording_create(path, &w), 0);
    CHECK_EQ(recording_close(w, NULL), 0);
    struct recording *r = NULL;
    CHECK_EQ(recording_open("a", &r, NULL), 0);
    CHECK(r->is_complete);
    recording_free(r);
    close(fd);
    leave();
}

TEST(a_full_disk_is_said_and_what_was_written_stays) {
    enter();
    struct rlimit before, small = {.rlim_cur = 1000000};
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("a", &w), 0);
    uint64_t rows = 0, size = 0;
    CHECK_EQ(add_until_error(w, 10000000, &rows), -EFBIG);
    CHECK_EQ(recording_tick(w), -EFBIG);
    CHECK_EQ(recording_flush(w), -EFBIG);
    CHECK_EQ(recording_close(w, &size), -EFBIG);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

    struct recording *r = NULL;
    CHECK_EQ(recording_open("a", &r, NULL), 0);
    CHECK_STR(r->damage, NULL); /* it was cut back to its last whole batch */
    CHECK(!r->is_complete);
    CHECK_EQ(r->file_size, size);
    CHECK(r->sample_count > 10000 && r->sample_count < rows);
    CHECK_EQ(specimen_walk(r), (long long)r->sample_count);
    recording_free(r);
    leave();
}

TEST(a_closed_pipe_is_an_error_and_no_death) {
    enter();
    CHECK_EQ(mkfifo("fifo", 0600), 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("fifo", &w), 0);
    close(reader);
    recording_set(w, "command", "x");
    CHECK_EQ(recording_flush(w), -EPIPE);
    CHECK_EQ(recording_close(w, NULL), -EPIPE);
    CHECK(S_ISFIFO(mode_of("fifo")));
    leave();
}

/* A disk that hangs is a pipe that nobody reads: past 64 MiB samples are dropped, and each is counted. */
TEST(a_disk_that_cannot_follow_costs_counted_samples) {
    enum { ROWS = 4000000 };
    enter();
    CHECK_EQ(mkfifo("fifo", 0600), 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("fifo", &w), 0);
    uint64_t rows = 0;
    CHECK_EQ(add_until_error(w, ROWS, &rows), 0);

    pid_t child = fork(); /* reads it all into a file */
    if (child == 0) {
        for (int fd = 3; fd < 64; fd++)
            if (fd != reader)
                close(fd); /* the writer's end among them, or it would wait for itself */
        int flags = fcntl(reader, F_GETFL), copy = open("b", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        fcntl(reader, F_SETFL, flags & ~O_NONBLOCK);
        static char chunk[65536];
        for (ssize_t n; (n = read(reader, chunk, sizeof chunk)) > 0;)
            if (write(copy, chunk, (size_t)n) != n)
                _exit(1);
        _exit(0);
    }
    close(reader);
    CHECK_EQ(recording_close(w, NULL), 0);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);

    struct recording *r = NULL;
    CHECK_EQ(recording_open("b", &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(r->is_complete);
    CHECK_EQ(rows, ROWS);
    CHECK(recording_counter(r, "writer queue full") > 0);
    CHECK_EQ(r->sample_count + recording_counter(r, "writer queue full"), ROWS);
    recording_free(r);
    leave();
}

TEST(what_a_killed_recorder_had_written_is_there) {
    enter();
    pid_t child = fork();
    if (child == 0) {
        struct recording_writer *w = NULL;
        if (recording_create("a", &w) < 0)
            _exit(1);
        specimen_write(w);
        if (recording_flush(w) < 0)
            _exit(1);
        recording_set(w, "never", "written");
        raise(SIGKILL);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct recording *r = NULL;
    CHECK_EQ(recording_open("a", &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(!r->is_complete);
    specimen_check(r);
    recording_free(r);
    leave();
}

TEST(an_id_that_names_nothing_ends_the_recording_and_not_the_file) {
    enter();
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create("a", &w), 0);
    specimen_write(w);
    CHECK_EQ(recording_flush(w), 0);
    recording_add_sample(w, &(struct recording_sample){.time = 1, .task = 77, .weight = {1}});
    CHECK_EQ(recording_flush(w), -EINVAL);
    CHECK_EQ(recording_close(w, NULL), -EINVAL);
    struct recording *r = NULL;
    CHECK_EQ(recording_open("a", &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    specimen_check(r);
    recording_free(r);
    leave();
}

TEST_MAIN()
