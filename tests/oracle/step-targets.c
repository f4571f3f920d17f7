/* SPDX-License-Identifier: MIT */
/* Functions of every shape that is hard to unwind somewhere; compiled -O2, without frame pointers, and single-stepped by steps.c. */
#include "tests/oracle/step-targets.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP __attribute__((noinline))

static volatile int sink;
static jmp_buf out;

/* Pushes every callee-saved register, and pops them again. */
KEEP static int many_registers(int a, int b, int c) {
    int d = getppid(), e = getppid(), f = getppid(), g = getppid();
    for (int i = 0; i < 2; i++) {
        a += d * b + (int)getppid();
        b ^= e + c;
        c += f * a;
        d -= g + i;
    }
    return a + b + c + d + e + f + g;
}

KEEP static int leaf(int a) {
    return a * 3 + 1;
}

KEEP static int tail_caller(int a) {
    sink = a;
    return leaf(a + 1);
}

KEEP static int with_variable_room(size_t size) {
    char room[size];
    memset(room, 1, size);
    sink = room[size / 2];
    return leaf(room[0]);
}

/* A realigned frame with a variable part: GCC keeps its arguments' base in r10 (DRAP). */
KEEP static int realigned(size_t size, int a, int b, int c, int d, int e, int f, int g) {
    _Alignas(64) volatile char wide[128] = {0};
    char room[size];
    memset(room, 2, size);
    wide[a & 63] = room[1];
    return leaf(wide[0] + b + c + d + e + f + g) + many_registers(a, b, c);
}

__attribute__((target("avx2"), noinline)) static int vectors(int a) {
    typedef int vector __attribute__((vector_size(32)));
    volatile vector v = {a, a + 1, a + 2, a + 3};
    vector w = v * v;
    v = w;
    return leaf(v[1]);
}

KEEP __attribute__((noreturn)) static void leaves_by_longjmp(int a) {
    sink = leaf(a);
    longjmp(out, 1);
}

/* The call is this function's last instruction: its return address belongs to whatever comes next. */
KEEP static void ends_in_noreturn(int a) {
    sink = a;
    leaves_by_longjmp(a + 1);
}

static int compare(const void *a, const void *b) {
    return leaf(*(const int *)a) - leaf(*(const int *)b);
}

KEEP static int through_qsort(void) {
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
    return numbers[0];
}

static void handler(int signal) {
    sink = leaf(signal);
}

KEEP static int through_a_signal(void) {
    raise(SIGUSR2);
    return leaf(sink);
}

KEEP static int recursive(int depth) {
    return depth == 0 ? leaf(depth) : recursive(depth - 1) + leaf(depth);
}

/* As OpenSSL's assembly: the CFA is kept in rax, which subroutines of its own leave alone. */
void keeps_cfa_in_rax(void);
__asm__(".text\n"
        ".type subroutine_of_own, @function\n"
        "subroutine_of_own: .cfi_startproc\n add $1, %r10\n lea 1(%r10), %r11\n ret\n .cfi_endproc\n"
        ".size subroutine_of_own, . - subroutine_of_own\n"
        ".type keeps_cfa_in_rax, @function\n"
        "keeps_cfa_in_rax: .cfi_startproc\n"
        " mov %rsp, %rax\n .cfi_def_cfa_register %rax\n"
        " push %rbx\n .cfi_offset %rbx, -16\n"
        " sub $72, %rsp\n and $-64, %rsp\n"
        " xor %ebx, %ebx\n"
        " call subroutine_of_own\n"
        " call subroutine_of_own\n"
        " mov -8(%rax), %rbx\n .cfi_restore %rbx\n"
        " mov %rax, %rsp\n .cfi_def_cfa_register %rsp\n"
        " ret\n .cfi_endproc\n"
        ".size keeps_cfa_in_rax, . - keeps_cfa_in_rax\n");

void step_targets_prepare(void) {
    static char other_stack[32 * 1024];
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    action.sa_handler = handler;
    sigaction(SIGUSR2, &action, NULL);
}

void step_targets_run(void) {
    sink = many_registers(1, 2, 3);
    sink = tail_caller(4);
    sink = with_variable_room((size_t)sink % 7 + 100);
    sink = realigned((size_t)sink % 5 + 64, 1, 2, 3, 4, 5, 6, 7);
    if (__builtin_cpu_supports("avx2"))
        sink = vectors(3);
    if (setjmp(out) == 0)
        ends_in_noreturn(1);
    sink = through_qsort();
    sink = through_a_signal();
    sink = recursive(5);
    keeps_cfa_in_rax();
}
