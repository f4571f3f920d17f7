/* SPDX-License-Identifier: MIT */
#include "sampler/signals.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/macros.h"

/* SIGTSTP among them: the target decides whether Ctrl-Z stops it, and we stop when it has (see target.h). SIGPIPE: a broken pipe is an
 * error of write() to us, not death. */
static const int ours[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCHLD, SIGPIPE};

int signals_block(struct signals *signals) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        sigaddset(&set, ours[i]);
    sigset_t original;
    if (sigprocmask(SIG_BLOCK, &set, &original) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *signals = (struct signals){.fd = fd, .original = original};
    return 0;
}

void signals_close(struct signals *signals) {
    close(signals->fd);
}

enum signal_action signal_decide(const struct signalfd_siginfo *info, unsigned *interrupts) {
    bool from_process = info->ssi_code <= 0; /* SI_USER, SI_QUEUE, SI_TKILL; the terminal's are SI_KERNEL */
    switch (info->ssi_signo) {
    case SIGCHLD:
        return SIGNAL_CHILD;
    case SIGINT:
        if (++*interrupts > 1)
            return SIGNAL_KILL_TARGET;
        return from_process ? SIGNAL_PASS_ON : SIGNAL_NOTHING;
    case SIGQUIT:
    case SIGTERM:
    case SIGHUP:
    case SIGUSR1:
    case SIGUSR2:
        return from_process ? SIGNAL_PASS_ON : SIGNAL_NOTHING;
    default:
        return SIGNAL_NOTHING;
    }
}

bool signals_next(struct signals *signals, int *ret_signal, enum signal_action *ret_action) {
    struct signalfd_siginfo info;
    if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    *ret_signal = (int)info.ssi_signo;
    *ret_action = signal_decide(&info, &signals->interrupts);
    return true;
}

void signals_die_of(int signal) {
    /* A core_pattern that pipes to a program ignores the limit, but not this. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    (void)sigaction(signal, &by_default, NULL);
    (void)raise(signal);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}
