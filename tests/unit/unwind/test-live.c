/* SPDX-License-Identifier: MIT */
/* Stacks of this very program, sampled in signal handlers: held against libunwind, cut short and continued, made stale. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "tests/capture.h"
#include "tests/check.h"
#include "tests/live.h"

enum { PCS_MAX = 4096, SHORT_BYTES = 2048 };

static struct live live;
static struct unwinder *unwinder;
static struct unwind_history *history;
static uint64_t pcs[PCS_MAX];
static size_t pc_count;
static volatile unsigned sink;

static void set_up(void) {
    if (live_init(&live, getpid()) < 0 || unwinder_new(&unwinder) < 0)
        abort();
}

static void tear_down(void) {
    unwinder_free(unwinder);
    live_close(&live);
}

/* ---- against libunwind ----------------------------------------------------------------------------------------------------------- */

/* A sample, and what libunwind makes of the same moment. */
static void handle_with_witness(int signal, siginfo_t *info, void *context) {
    unw_cursor_t cursor;
    unw_word_t pc;
    capture_handle(signal, info, context);
    pc_count = 0;
    if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME) < 0)
        return;
    do {
        if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0 || pc == 0)
            break;
        pcs[pc_count++] = pc;
    } while (pc_count < PCS_MAX && unw_step(&cursor) > 0);
}

static void install_witness(int signal, int flags) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
    action.sa_sigaction = handle_with_witness;
    sigaction(signal, &action, NULL);
}

static void check_against_libunwind(const struct unwind_sample *sample, size_t least) {
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, sample, &live.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK_EQ(stack.count, pc_count);
    CHECK(stack.count >= least);
    for (size_t i = 0; i < stack.count; i++)
        CHECK_EQ(stack.frames[i].pc, pcs[i]);
}

static int compare_and_raise(const void *a, const void *b) {
    if (capture_wanted)
        raise(SIGUSR1);
    return *(const int *)a - *(const int *)b;
}

TEST(a_handler_below_qsort_is_seen_as_libunwind_sees_it) {
    set_up();
    install_witness(SIGUSR1, 0);
    int numbers[] = {3, 1, 2};
    capture_next();
    qsort(numbers, 3, sizeof *numbers, compare_and_raise);
    struct unwind_sample sample = capture_sample();
    check_against_libunwind(&sample, 6);
    tear_down();
}

static char other_stack[64 * 1024];
static bool is_same_across_stacks;
static enum stack_end without_witnesses;

/* Within the handler, while the interrupted stack stands still: only the alternate stack's bytes are in the sample. */
static void raise_inner(int signal) {
    (void)signal;
    raise(SIGUSR1);
    struct unwind_sample sample = capture_sample();
    struct unwind_stack stack;
    sample.stack_length = (uintptr_t)other_stack + sizeof other_stack - sample.stack_base;
    is_same_across_stacks =
        unwinder_walk(unwinder, &sample, &live.space, &history, &stack) == 0 && stack.end == STACK_COMPLETE && stack.count == pc_count;
    for (size_t i = 0; i < stack.count && is_same_across_stacks; i++)
        is_same_across_stacks = stack.frames[i].pc == pcs[i];
    sample.stack_length = 0;
    (void)unwinder_walk(unwinder, &sample, &live.space, NULL, &stack);
    without_witnesses = stack.end;
}

TEST(a_handler_within_a_handler_on_an_alternate_stack_is_seen_through) {
    set_up();
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    action.sa_handler = raise_inner;
    sigaction(SIGUSR2, &action, NULL);
    install_witness(SIGUSR1, 0);
    capture_next();
    raise(SIGUSR1);
    struct unwind_sample before = capture_sample();
    struct unwind_stack known;
    CHECK_EQ(unwinder_walk(unwinder, &before, &live.space, &history, &known), 0);
    CHECK_EQ(known.end, STACK_COMPLETE);
    capture_next();
    raise(SIGUSR2);
    CHECK(is_same_across_stacks);
    CHECK(pc_count >= 10);
    CHECK_EQ(without_witnesses, STACK_TRUNCATED);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    unwind_history_free(history);
    tear_down();
}

/* ---- continuing ------------------------------------------------------------------------------------------------------------------ */

