/* SPDX-License-Identifier: MIT */
/*
 * Frames whose line and name are known: an instruction that a signal interrupted, a call that returns to the next line's code, the vDSO,
 * the copies of a function that compilers make.
 *
 *     frames --lines    prints "function line" of those
 */
#include <signal.h>
#include <ucontext.h>

#include "chain.h"

static int interrupted_line, caller_line;

static void on_illegal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    for (int i = 0; i < 20; i++)
        chain_work();
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
}

/* The saved pc is that of ud2 itself; the one before it belongs to the line before. */
LINK static void interrupted(void) {
    interrupted_line = __LINE__ + 2;
    __asm__ volatile("nop");
    __asm__ volatile("ud2");
    __asm__ volatile("nop");
}

LINK static void called(void) {
    for (int i = 0; i < 20; i++)
        chain_work();
}

/* The return address is that of the next line's nop. */
LINK static void caller(void) {
    caller_line = __LINE__ + 2;
    __asm__ volatile("nop");
    called();
    __asm__ volatile("nop");
}

/* By the names that GCC gives to specialised copies and split parts. */
void frames_copied(void) __asm__("frames_copied.constprop.0.isra.0");
LINK void frames_copied(void) {
    for (int i = 0; i < 20; i++)
        chain_work();
}

void frames_cold(void) __asm__("frames_part.part.0.cold");
LINK void frames_cold(void) {
    for (int i = 0; i < 20; i++)
        chain_work();
}

LINK static void asks_the_time(void) {
    struct timespec now;
    for (int i = 0; i < 2000; i++)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

static void round_once(void) {
    interrupted();
    caller();
    frames_copied();
    frames_cold();
    asks_the_time();
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, "");
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_illegal;
    sigaction(SIGILL, &action, NULL);
    round_once();
    if (argc > 1 && !strcmp(argv[1], "--lines")) {
        printf("interrupted %d\ncaller %d\n", interrupted_line, caller_line);
        return 0;
    }
    while (chain_goes_on(seconds))
        round_once();
    return 0;
}
