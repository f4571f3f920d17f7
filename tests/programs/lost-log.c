/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a recorder: writes down what the kernel answers when a perf event is read for its value and its lost samples
 * (PERF_FORMAT_LOST), as a witness of losses that is not the recorder itself. Lines "pid fd lost" go to the file CPROF_TEST_LOST_LOG.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_perf_event(int fd) {
    char link[64], target[64] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    return length > 0 && strstr(target, "[perf_event]") != NULL;
}

__attribute__((visibility("default"))) ssize_t read(int fd, void *to, size_t size) {
    static ssize_t (*next)(int, void *, size_t);
    if (!next)
        next = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t length = next(fd, to, size);
    const char *path = getenv("CPROF_TEST_LOST_LOG");
    if (length == 2 * sizeof(uint64_t) && path && is_perf_event(fd)) {
        uint64_t counts[2];
        char line[80];
        memcpy(counts, to, sizeof counts);
        int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log >= 0) {
            int used = snprintf(line, sizeof line, "%d %d %llu\n", (int)getpid(), fd, (unsigned long long)counts[1]);
            if (write(log, line, (size_t)used) < 0)
                abort();
            close(log);
        }
    }
    return length;
}
