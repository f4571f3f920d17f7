/* SPDX-License-Identifier: MIT */
/*
 * exec, interposed: a signal of ours that is still on its way when the new program starts would kill it, for handlers do not outlive exec
 * and pending signals do (kernels before 6.13 deliver the signal of a timer that exec has deleted).
 *
 * exec's caller is alone afterwards, so only its own timers and pending signals matter. In a child of vfork or posix_spawn there are none.
 */
#include <stdarg.h>
#include <unistd.h>

#include "agent/next.h"
#include "agent/private.h"
#include "base/clock.h"
#include "base/system.h"

AGENT_NEXT(execve)
AGENT_NEXT(execv)
AGENT_NEXT(execvp)
AGENT_NEXT(execvpe)
AGENT_NEXT(fexecve)

void agent_exec_init(void) {
    (void)next_execve();
    (void)next_execv();
    (void)next_execvp();
    (void)next_execvpe();
    (void)next_fexecve();
}

/* Our signal that waits for this thread, if any, is gone. It is blocked. */
static void drain_pending(void) {
    uint64_t ours = UINT64_C(1) << (agent_process.signal - 1);
    struct timespec now = {0};
    while (system_call(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&now, sizeof ours, 0, 0) > 0)
        ;
}

/* Between exec_prepare and exec_failed the thread is not sampled; its mask is the program's own for the new program. */
static struct agent_thread *exec_prepare(void) {
    struct agent_thread *self = agent_process.shared ? agent_threads_self() : NULL;
    if (!self)
        return NULL;
    uint64_t mask = agent_block_signals();
    agent_timers_stop(self);
    drain_pending();
    agent_restore_signals(mask);
    return self;
}

static int exec_failed(struct agent_thread *self, int result) {
    if (!self)
        return result;
    uint64_t mask = agent_block_signals();
    agent_timers_restart(self, clock_now());
    agent_restore_signals(mask);
    return result;
}

AGENT_EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
    struct agent_thread *self = exec_prepare();
    return exec_failed(self, next_execve()(path, argv, envp));
}

AGENT_EXPORT int execv(const char *path, char *const argv[]) {
    struct agent_thread *self = exec_prepare();
    return exec_failed(self, next_execv()(path, argv));
}

AGENT_EXPORT int execvp(const char *file, char *const argv[]) {
    struct agent_thread *self = exec_prepare();
    return exec_failed(self, next_execvp()(file, argv));
}

AGENT_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
    struct agent_thread *self = exec_prepare();
    return exec_failed(self, next_execvpe()(file, argv, envp));
}

AGENT_EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
    struct agent_thread *self = exec_prepare();
    return exec_failed(self, next_fexecve()(fd, argv, envp));
}

/* ---- with a list of arguments ---------------------------------------------------------------------------------------------------- */

static size_t count_arguments(va_list list) {
    size_t count = 1; /* the first */
    while (va_arg(list, char *))
        count++;
    return count;
}

/* `first` and the others into argv; argv has room for them and a NULL. */
static void collect(const char *first, va_list list, char **argv) {
    *argv = (char *)(uintptr_t)first; /* as exec's own prototype: not written to */
    for (char *next = *argv; next;)
        *++argv = next = va_arg(list, char *);
}

#define COLLECT(first, list, argv)                                                   \
    va_list list, counted;                                                           \
    va_start(list, first);                                                           \
    va_copy(counted, list);                                                          \
    char **argv = __builtin_alloca((count_arguments(counted) + 1) * sizeof(char *)); \
    va_end(counted);                                                                 \
    collect(first, list, argv)

AGENT_EXPORT int execl(const char *path, const char *first, ...) {
    COLLECT(first, list, argv);
    va_end(list);
    return execv(path, argv);
}

AGENT_EXPORT int execlp(const char *file, const char *first, ...) {
    COLLECT(first, list, argv);
    va_end(list);
    return execvp(file, argv);
}

AGENT_EXPORT int execle(const char *path, const char *first, ...) {
    COLLECT(first, list, argv);
    char *const *envp = va_arg(list, char *const *);
    va_end(list);
    return execve(path, argv, envp);
}
