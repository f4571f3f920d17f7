/* SPDX-License-Identifier: MIT */
#include "sampler/signals.h"
#include "tests/check.h"

static enum signal_action decide(int signal, int code, unsigned *interrupts) {
    struct signalfd_siginfo info = {.ssi_signo = (uint32_t)signal, .ssi_code = code};
    return signal_decide(&info, interrupts);
}

TEST(ctrl_c_of_the_terminal_is_the_targets_and_the_second_kills) {
    unsigned interrupts = 0;
    CHECK_EQ(decide(SIGINT, SI_KERNEL, &interrupts), SIGNAL_NOTHING);
    CHECK_EQ(decide(SIGQUIT, SI_KERNEL, &interrupts), SIGNAL_NOTHING);
    CHECK_EQ(decide(SIGINT, SI_KERNEL, &interrupts), SIGNAL_KILL_TARGET);
}

TEST(what_a_process_sends_is_passed_on) {
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        unsigned interrupts = 0;
        CHECK_EQ(decide(signals[i], SI_USER, &interrupts), SIGNAL_PASS_ON);
        interrupts = 0;
        CHECK_EQ(decide(signals[i], SI_TKILL, &interrupts), SIGNAL_PASS_ON);
    }
}

TEST(the_rest) {
    unsigned interrupts = 0;
    CHECK_EQ(decide(SIGCHLD, CLD_EXITED, &interrupts), SIGNAL_CHILD);
    CHECK_EQ(decide(SIGTSTP, SI_KERNEL, &interrupts), SIGNAL_NOTHING);
    CHECK_EQ(decide(SIGPIPE, SI_USER, &interrupts), SIGNAL_NOTHING);
    CHECK_EQ(interrupts, 0);
}

TEST_MAIN()
