/* SPDX-License-Identifier: MIT */
/*
 * How processes begin and programs are replaced:
 *
 *     hazard-processes resident MB N    N forks of a process of so many MB
 *     hazard-processes fork             one child by fork, one by _Fork, which runs no handlers of fork, and starts a thread; each and
 *                                       the parent work in functions of their own, beside a second thread of the parent
 *     hazard-processes exec N           replaces itself N times, in turn from its first and from a second thread
 *     hazard-processes vfork N          a child of vfork that works; then N by vfork and by posix_spawn that do not
 *     hazard-processes spin ROUNDS      no system call for so long; then the context switches it has asked for
 */
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chain.h"

extern char **environ;
static double parent_seconds = .4, child_seconds = .3;

static double cpu_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define WORKS(name, seconds)                  \
    LINK static void name(void) {             \
        double until = cpu_now() + (seconds); \
        while (chain_goes_on(until))          \
            chain_work();                     \
    }
WORKS(work_of_parent, parent_seconds)
WORKS(work_of_thread, parent_seconds)
WORKS(work_of_child, child_seconds)
WORKS(work_of_bare_child, child_seconds)
WORKS(work_of_vfork, child_seconds)
WORKS(work_before, .002)

static void reap(pid_t pid) {
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
        abort();
}

static int resident(size_t size, int count) {
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 2;
    memset(memory, 1, size);
    for (int i = 0; i < count; i++) {
        work_before();
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        reap(pid);
    }
    printf("%d forks\n", count);
    return 0;
}

static void *thread_work(void *nothing) {
    work_of_thread();
    return nothing;
}

static void *bare_thread_work(void *nothing) {
    work_of_bare_child();
    return nothing;
}

static int fork_both(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, thread_work, NULL);
    pid_t child = fork();
    if (child == 0) {
        work_of_child();
        _exit(0);
    }
    pid_t bare = _Fork();
    if (bare == 0) {
        pthread_t another;
        if (pthread_create(&another, NULL, bare_thread_work, NULL) == 0)
            pthread_join(another, NULL);
        _exit(0);
    }
    printf("%d %d %d\n", getpid(), child, bare);
    work_of_parent();
    reap(child);
    reap(bare);
    pthread_join(thread, NULL);
    return 0;
}

static char mode_exec[] = "exec", *words[] = {NULL, mode_exec, NULL, NULL};

static void *replace(void *nothing) {
    work_before();
    execv("/proc/self/exe", words);
    perror("execv");
    exit(2);
    return nothing;
}

static int exec_again(const char *program, int count) {
    char number[16];
    work_before();
    if (count == 0) {
        printf("done\n");
        return 0;
    }
    snprintf(number, sizeof number, "%d", count - 1);
    words[0] = (char *)(uintptr_t)program;
    words[2] = number;
    pthread_t thread;
    if (count % 2 == 0)
        replace(NULL);
    pthread_create(&thread, NULL, replace, NULL);
    for (;;)
        work_before();
}

/* vfork returns twice in the caller's frame: each in a function of its own. */
__attribute__((noinline)) static void vfork_and_work(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        work_of_vfork();
        _exit(0);
    }
    reap(pid);
}

__attribute__((noinline)) static void vfork_and_exec(char **none) {
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/bin/true", none);
        _exit(127);
    }
    reap(pid);
}

static int vfork_many(int count) {
    char *none[] = {(char *)(uintptr_t) "true", NULL};
    pid_t pid;
    vfork_and_work();
    for (int i = 0; i < count; i++) {
        work_before();
        vfork_and_exec(none);
        work_before();
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, none, environ) != 0)
            return 2;
        reap(pid);
    }
    work_of_parent();
    printf("%d\n", getpid());
    return 0;
}

/* Leaves by _exit: what a profiler does at a program's end is no part of it. */
static int spin(long rounds) {
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    while (rounds-- > 0)
        chain_work();
    getrusage(RUSAGE_THREAD, &after);
    printf("%ld\n", after.ru_nvcsw - before.ru_nvcsw);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(mode, "resident") && argc > 3)
        return resident((size_t)count << 20, atoi(argv[3]));
    if (!strcmp(mode, "fork"))
        return fork_both();
    if (!strcmp(mode, "exec"))
        return exec_again(argv[0], count);
    if (!strcmp(mode, "vfork"))
        return vfork_many(count);
    return strcmp(mode, "spin") || argc < 3 ? 2 : spin(strtol(argv[2], NULL, 10));
}