/*
 * A walk down a random path: each step is one of two functions, each called from one place in each. What the walk is about lives on in
 * callee-saved registers across the calls, as it would in any program.
 */
static void (*at_bottom)(void);
static uint64_t left(uint64_t path, int depth);
static uint64_t right(uint64_t path, int depth);

/* Its address is given away, so no compiler makes it smaller: frames are as large as they are said to be. */
#define KEEP_WHOLE(array) __asm__ volatile("" ::"r"(array) : "memory")

#define DEFINE_STEP(name, number)                                              \
    __attribute__((noinline)) static uint64_t name(uint64_t path, int depth) { \
        volatile char room[40];                                                \
        KEEP_WHOLE(room);                                                      \
        room[0] = (char)(path + number);                                       \
        uint64_t below = 0;                                                    \
        if (depth == 0)                                                        \
            at_bottom();                                                       \
        else if (path & 1)                                                     \
            below = left(path >> 1 | path << 63, depth - 1) + 1;               \
        else                                                                   \
            below = right(path >> 1 | path << 63, depth - 1) + 2;              \
        sink++;                                                                \
        return below ^ path ^ (uint64_t)room[0];                               \
    }

DEFINE_STEP(left, 3)
DEFINE_STEP(right, 5)

static struct unwind_stack short_stack;

static void take_sample(void) {
    capture_next();
    raise(SIGUSR1);
}

static void walk_short(void) {
    struct unwind_sample sample = capture_sample();
    sample.stack_length = SHORT_BYTES;
    if (unwinder_walk(unwinder, &sample, &live.space, &history, &short_stack) < 0)
        abort();
}

static void take_sample_and_walk(void) {
    take_sample();
    walk_short();
}

/* The whole stack of the sample last taken, without live memory. */
static void walk_whole(void) {
    struct unwind_space space = live.space;
    struct unwind_sample sample = capture_sample();
    struct unwind_stack stack;
    space.read = NULL;
    pc_count = 0;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK(stack.count < PCS_MAX);
    for (size_t i = 0; i < stack.count; i++)
        pcs[pc_count++] = stack.frames[i].pc;
}

static void set_up_short(void) {
    set_up();
    capture_install(SIGUSR1, 0);
    history = NULL;
}

static void tear_down_short(void) {
    unwind_history_free(history);
    tear_down();
}

TEST(a_truncated_stack_is_continued_from_live_memory_while_it_lives) {
    set_up_short();
    at_bottom = take_sample_and_walk;
    sink += (unsigned)left(0x5a5a123456789abc, 300);
    CHECK_EQ(short_stack.end, STACK_COMPLETE);
    CHECK(short_stack.classes & 1u << FRAME_CONTINUED);
    size_t count = short_stack.count;
    static uint64_t found[PCS_MAX];
    for (size_t i = 0; i < count; i++)
        found[i] = short_stack.frames[i].pc;
    walk_whole();
    CHECK_EQ(count, pc_count);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(found[i], pcs[i]);
    CHECK_EQ(unwinder_counts(unwinder)->continued_stacks, 1);
    tear_down_short();
}

static uint64_t first_reads, second_reads;

static void take_two_samples(void) {
    take_sample_and_walk();
    first_reads = live.reads;
    take_sample_and_walk();
    second_reads = live.reads - first_reads;
}

TEST(history_spares_reading_what_is_known_to_stand) {
    set_up_short();
    at_bottom = take_two_samples;
    sink += (unsigned)left(0x123456789abcdef0, 3000);
    CHECK_EQ(short_stack.end, STACK_COMPLETE);
    CHECK_EQ(short_stack.count, UNWIND_HEAD_FRAMES + 1 + UNWIND_TAIL_FRAMES);
    CHECK(first_reads > 0);
    CHECK(second_reads <
          first_reads); /* how many there are depends on the size of frames, which sanitizers enlarge, and on where pages end */
    size_t elided = short_stack.frames[UNWIND_HEAD_FRAMES].address;
    static uint64_t head[UNWIND_HEAD_FRAMES], tail[UNWIND_TAIL_FRAMES];
    for (size_t i = 0; i < UNWIND_HEAD_FRAMES; i++)
        head[i] = short_stack.frames[i].pc;
    for (size_t i = 0; i < UNWIND_TAIL_FRAMES; i++)
        tail[i] = short_stack.frames[UNWIND_HEAD_FRAMES + 1 + i].pc;
    struct unwind_sample sample = capture_sample();
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &live.space, NULL, &stack), 0);
    CHECK_EQ(stack.count, short_stack.count);
    CHECK_EQ(stack.frames[UNWIND_HEAD_FRAMES].address, elided);
    for (size_t i = 0; i < UNWIND_HEAD_FRAMES; i++)
        CHECK_EQ(stack.frames[i].pc, head[i]);
    for (size_t i = 0; i < UNWIND_TAIL_FRAMES; i++)
        CHECK_EQ(stack.frames[UNWIND_HEAD_FRAMES + 1 + i].pc, tail[i]);
    tear_down_short();
}

