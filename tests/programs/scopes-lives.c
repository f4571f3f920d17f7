/* SPDX-License-Identifier: MIT */
/*
 * Scopes in threads, processes and plugins that begin and end in every way; what is to be counted follows from the arguments.
 *
 *     scopes-lives pthread-exit N     N threads that end by pthread_exit in the scope `left`, after one of `whole`
 *     scopes-lives cancel N           the same, cancelled
 *     scopes-lives fork N             N children, forked in `around`, which both leave; a child runs 3 of `child`, and its own child 2 of
 *                                     `grandchild`
 *     scopes-lives exec N             N of `before`, then in `exec` the program again, as
 *     scopes-lives after N            N of `after`
 *     scopes-lives unbalanced N       N ends of a span that was not begun, N spans that are not ended
 *     scopes-lives plugin PATH N      N times: in `host` a plugin is loaded, called for 10 of `plugin`, and unloaded
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/cprof.h"

static void *leave(void *exits) {
    { CPROF_SCOPE("whole"); }
    CPROF_SCOPE("left");
    if (exits)
        pthread_exit(NULL);
    for (;;)
        pause();
}

static void leave_threads(unsigned count, int exits) {
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, leave, exits ? &thread : NULL) != 0)
            exit(1);
        if (!exits)
            pthread_cancel(thread); /* takes effect in pause */
        pthread_join(thread, NULL);
    }
}

static void count_times(unsigned count, void (*function)(void)) {
    for (unsigned i = 0; i < count; i++)
        function();
}

static void child(void) {
    CPROF_FUNCTION();
}

static void grandchild(void) {
    CPROF_FUNCTION();
}

static void before(void) {
    CPROF_FUNCTION();
}

static void after(void) {
    CPROF_FUNCTION();
}

static pid_t fork_in_scope(void) {
    CPROF_SCOPE("around");
    return fork();
}

static void run_child(void) {
    count_times(3, child);
    pid_t pid = fork();
    if (pid == 0) {
        count_times(2, grandchild);
        _exit(0);
    }
    _exit(pid < 0 || waitpid(pid, NULL, 0) != pid);
}

static int fork_children(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        int status;
        pid_t pid = fork_in_scope();
        if (pid == 0)
            run_child();
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
    }
    return 0;
}

static int execute(char **argv) {
    CPROF_SCOPE("exec");
    argv[1] = (char[]){"after"};
    execv("/proc/self/exe", argv);
    return 1;
}

CPROF_SITE(never_begun, CPROF_KIND_SPAN, "never begun");
CPROF_SITE(never_ended, CPROF_KIND_SPAN, "never ended");

static void unbalanced(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        cprof_end(&never_begun);
        cprof_begin(&never_ended);
    }
}

static int call_plugin(const char *path, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        CPROF_SCOPE("host");
        void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        void (*function)(unsigned) = plugin ? (void (*)(unsigned))dlsym(plugin, "plugin_work") : NULL;
        if (!function)
            return 1;
        function(10);
        dlclose(plugin);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 2 ? argv[1] : "";
    unsigned count = argc > 2 ? (unsigned)strtoul(argv[argc - 1], NULL, 10) : 0;
    if (strcmp(mode, "pthread-exit") == 0)
        leave_threads(count, 1);
    else if (strcmp(mode, "cancel") == 0)
        leave_threads(count, 0);
    else if (strcmp(mode, "fork") == 0)
        return fork_children(count);
    else if (strcmp(mode, "exec") == 0) {
        count_times(count, before);
        return execute(argv);
    } else if (strcmp(mode, "after") == 0)
        count_times(count, after);
    else if (strcmp(mode, "unbalanced") == 0)
        unbalanced(count);
    else if (strcmp(mode, "plugin") == 0)
        return call_plugin(argv[2], count);
    else
        return 2;
    return 0;
}
