/* SPDX-License-Identifier: MIT */
/* Whose our signal is. By the system call: ThreadSanitizer's sigaction would put off the handler until the stack that it is to copy is
 * another, and our own would take us for the program. */
#include "agent/private.h"
#include "base/system.h"

enum { RESTORER = 0x04000000 }; /* SA_RESTORER of the kernel */

struct kernel_action {
    void (*handler)(int signal, siginfo_t *info, void *context);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* Where the handler returns to: rt_sigreturn, in the very bytes by which debuggers know a signal frame. */
void agent_signal_return(void);
__asm__(".text\n"
        ".type agent_signal_return, @function\n"
        ".hidden agent_signal_return\n"
        "agent_signal_return: mov $15, %rax\n"
        " syscall\n"
        ".size agent_signal_return, . - agent_signal_return\n");

static long kernel_sigaction(int signal, const struct kernel_action *action, struct kernel_action *ret_old) {
    return system_call(SYS_rt_sigaction, signal, (long)action, (long)ret_old, sizeof action->mask, 0, 0);
}

/* The whole mask: nothing may run on top of a record half written. */
bool agent_action_install(int signal) {
    const struct kernel_action ours = {agent_on_signal, SA_SIGINFO | SA_RESTART | SA_ONSTACK | RESTORER, agent_signal_return, ~UINT64_C(0)};
    struct kernel_action old;
    if (kernel_sigaction(signal, NULL, &old) != 0)
        return false;
    if (old.handler == agent_on_signal)
        return true;
    if (kernel_sigaction(signal, &ours, NULL) != 0)
        return false;
    agent_process.program_action.sa_sigaction = old.handler;
    agent_process.program_action.sa_flags = (int)(old.flags & ~(uint64_t)RESTORER);
    if (agent_process.shared)
        atomic_fetch_add_explicit(&agent_process.shared->reinstalled, 1, memory_order_relaxed);
    return true;
}

static void do_default(int signal) {
    const struct kernel_action by_default = {0};
    (void)kernel_sigaction(signal, &by_default, NULL);
    long pid = system_call(SYS_getpid, 0, 0, 0, 0, 0, 0), tid = system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    system_call(SYS_tgkill, pid, tid, signal, 0, 0, 0); /* kills when the handler returns */
}

void agent_action_chain(int signal, siginfo_t *info, void *context) {
    const struct sigaction *action = &agent_process.program_action;
    if (action->sa_handler == SIG_IGN)
        return;
    if (action->sa_handler == SIG_DFL)
        do_default(signal);
    else if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(signal, info, context);
    else
        action->sa_handler(signal);
}