/*
 * The thread runs on, leaves its calls and makes others: what is continued all the same must be what was. The second path differs from the
 * first in one bit, which may lie among the sampled frames or far outside them; or it is the same; or it starts one deeper.
 */
TEST(a_stale_stack_is_never_continued_into_another) {
    set_up_short();
    uint64_t state = 7;
    size_t continued = 0, cut = 0;
    for (int round = 0; round < 1000; round++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t paths[2] = {state >> 3, state >> 3};
        int depths[2] = {60, 60 - (round % 5 == 0)};
        if (round % 3)
            paths[1] ^= (uint64_t)1 << (state >> 58);
        at_bottom = take_sample;
        for (volatile int i = 0; i < 2; i++) { /* volatile: one call, not two in a row */
            sink += (unsigned)left(paths[i], depths[i]);
            at_bottom = walk_short;
        }
        bool is_complete = short_stack.end == STACK_COMPLETE;
        size_t count = short_stack.count;
        static uint64_t found[PCS_MAX];
        for (size_t i = 0; i < count; i++)
            found[i] = short_stack.frames[i].pc;
        walk_whole();
        CHECK(count <= pc_count);
        CHECK(!is_complete || count == pc_count);
        continued += is_complete;
        cut += !is_complete;
        for (size_t i = 0; i < count; i++)
            CHECK_EQ(found[i], pcs[i]);
    }
    CHECK(continued > 0);
    CHECK(cut > 0);
    tear_down_short();
}

/* Frames that say nothing of who called them, below two callers in turn. */
enum { CALLER_SIZE = 512 };

__attribute__((noinline, aligned(CALLER_SIZE))) static unsigned plain(int depth) {
    volatile char room[200];
    KEEP_WHOLE(room);
    room[0] = 1;
    if (depth == 0)
        at_bottom();
    else
        sink += plain(depth - 1);
    return sink + (unsigned)room[0];
}

__attribute__((noinline, aligned(CALLER_SIZE))) static unsigned odd_caller(void) {
    return plain(60) + 1;
}

__attribute__((noinline, aligned(CALLER_SIZE))) static unsigned even_caller(void) {
    return plain(60) + 2;
}

TEST(frames_that_do_not_tell_their_caller_are_soon_doubted) {
    set_up_short();
    size_t wrong = 0;
    for (int round = 0; round < 400; round++) {
        /* Sampled below one, walked below the other or the same: what lies beyond the sample is no evidence. */
        bool samples_odd = (unsigned)round * 2654435761u >> 31, walks_odd = (unsigned)round * 2246822519u >> 30 & 1;
        at_bottom = take_sample;
        sink += samples_odd ? odd_caller() : even_caller();
        at_bottom = walk_short;
        sink += walks_odd ? odd_caller() : even_caller();
        if (short_stack.end != STACK_COMPLETE)
            continue;
        for (size_t i = 0; i < short_stack.count; i++) {
            uint64_t pc = short_stack.frames[i].pc;
            uint64_t other = samples_odd ? (uintptr_t)even_caller : (uintptr_t)odd_caller;
            wrong += pc > other && pc < other + CALLER_SIZE;
        }
    }
    CHECK(wrong < 20);
    CHECK(unwinder_counts(unwinder)->stacks_by_end[STACK_TRUNCATED] > 300);
    tear_down_short();
}

TEST_MAIN()
