/* SPDX-License-Identifier: MIT */
/*
 * The live oracle: a running program is stopped by ptrace again and again, wherever it is, and every stop's stack is unwound by cprof and
 * by libdwfl, which opens the process and its files by itself (dwfl_linux_proc_attach). Both see the same memory: it stands still.
 *
 *     oracle-live STOPS PROGRAM [ARGUMENT...]     TAP; the program must run longer than that, or is started again
 *
 * cprof is shown what a sample holds, registers and STACK_BYTES of stack, and the rest of live memory.
 * libdwfl knows no signal frames without CFI and no way out of code without CFI but the frame pointer: where it stops, it says nothing.
 */
#include "tests/live.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/frame.h"
#include "tests/oracle/stopped.h"

enum { FRAMES_MAX = 4096, STACK_BYTES = 16 * 1024, SHOWN_MAX = 5, TRIES_MAX = 4, SETTLE_NS = 50000000 };

struct oracle {
    struct live live;
    struct unwinder *unwinder;
    struct unwind_history *history;
    Dwfl *dwfl;
    uint64_t stops, frames, agreed, wrong, short_of, complete, silent, shown;
    uint64_t pcs[FRAMES_MAX];
    size_t count;
};

static uint8_t stack_bytes[STACK_BYTES];

/* ---- libdwfl --------------------------------------------------------------------------------------------------------------------- */

static int no_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file, const char *link,
                         GElf_Word crc, char **ret) {
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)ret;
    return -1;
}

static Dwfl *open_dwfl(pid_t pid) {
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = no_debug_file};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl && (dwfl_linux_proc_report(dwfl, pid) != 0 || dwfl_report_end(dwfl, NULL, NULL) != 0 ||
                 dwfl_linux_proc_attach(dwfl, pid, true) != 0)) {
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

static int take_frame(Dwfl_Frame *frame, void *context) {
    struct oracle *o = context;
    Dwarf_Addr pc;
    if (o->count == FRAMES_MAX || !dwfl_frame_pc(frame, &pc, NULL))
        return DWARF_CB_ABORT;
    o->pcs[o->count++] = pc;
    return DWARF_CB_OK;
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------------- */

static void show(struct oracle *o, const struct unwind_stack *stack) {
    if (o->shown++ >= SHOWN_MAX)
        return;
    printf("# stop %" PRIu64 ", end: %s\n#   cprof            libdwfl\n", o->stops, stack_end_name(stack->end));
    for (size_t i = 0; i < stack->count || i < o->count; i++) {
        const struct unwind_frame *frame = i < stack->count ? &stack->frames[i] : NULL;
        const struct live_place *place = frame && frame->module_id ? &o->live.places[frame->module_id - 1] : NULL;
        printf("#   %16" PRIx64 " %16" PRIx64 "  %s+%" PRIx64 " %s\n", frame ? frame->pc : 0, i < o->count ? o->pcs[i] : 0,
               place ? place->path : "", frame ? frame->address : 0, frame ? frame_class_name(frame->class) : "");
    }
}

/*
 * Deep stacks are elided in their middle, and then compared up to there. What is in no mapping is no frame, whoever says so. A stack that
 * ends early and says so is not wrong, and counted.
 */
static void compare(struct oracle *o, pid_t pid) {
    struct unwind_stack stack;
    struct unwind_sample sample = stopped_sample(pid, stack_bytes, sizeof stack_bytes);
    struct unwind_place place;
    o->count = 0;
    (void)dwfl_getthread_frames(o->dwfl, pid, take_frame, o);
    if (unwinder_walk(o->unwinder, &sample, &o->live.space, &o->history, &stack) < 0)
        return;
    o->stops++;
    o->complete += stack.end == STACK_COMPLETE;
    size_t i = 0;
    while (i < stack.count && i < o->count && stack.frames[i].kind != FRAME_ELIDED && stack.frames[i].pc == o->pcs[i])
        i++;
    o->frames += stack.count;
    o->agreed += i;
    bool is_elided = i < stack.count && stack.frames[i].kind == FRAME_ELIDED;
    if (i < o->count && !is_elided) {
        live_find(&o->live, o->pcs[i] - 1, &place);
        bool says_less = i == stack.count && stack.end != STACK_COMPLETE;
        if (place.state != UNWIND_PLACE_NONE && says_less) {
            o->short_of++;
        } else if (place.state != UNWIND_PLACE_NONE) {
            o->wrong++;
            show(o, &stack);
            return;
        }
    }
    o->silent += stack.count - i;
}

static pid_t start(char **arguments) {
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        execv(arguments[0], arguments);
        _exit(127);
    }
    return pid;
}

static void forget(struct oracle *o) {
    if (o->dwfl)
        dwfl_end(o->dwfl);
    o->dwfl = NULL;
    live_close(&o->live);
    unwind_history_free(o->history);
    o->history = NULL;
}

/* Reads what is mapped once more where the stopped pc is in nothing known: the loader was at work still. */
static int know(struct oracle *o, pid_t pid) {
    struct user_regs_struct r;
    struct unwind_place place = {.state = UNWIND_PLACE_NONE};
    ptrace(PTRACE_GETREGS, pid, NULL, &r);
    if (o->dwfl)
        live_find(&o->live, r.rip, &place);
    if (place.state != UNWIND_PLACE_NONE)
        return 0;
    forget(o);
    int error = live_init(&o->live, pid);
    o->dwfl = error == 0 ? open_dwfl(pid) : NULL;
    return o->dwfl ? 0 : -ENOEXEC;
}

/* Stops it, compares, and lets it go on, until it ends. Signals are its own. */
static void follow(struct oracle *o, pid_t pid, uint64_t wanted) {
    uint64_t random = (uint64_t)pid;
    while (o->stops < wanted) {
        int status;
        random = random * 6364136223846793005u + 1442695040888963407u;
        nanosleep(&(struct timespec){.tv_nsec = (long)(random >> 33) % 1000000}, NULL);
        if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
            return;
        bool is_interrupt = status >> 16 == PTRACE_EVENT_STOP;
        if (is_interrupt && know(o, pid) == 0)
            compare(o, pid);
        if (ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)(is_interrupt ? 0 : WSTOPSIG(status))) < 0)
            return;
    }
}

