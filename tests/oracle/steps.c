/* SPDX-License-Identifier: MIT */
/*
 * The single-step oracle: a child runs step-targets.c one instruction at a time, through lazy binding, libc and signal frames; before every
 * instruction its stack is unwound by cprof and by libunwind-ptrace, frame by frame.
 *
 * One thing libunwind cannot do: it takes the CFA for the caller's sp even where a rule says otherwise, as in the last instructions of
 * longjmp. There cprof is held against itself: the callers it names are those of the instruction behind the jump.
 *
 *     oracle-steps [-v]      TAP
 */
#include <errno.h>
#include <libunwind-ptrace.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "tests/live.h"
#include "tests/oracle/step-targets.h"
#include "tests/oracle/stopped.h"
#include "unwind/module.h"

enum { STEPS_MAX = 200000, FRAMES_MAX = 128, STACK_BYTES = 16 * 1024, SHOWN_MAX = 20 };

struct oracle {
    struct live live;
    struct unwinder *unwinder;
    struct unwind_history *history;
    unw_addr_space_t space;
    void *context;
    uint64_t steps, frames, wrong, incomplete, shorter_witness, jumps;
    uint64_t jump[FRAMES_MAX]; /* the callers that cprof saw in the last instructions of longjmp */
    size_t jump_count;
    bool is_verbose;
};

static uint8_t stack_bytes[STACK_BYTES];

static void child_main(void) {
    step_targets_prepare();
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    step_targets_run();
    _exit(0);
}

static size_t ask_libunwind(struct oracle *o, uint64_t pcs[FRAMES_MAX]) {
    unw_cursor_t cursor;
    size_t count = 0;
    if (unw_init_remote(&cursor, o->space, o->context) < 0)
        return 0;
    do {
        unw_word_t pc;
        if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0 || pc == 0)
            break;
        pcs[count++] = pc;
    } while (count < FRAMES_MAX && unw_step(&cursor) > 0);
    return count;
}

static void show(struct oracle *o, const char *what, const struct unwind_stack *stack, const uint64_t *pcs, size_t count) {
    if (o->wrong + o->incomplete > SHOWN_MAX && !o->is_verbose)
        return;
    printf("# %s, step %" PRIu64 ", end: %s\n", what, o->steps, stack_end_name(stack->end));
    for (size_t i = 0; i < stack->count || i < count; i++) {
        const struct unwind_frame *frame = i < stack->count ? &stack->frames[i] : NULL;
        const struct live_place *place = frame && frame->module_id ? &o->live.places[frame->module_id - 1] : NULL;
        printf("#   %16" PRIx64 " %16" PRIx64 "  %s+%" PRIx64 " %s\n", frame ? frame->pc : 0, i < count ? pcs[i] : 0,
               place ? place->path : "", frame ? frame->address : 0, frame ? frame_class_name(frame->class) : "");
    }
}

/* Does a rule of its own say where the caller's sp is, in a frame that is no signal's? */
static bool is_jump(const struct oracle *o, const struct unwind_stack *stack) {
    const struct unwind_place *place = &o->live.places[stack->frames[0].module_id - 1].place;
    const struct rule *rule = place->module ? module_find_rule(place->module, stack->frames[0].address) : NULL;
    for (unsigned i = 0; rule && !rule->hot.is_signal_frame && i < rule->hot.register_count; i++) {
        if (place->module->rules.registers.items[rule->hot.first_register + i].target == UNWIND_RSP)
            return true;
    }
    return false;
}

static bool is_as_jumped(const struct oracle *o, const struct unwind_stack *stack) {
    if (stack->count != o->jump_count)
        return false;
    for (size_t i = 0; i < stack->count; i++) {
        if (stack->frames[i].pc != o->jump[i])
            return false;
    }
    return true;
}

static void keep_jump(struct oracle *o, const struct unwind_stack *stack) {
    o->jumps++;
    o->jump_count = 0;
    for (size_t i = 1; i < stack->count && i < FRAMES_MAX; i++)
        o->jump[o->jump_count++] = stack->frames[i].pc;
}

static void compare(struct oracle *o, pid_t pid) {
    uint64_t pcs[FRAMES_MAX];
    struct unwind_stack stack;
    struct unwind_sample sample = stopped_sample(pid, stack_bytes, sizeof stack_bytes);
    size_t count = ask_libunwind(o, pcs);
    o->steps++;
    if (unwinder_walk(o->unwinder, &sample, &o->live.space, &o->history, &stack) < 0 || stack.end != STACK_COMPLETE) {
        o->incomplete++;
        show(o, "incomplete", &stack, pcs, count);
    }
    o->frames += stack.count;
    if (is_jump(o, &stack)) {
        keep_jump(o, &stack);
        return;
    }
    if (o->jump_count && !is_as_jumped(o, &stack)) {
        o->wrong++;
        show(o, "jumped elsewhere", &stack, o->jump, o->jump_count);
    }
    o->jump_count = 0;
    o->shorter_witness += count < stack.count;
    for (size_t i = 0; i < stack.count && i < count; i++) {
        if (stack.frames[i].pc != pcs[i]) {
            o->wrong++;
            show(o, "differs", &stack, pcs, count);
            return;
        }
    }
    if (count > stack.count) {
        o->wrong++;
        show(o, "shorter", &stack, pcs, count);
    }
}

static int run(struct oracle *o) {
    pid_t pid = fork();
    int status, pending = 0;
    if (pid == 0)
        child_main();
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
        return -ECHILD;
    int r = live_init(&o->live, pid);
    if (r == 0)
        r = unwinder_new(&o->unwinder);
    o->space = unw_create_addr_space(&_UPT_accessors, 0);
    o->context = _UPT_create(pid);
    unw_set_caching_policy(o->space, UNW_CACHE_GLOBAL);
    while (r == 0 && o->steps < STEPS_MAX) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(uintptr_t)pending) < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
            break;
        pending = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        compare(o, pid);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    _UPT_destroy(o->context);
    unw_destroy_addr_space(o->space);
    unwind_history_free(o->history);
    unwinder_free(o->unwinder);
    live_close(&o->live);
    return r;
}

int main(int argc, char **argv) {
    static struct oracle o;
    o.is_verbose = argc > 1 && !strcmp(argv[1], "-v");
    int r = run(&o);
    printf("# %" PRIu64 " steps, %" PRIu64 " frames; libunwind gave up earlier on %" PRIu64 "; %" PRIu64 " inside longjmp\n", o.steps,
           o.frames, o.shorter_witness, o.jumps);
    printf("%sok 1 - the child could be stepped\n", r < 0 || o.steps < 1000 ? "not " : "");
    printf("%sok 2 - every frame before every instruction is libunwind's (%" PRIu64 " are not)\n", o.wrong ? "not " : "", o.wrong);
    printf("%sok 3 - every stack reaches its outermost frame (%" PRIu64 " do not)\n", o.incomplete ? "not " : "", o.incomplete);
    printf("1..3\n");
    return r < 0 || o.steps < 1000 || o.wrong || o.incomplete;
}
