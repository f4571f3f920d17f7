/* SPDX-License-Identifier: MIT */
#include "sampler/target.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

int target_init(struct target *target, pid_t pid, bool wait_all) {
    *target = (struct target){.pid = pid, .wait_all = wait_all};
    (void)getrusage(RUSAGE_CHILDREN, &target->before);
    /* If we were started with SIGCHLD ignored, children would be gone without a status. The target keeps what it was forked with. */
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    if (sigaction(SIGCHLD, &by_default, NULL) < 0)
        return -errno;
    if (wait_all && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return -errno;
    return 0;
}

static bool is_terminal_stop(int signal) {
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void follow_stop(struct target *target, int signal) {
    if (!is_terminal_stop(signal))
        return;
    (void)raise(SIGSTOP);
    /* Continued: by the shell with the whole group, or we alone. A target that runs already takes no harm. */
    target_signal(target, SIGCONT);
}

void target_look(struct target *target) {
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(target->wait_all ? -1 : target->pid, &status, WNOHANG | WUNTRACED, &usage);
        if (pid < 0 && errno == ECHILD)
            target->is_over = true;
        if (pid <= 0)
            return;
        if (WIFSTOPPED(status)) {
            if (pid == target->pid)
                follow_stop(target, WSTOPSIG(status));
            continue;
        }
        (void)getrusage(RUSAGE_CHILDREN, &target->usage);
        timersub(&target->usage.ru_utime, &target->before.ru_utime, &target->usage.ru_utime);
        timersub(&target->usage.ru_stime, &target->before.ru_stime, &target->usage.ru_stime);
        if (pid != target->pid)
            continue;
        target->is_ended = true;
        target->status = status;
        target->is_over = target->is_over || !target->wait_all;
        if (!target->wait_all)
            return;
    }
}

void target_signal(const struct target *target, int signal) {
    if (!target->is_ended)
        (void)kill(target->pid, signal);
}
