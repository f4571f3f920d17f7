/* SPDX-License-Identifier: MIT */
#include "sampler/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

static int check_executable(const char *path) {
    struct stat info;
    if (stat(path, &info) < 0)
        return -errno;
    if (!S_ISREG(info.st_mode))
        return -EACCES;
    return access(path, X_OK) < 0 ? -errno : 0;
}

int launch_find(const char *command) {
    if (strchr(command, '/'))
        return check_executable(command);
    if (!*command)
        return -ENOENT;
    const char *path = getenv("PATH");
    int result = -ENOENT;
    for (const char *at = path ? path : "/bin:/usr/bin";; at++) {
        size_t length = strcspn(at, ":");
        _cleanup_free_ char *candidate = NULL;
        if (asprintf(&candidate, "%.*s/%s", length ? (int)length : 1, length ? at : ".", command) < 0)
            return -ENOMEM;
        int error = check_executable(candidate);
        if (error == 0)
            return 0;
        if (error == -EACCES) /* as execvp: remembered, and the search goes on */
            result = error;
        at += length;
        if (!*at)
            return result;
    }
}

__attribute__((noreturn)) static void child_main(char *const argv[], const sigset_t *mask, int go, int status) {
    static char message[PIPE_BUF + 1]; /* stays: the environment points into it */
    ssize_t got;
    do
        got = read(go, message, PIPE_BUF);
    while (got < 0 && errno == EINTR);
    if (got < 1)
        _exit(125);
    for (char *at = message + 1; at < message + got; at += strlen(at) + 1)
        (void)putenv(at);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    int error = errno;
    (void)!write(status, &error, sizeof error);
    _exit(launch_exit_status(error));
}

int launch_fork(char *const argv[], const sigset_t *mask, struct launch *ret) {
    int go[2], status[2];
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int go_read = go[0], go_write = go[1];
    if (pipe2(status, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int status_read = status[0], status_write = status[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(go_write);
        close(status_read);
        child_main(argv, mask, go_read, status_write);
    }
    *ret = (struct launch){.pid = pid, .go = TAKE_FD(go_write), .status = TAKE_FD(status_read)};
    return 0;
}

/* The go byte and the variables. -E2BIG. */
static ssize_t compose(const char *const *environment, char message[PIPE_BUF]) {
    size_t length = 1;
    message[0] = 'g';
    for (; environment && *environment; environment++) {
        size_t size = strlen(*environment) + 1;
        if (size > PIPE_BUF - length)
            return -E2BIG;
        memcpy(message + length, *environment, size);
        length += size;
    }
    return (ssize_t)length;
}

int launch_go(struct launch *launch, const char *const *environment) {
    _cleanup_close_ int go = launch->go, status = launch->status;
    launch->go = launch->status = -1;
    char message[PIPE_BUF];
    ssize_t length = compose(environment, message);
    if (length < 0)
        return (int)length;
    if (write(go, message, (size_t)length) != length)
        return -errno;
    int error = 0;
    ssize_t got;
    do
        got = read(status, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof error)
        return 0;
    while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

void launch_cancel(struct launch *launch) {
    close(launch->go);
    close(launch->status);
    while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int launch_exit_status(int exec_errno) {
    return exec_errno == ENOENT || exec_errno == ENOTDIR ? 127 : 126;
}
