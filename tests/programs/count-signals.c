/* SPDX-License-Identifier: MIT */
/*
 * count-signals NUMBER PROGRAM [ARGUMENT]...: runs a program of one thread and prints at its end how many signals of this number were
 * delivered to it, as its debugger. Linked statically, so that nothing is preloaded into it.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    int number = atoi(argv[1]), status = 0;
    unsigned long count = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            execv(argv[2], argv + 2);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        int delivered = WSTOPSIG(status);
        count += delivered == number;
        /* SIGTRAP: exec, which is no signal of the program's */
        if (ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)(delivered == SIGTRAP ? 0 : delivered)) != 0)
            return 2;
    }
    printf("%lu\n", count);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
