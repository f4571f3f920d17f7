/* SPDX-License-Identifier: MIT */
/* Stacks that are no thread's own: coroutines by swapcontext, and by a hand-written switch whose CFI is right at every instruction. */
#include <ucontext.h>

#include "chain.h"

#define CHAINS                                          \
    "main +\n"                                          \
    "main > resume_context +\n"                         \
    "main > resume_switch > switch_stack\n"             \
    "^ > context_start > context_work > context_leaf\n" \
    "context_work > context_yield +\n"                  \
    "^ > switch_start > switch_work > switch_leaf\n"    \
    "switch_work > switch_yield > switch_stack\n"       \
    "^ > switch_stack\n" /* onto a stack that was never left */

enum { STACK_BYTES = 64 * 1024 };

/* Saves the callee-saved registers on the stack left, whose pointer goes to *from, and goes on where `to` was left. */
void switch_stack(void **from, void *to);
void switch_first(void);
__asm__(".text\n"
        ".type switch_stack, @function\n"
        "switch_stack: .cfi_startproc\n"
        " push %rbp\n .cfi_def_cfa_offset 16\n .cfi_offset %rbp, -16\n"
        " push %rbx\n .cfi_def_cfa_offset 24\n .cfi_offset %rbx, -24\n"
        " push %r12\n .cfi_def_cfa_offset 32\n .cfi_offset %r12, -32\n"
        " push %r13\n .cfi_def_cfa_offset 40\n .cfi_offset %r13, -40\n"
        " push %r14\n .cfi_def_cfa_offset 48\n .cfi_offset %r14, -48\n"
        " push %r15\n .cfi_def_cfa_offset 56\n .cfi_offset %r15, -56\n"
        " mov %rsp, (%rdi)\n"
        " mov %rsi, %rsp\n"
        " mov $500, %ecx\n 1: dec %ecx\n jne 1b\n" /* time to be seen between the stacks: from here on the caller is the other one */
        " pop %r15\n .cfi_def_cfa_offset 48\n .cfi_restore %r15\n"
        " pop %r14\n .cfi_def_cfa_offset 40\n .cfi_restore %r14\n"
        " pop %r13\n .cfi_def_cfa_offset 32\n .cfi_restore %r13\n"
        " pop %r12\n .cfi_def_cfa_offset 24\n .cfi_restore %r12\n"
        " pop %rbx\n .cfi_def_cfa_offset 16\n .cfi_restore %rbx\n"
        " pop %rbp\n .cfi_def_cfa_offset 8\n .cfi_restore %rbp\n"
        " ret\n .cfi_endproc\n"
        ".size switch_stack, . - switch_stack\n"
        /* Where a new stack begins: nothing called it. */
        ".type switch_first, @function\n"
        "switch_first: .cfi_startproc\n .cfi_undefined %rip\n"
        " call *%rbx\n hlt\n .cfi_endproc\n"
        ".size switch_first, . - switch_first\n");

static ucontext_t outside, inside;
static void *outside_sp, *inside_sp;

LINK static void context_leaf(void) {
    chain_work();
}

LINK static void context_yield(void) {
    swapcontext(&inside, &outside);
    chain_pause();
}

LINK static void context_work(void) {
    for (int i = 0; i < 8; i++)
        context_leaf();
    context_yield();
    chain_pause();
}

LINK static void context_start(void) {
    for (;;) {
        context_work();
        chain_pause();
    }
}

LINK static void switch_leaf(void) {
    chain_work();
}

LINK static void switch_yield(void) {
    switch_stack(&inside_sp, outside_sp);
    chain_pause();
}

LINK static void switch_work(void) {
    for (int i = 0; i < 8; i++)
        switch_leaf();
    switch_yield();
    chain_pause();
}

LINK static void switch_start(void) {
    for (;;) {
        switch_work();
        chain_pause();
    }
}

LINK static void resume_context(void) {
    swapcontext(&outside, &inside);
    chain_pause();
}

LINK static void resume_switch(void) {
    switch_stack(&outside_sp, inside_sp);
    chain_pause();
}

/* As switch_stack leaves a stack: six registers, of which rbx holds what to call, and the address to return to. */
static void *first_stack(uintptr_t *end) {
    *--end = 0;
    *--end = (uintptr_t)switch_first;
    *--end = 0; /* rbp */
    *--end = (uintptr_t)switch_start;
    for (int i = 0; i < 4; i++)
        *--end = 0;
    return end;
}

int main(int argc, char **argv) {
    static char context_stack[STACK_BYTES];
    static uintptr_t switched_stack[STACK_BYTES / sizeof(uintptr_t)] __attribute__((aligned(16)));
    double seconds = chain_seconds(argc, argv, CHAINS);
    getcontext(&inside);
    inside.uc_stack.ss_sp = context_stack;
    inside.uc_stack.ss_size = sizeof context_stack;
    makecontext(&inside, context_start, 0);
    inside_sp = first_stack(switched_stack + sizeof switched_stack / sizeof *switched_stack);
    while (chain_goes_on(seconds)) {
        for (int i = 0; i < 20; i++) {
            resume_context();
            resume_switch();
        }
    }
    return 0;
}
