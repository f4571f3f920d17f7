/* SPDX-License-Identifier: MIT */
/*
 * What machine code proves about a stack: x86-64 instruction bytes around a pc, read from the module's file (else from the target).
 *
 * A return address lies directly behind a call instruction. Read backwards x86 code is ambiguous, so "behind a call" is a necessary
 * condition, never a proof alone; a direct call's target is what makes it one.
 */
#pragma once

#include "unwind/unwind.h"

struct code {
    const struct unwind_space *space;
    struct unwind_place place;
};

enum { CODE_MAX = 32 };

/* `length` <= CODE_MAX bytes at run-time address `pc`; false if they cannot be had. */
bool code_read(const struct code *code, uint64_t pc, uint8_t *to, size_t length);

enum code_call {
    CODE_NO_CALL,
    CODE_DIRECT_CALL,   /* to *ret_target */
    CODE_SLOT_CALL,     /* through the word at *ret_target, which nearly always is of the global offset table */
    CODE_INDIRECT_CALL, /* through a register, or memory that a register points to */
};

/* The call instruction that ends at `pc`. */
enum code_call code_call_before(const struct code *code, uint64_t pc, uint64_t *ret_target);

/* Where a direct jump or call to `pc` ends up: through a linker's stub, if it leads into one whose slot can be read. */
uint64_t code_follow_stub(const struct code *code, uint64_t pc);

/* How the instructions at `pc` leave their function or, at its very start, how they have not yet entered it. */
struct code_exit {
    bool from_rbp;   /* offsets count from rbp, not from rsp */
    uint32_t offset; /* of the return address */
    bool has_rbp;
    uint32_t rbp_offset; /* of the caller's rbp */
};

/*
 * True where the return address can be read off the code: `push %rbp; mov %rsp,%rbp` at either instruction, or a run of pop, add to rsp,
 * leave that ends in ret.
 */
bool code_find_exit(const struct code *code, uint64_t pc, struct code_exit *ret);

/* `mov %rsp,%rbp` comes shortly, and nothing before it that leaves the function: rbp is the caller's still. */
bool code_frame_is_ahead(const struct code *code, uint64_t pc);

/* Is there a `mov %rsp,%rbp` in [from, to)? */
bool code_frame_is_between(const struct code *code, uint64_t from, uint64_t to);

/* The few instructions behind the system call of glibc's clone and clone3, which no CFI covers. The new thread finds rax 0 there. */
bool code_is_after_clone(const struct code *code, uint64_t pc);

/* `pc` is directly behind that system call: where a thread is while the kernel works on it. */
bool code_is_sigreturn_done(const struct code *code, uint64_t pc);

/* `syscall` ends at `pc`. */
bool code_is_after_syscall(const struct code *code, uint64_t pc);

/*
 * Is `pc` inside a linker-made stub that has no frame (.plt, .plt.sec, .plt.got, with or without IBT and BND)? Then *ret_words is how many
 * words the stub has pushed on top of the return address.
 */
bool code_is_stub(const struct code *code, uint64_t pc, unsigned *ret_words);

/* A stub that begins at `pc` and jumps through a word in memory: *ret_slot is where that word is. */
bool code_stub_slot(const struct code *code, uint64_t pc, uint64_t *ret_slot);

/* `mov $__NR_rt_sigreturn, %eax/%rax; syscall` at `pc`, as kernel and C libraries write it. */
bool code_is_sigreturn(const struct code *code, uint64_t pc);

/* What makecontext has its function return to, as glibc writes it: mov %rbx,%rsp; mov (%rsp),%rdi; test %rdi,%rdi. */
bool code_is_start_context(const struct code *code, uint64_t pc);

/* The code behind the outermost call of a process or thread: hlt, or exit(2) at once (musl's __clone). */
bool code_is_exit(const struct code *code, uint64_t pc);
