/* SPDX-License-Identifier: MIT */
/* Samples of one's own program: a signal handler copies the interrupted registers and the stack above them, as an agent or perf would. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "unwind/unwind.h"

enum { CAPTURE_BYTES = 1024 * 1024 };

static struct unwind_registers capture_registers;
static uint8_t capture_stack[CAPTURE_BYTES];
static size_t capture_length;
static volatile bool capture_wanted;

static inline void capture_take(const ucontext_t *context) {
    static const int order[UNWIND_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
                                                REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    for (int i = 0; i < UNWIND_REGISTERS; i++)
        capture_registers.value[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
    capture_registers.valid = (1u << UNWIND_REGISTERS) - 1;
    uint64_t base = capture_registers.value[UNWIND_RSP];
    /* By the kernel, which stops where the stack does, and to which a sanitizer has no objection. */
    struct iovec to = {capture_stack, CAPTURE_BYTES}, from = {(void *)(uintptr_t)base, CAPTURE_BYTES};
    ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    capture_length = got > 0 ? (size_t)got : 0;
    capture_wanted = false;
}

static inline void capture_handle(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    if (capture_wanted)
        capture_take(context);
}

static inline void capture_install(int signal, int flags) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | flags};
    action.sa_sigaction = capture_handle;
    sigaction(signal, &action, NULL);
}

static inline void capture_next(void) {
    capture_wanted = true;
}

static inline struct unwind_sample capture_sample(void) {
    return (struct unwind_sample){.registers = capture_registers,
                                  .stack = capture_stack,
                                  .stack_base = capture_registers.value[UNWIND_RSP],
                                  .stack_length = capture_length};
}
