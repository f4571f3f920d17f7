/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers: on an alternate stack, on the thread's own, one inside another, entered at a function's very first instruction and
 * anywhere at all.
 */
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

#include "chain.h"

#define CHAINS                                                             \
    "main +\n"                                                             \
    "main > before_first > trap_first > ... > on_illegal > illegal_leaf\n" \
    "on_illegal > trap_nested > ... > on_fault > fault_leaf\n"             \
    "main > before_inside > trap_inside > ... > on_trap > trap_leaf\n"     \
    "main > around_spin > spin > ... > on_alarm > alarm_leaf\n"            \
    "around_spin > ... > on_alarm\n"

void trap_first(void);
void trap_nested(void);
void trap_inside(void);

/* An instruction at which each handler is entered; the handler steps over it. */
__asm__(".text\n"
        ".type trap_first, @function\n"
        "trap_first: .cfi_startproc\n ud2\n ret\n .cfi_endproc\n"
        ".size trap_first, . - trap_first\n"
        ".type trap_nested, @function\n"
        "trap_nested: .cfi_startproc\n hlt\n ret\n .cfi_endproc\n"
        ".size trap_nested, . - trap_nested\n"
        ".type trap_inside, @function\n"
        "trap_inside: .cfi_startproc\n"
        " push %rbx\n .cfi_def_cfa_offset 16\n .cfi_offset %rbx, -16\n"
        " sub $64, %rsp\n .cfi_def_cfa_offset 80\n"
        " int3\n"
        " add $64, %rsp\n .cfi_def_cfa_offset 16\n"
        " pop %rbx\n .cfi_def_cfa_offset 8\n"
        " ret\n .cfi_endproc\n"
        ".size trap_inside, . - trap_inside\n");

LINK static void illegal_leaf(void) {
    chain_work();
}

LINK static void fault_leaf(void) {
    chain_work();
}

LINK static void trap_leaf(void) {
    chain_work();
}

LINK static void alarm_leaf(void) {
    for (int i = 0; i < 20; i++)
        chain_work();
}

LINK static void on_illegal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    chain_pause();
    illegal_leaf();
    trap_nested();
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
}

LINK static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    chain_pause();
    fault_leaf();
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 1; /* hlt */
}

LINK static void on_trap(int signal) {
    (void)signal;
    chain_pause();
    trap_leaf();
    chain_pause();
}

static volatile bool spinning;

LINK static void on_alarm(int signal) {
    (void)signal;
    chain_pause();
    if (spinning)
        alarm_leaf();
    chain_pause();
}

LINK static void before_first(void) {
    chain_pause();
    trap_first();
    chain_pause();
}

LINK static void before_inside(void) {
    chain_pause();
    trap_inside();
    chain_pause();
}

LINK static void spin(void) {
    spinning = true;
    for (int i = 0; i < 100; i++)
        chain_work();
    spinning = false;
}

LINK static void around_spin(const sigset_t *alarm) {
    sigprocmask(SIG_UNBLOCK, alarm, NULL);
    spin();
    sigprocmask(SIG_BLOCK, alarm, NULL);
}

static void handle(int signal, void *handler, int flags) {
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO)
        action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    else
        action.sa_handler = (void (*)(int))handler;
    sigaction(signal, &action, NULL);
}

int main(int argc, char **argv) {
    static char alternate[256 * 1024];
    double seconds = chain_seconds(argc, argv, CHAINS);
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    handle(SIGILL, (void *)on_illegal, SA_SIGINFO | SA_ONSTACK);
    handle(SIGSEGV, (void *)on_fault, SA_SIGINFO | SA_ONSTACK);
    handle(SIGTRAP, (void *)on_trap, 0);
    handle(SIGALRM, (void *)on_alarm, SA_RESTART);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    while (chain_goes_on(seconds)) {
        for (int i = 0; i < 20; i++)
            before_first();
        for (int i = 0; i < 20; i++)
            before_inside();
        around_spin(&alarm);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    return 0;
}
