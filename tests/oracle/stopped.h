/* SPDX-License-Identifier: MIT */
/* What a sampler would have seen of a thread that stands still under ptrace. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "unwind/unwind.h"

/* Its registers, and of its stack as much as `bytes` holds; the sample points into that. */
static inline struct unwind_sample stopped_sample(pid_t pid, uint8_t *bytes, size_t size) {
    struct user_regs_struct r;
    struct unwind_sample sample = {.stack = bytes};
    ptrace(PTRACE_GETREGS, pid, NULL, &r);
    const uint64_t values[UNWIND_REGISTERS] = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
                                               r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
    memcpy(sample.registers.value, values, sizeof values);
    sample.registers.valid = (1u << UNWIND_REGISTERS) - 1;
    struct iovec local = {bytes, size}, remote = {(void *)(uintptr_t)r.rsp, size};
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    sample.stack_base = r.rsp;
    sample.stack_length = got > 0 ? (uint64_t)got & ~(uint64_t)7 : 0;
    return sample;
}