static int run(struct oracle *o, uint64_t wanted, char **arguments) {
    int r = unwinder_new(&o->unwinder);
    for (unsigned i = 0; r == 0 && i < TRIES_MAX && o->stops < wanted; i++) {
        int status;
        pid_t pid = start(arguments);
        if (pid < 0)
            return -ECHILD;
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
        if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
            r = -errno;
        else
            follow(o, pid, wanted);
        kill(pid, SIGKILL);
        waitpid(pid, &status, __WALL);
        forget(o);
    }
    unwinder_free(o->unwinder);
    return r;
}

int main(int argc, char **argv) {
    static struct oracle o;
    uint64_t wanted = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    if (!wanted) {
        fprintf(stderr, "usage: oracle-live STOPS PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int r = run(&o, wanted, argv + 2);
    printf("# %s: %" PRIu64 " stops, %" PRIu64 " frames, %" PRIu64 " as libdwfl has them, %" PRIu64 " behind where it stopped; %" PRIu64
           " stacks complete, %" PRIu64 " of the others shorter than libdwfl's\n",
           argv[2], o.stops, o.frames, o.agreed, o.silent, o.complete, o.short_of);
    bool good = r == 0 && o.stops == wanted && o.agreed > o.stops * 2;
    printf("%sok 1 - the program could be stopped, and libdwfl knew its stacks\n", good ? "" : "not ");
    printf("%sok 2 - no stack differs from libdwfl's (%" PRIu64 " do)\n1..2\n", o.wrong ? "not " : "", o.wrong);
    return !good || o.wrong;
}
