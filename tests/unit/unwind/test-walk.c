/* SPDX-License-Identifier: MIT */
/* Walks over fake stacks by fake rules. */
#include <errno.h>

#include "tests/unit/unwind/fake.h"

/* clang-format off */
static const struct fake_fde fdes[] = {
    FAKE_FDE(0x1000, 0x1100, "\x0e\x10"),                         /* CFA rsp+16 */
    FAKE_FDE(0x1100, 0x1200, "\x0e\x20\x86\x03"),                 /* CFA rsp+32, rbp at CFA-24 */
    FAKE_FDE(0x1200, 0x1300, "\x0c\x06\x10\x86\x02"),             /* CFA rbp+16, rbp at CFA-16 */
    FAKE_FDE(0x1300, 0x1400, "\x07\x10"),                         /* outermost */
    FAKE_FDE(0x1400, 0x1500, "\x0e\x18\x83\x02"),                 /* CFA rsp+24, rbx at CFA-16 */
    FAKE_FDE(0x1500, 0x1600, "\x0c\x03\x10"),                     /* CFA rbx+16 */
    FAKE_FDE(0x1600, 0x1700, "\x0f\x04\x77\x10\x31\x1e"),         /* CFA (rsp+16)*1: libunwind */
    {0x1700, 0x1800, "\x0f\x03\x77\x10\x06\x10\x10\x02\x77\x08\x10\x06\x02\x77\x00", 15, true}, /* CFA [rsp+16], rip [rsp+8], rbp [rsp] */
    FAKE_FDE(0x1800, 0x1900, "\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"), /* .plt */
    FAKE_FDE(0x1900, 0x1a00, "\x09\x10\x05\x0e\x00"),             /* __vfork: rip in rdi, CFA rsp+0 */
};
/* clang-format on */

static struct unwind_module *module;
static struct unwinder *unwinder;
static struct fake_space space;

static void set_up(void) {
    module = fake_module(fdes, ARRAY_SIZE(fdes));
    fake_space_init(&space, module);
    if (unwinder_new(&unwinder) < 0)
        abort();
}

static void tear_down(void) {
    unwinder_free(unwinder);
    unwind_module_free(module);
}

static void check_svmas(const struct unwind_stack *stack, const uint64_t *wanted, size_t count) {
    for (size_t i = 0; i < stack->count && i < count; i++)
        CHECK_EQ(stack->frames[i].address, wanted[i]);
    CHECK_EQ(stack->count, count);
}

#define AT(svma)                (FAKE_BIAS + (svma))
#define CHECK_SVMAS(stack, ...) check_svmas(stack, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

TEST(a_stack_is_walked_by_its_rows_to_the_outermost_frame) {
    set_up();
    uint64_t words[64] = {0};
    words[1] = AT(0x1110);                /* 0x1000: CFA = rsp + 16 */
    words[2 + 1] = (uintptr_t)&words[10]; /* 0x1110: rbp saved at CFA - 24 */
    words[2 + 3] = AT(0x1210);
    words[10] = 0x1234; /* 0x1210: CFA = rbp + 16 */
    words[11] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1000), words, ARRAY_SIZE(words));
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1000, 0x1110, 0x1210, 0x1310);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK_EQ(stack.classes, 1u << FRAME_SAMPLED | 1u << FRAME_TABLE);
    CHECK_EQ(stack.frames[0].flags, 0);
    CHECK_EQ(stack.frames[1].flags, FRAME_FLAG_RETURN);
    CHECK_EQ(stack.frames[3].module_id, 7);
    tear_down();
}

TEST(a_return_address_belongs_to_the_call_before_it) {
    set_up();
    uint64_t words[8] = {0};
    words[1] = AT(0x1100); /* a noreturn call ends 0x1000..0x1100: its rule is that of 0x10ff */
    words[3] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1000), words, ARRAY_SIZE(words));
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1000, 0x1100, 0x1310);
    tear_down();
}

TEST(a_rule_on_another_register_walks_again_with_all_of_them) {
    set_up();
    uint64_t words[32] = {0};
    words[1] = (uintptr_t)&words[20]; /* 0x1400 saved rbx */
    words[2] = AT(0x1010);
    words[4] = AT(0x1510); /* CFA = rbx + 16, frames after the one that restored it */
    words[21] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1400), words, ARRAY_SIZE(words));
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1400, 0x1010, 0x1510, 0x1310);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    tear_down();
}

TEST(libunwind_takes_the_row_that_no_rule_expresses) {
    set_up();
    uint64_t words[16] = {0};
    words[1] = AT(0x1610);
    words[3] = AT(0x1110);
    words[4 + 3] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1000), words, ARRAY_SIZE(words));
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1000, 0x1610, 0x1110, 0x1310);
    CHECK_EQ(stack.frames[2].class, FRAME_LIBUNWIND);
    CHECK_EQ(stack.frames[3].class, FRAME_TABLE);
    tear_down();
}

TEST(an_interrupted_frame_is_exact_and_may_lie_on_another_stack) {
    set_up();
    uint64_t words[32] = {0};
    words[20 + 1] = AT(0x1710);           /* handler at 0x1000 on the upper, alternate stack returns to the trampoline */
    words[22 + 0] = 0x77;                 /* rbp */
    words[22 + 1] = AT(0x1100);           /* interrupted on the first instruction of 0x1100..: its own row, not the one before */
    words[22 + 2] = (uintptr_t)&words[2]; /* rsp, below */
    words[2 + 3] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1000), words, ARRAY_SIZE(words));
    sample.registers.value[UNWIND_RSP] = (uintptr_t)&words[20];
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1000, 0x1710, 0x1100, 0x1310);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK_EQ(stack.frames[1].flags, 0);
    CHECK_EQ(stack.frames[2].flags, 0);
    CHECK_EQ(stack.frames[3].flags, FRAME_FLAG_RETURN);
    tear_down();
}

/* struct rt_sigframe as the kernel lays it out: the ucontext begins one word in. */
static void put_signal_frame(uint64_t *frame, uint64_t pc, uint64_t sp, uint64_t rbp) {
    uint64_t *context = frame + 1;
    frame[0] = AT(0x1710);
    context[0] = 7;        /* uc_flags */
    context[5 + 10] = rbp; /* uc_mcontext */
    context[5 + 15] = sp;
    context[5 + 16] = pc;
    context[5 + 17] = 0x246;
    context[5 + 18] = 0x002b000000000033; /* ss, fs, gs, cs */
}

/* What the kernel shows between two of its stores to the user's registers: x64_setup_rt_frame and restore_sigcontext. */
TEST(a_sample_amid_the_delivery_of_a_signal_is_put_right) {
    enum { FRAME = 8, INTERRUPTED = 48 };
    static const uint64_t pcs[] = {0x1000, 0x1100}; /* CFA = rsp + 16, rsp + 32: the second finds a register's value for a return address */
    for (size_t i = 0; i < ARRAY_SIZE(pcs); i++) {
        for (uint64_t sp = FRAME; sp <= FRAME + 1; sp++) { /* delivery, return */
            set_up();
            uint64_t words[96] = {0};
            put_signal_frame(&words[FRAME], AT(pcs[i]), (uintptr_t)&words[INTERRUPTED], 0x77);
            words[FRAME + 1 + 3] = AT(0x1310);
            words[INTERRUPTED + (i ? 3 : 1)] = AT(0x1310);
            struct unwind_sample sample = fake_sample(AT(pcs[i]), words, ARRAY_SIZE(words));
            sample.registers.value[UNWIND_RSP] = sample.stack_base = (uintptr_t)&words[sp];
            sample.stack = (const uint8_t *)&words[sp];
            sample.stack_length = (ARRAY_SIZE(words) - sp) * sizeof *words;
            sample.is_in_kernel = true;
            struct unwind_stack stack;
            CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
            CHECK_SVMAS(&stack, pcs[i], 0x1310);
            CHECK_EQ(stack.end, STACK_COMPLETE);
            CHECK_EQ(unwinder_counts(unwinder)->mid_signal_stacks, 1);
            tear_down();
        }
    }
}

TEST(a_trampoline_without_its_signal_frame_is_a_pc_alone) {
    set_up();
    uint64_t words[64] = {0};
    put_signal_frame(&words[7], AT(0x1100), (uintptr_t)&words[40], 0x77);
    words[9] = AT(0x1100); /* as the rows of the fake trampoline want it */
    words[10] = (uintptr_t)&words[40];
    words[43] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1710), words, ARRAY_SIZE(words));
    sample.is_in_kernel = true;
    struct unwind_stack stack;
    for (unsigned sp = 8; sp <= 40; sp += 32) { /* rt_sigreturn has not begun; it has restored sp, and the pc not yet */
        sample.registers.value[UNWIND_RSP] = sample.stack_base = (uintptr_t)&words[sp];
        sample.stack = (const uint8_t *)&words[sp];
        sample.stack_length = (ARRAY_SIZE(words) - sp) * sizeof *words;
        CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
        if (sp == 8)
            CHECK_SVMAS(&stack, 0x1710, 0x1100, 0x1310);
        else
            CHECK_SVMAS(&stack, 0x1710);
        CHECK_EQ(stack.end, sp == 8 ? STACK_COMPLETE : STACK_PC_ONLY);
    }
    tear_down();
}

TEST(plt_entries_and_return_addresses_in_registers) {
    set_up();
    uint64_t words[16] = {0};
    words[0] = 3; /* the relocation's index, pushed at offset 6..11 */
    words[1] = AT(0x1310);
    struct unwind_stack stack;
    struct unwind_sample pushed = fake_sample(AT(0x181b), words, ARRAY_SIZE(words));
    CHECK_EQ(unwinder_walk(unwinder, &pushed, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x181b, 0x1310);
    struct unwind_sample first = fake_sample(AT(0x1816), &words[1], ARRAY_SIZE(words) - 1);
    CHECK_EQ(unwinder_walk(unwinder, &first, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1816, 0x1310);
    struct unwind_sample vfork = fake_sample(AT(0x1900), words, ARRAY_SIZE(words));
    vfork.registers.value[5] = AT(0x1310);
    CHECK_EQ(unwinder_walk(unwinder, &vfork, &space.space, NULL, &stack), 0);
    CHECK_SVMAS(&stack, 0x1900, 0x1310);
    tear_down();
}

/* The bytes of the fake module; its data cannot be read, as in an import. */
static int read_code(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source) {
    static const uint8_t call_stub[] = {0xe8, 0x00, 0x08, 0x00, 0x00};        /* at 0x200: call 0xa05 */
    static const uint8_t stub[] = {0xff, 0x25, 0x00, 0x30, 0x05, 0x00};       /* at 0xa05: jmp *0x53a0b */
    static const uint8_t call_other[] = {0xe8, 0xf6, 0x00, 0x00, 0x00, 0x90}; /* at 0x205: call 0x300 */
    (void)context;
    memset(to, 0x90, length);
    for (size_t i = 0; i < length; i++) {
        uint64_t at = address + i - FAKE_BIAS;
        if (at >= 0x53000 && at < 0x54000)
            return -EFAULT;
        if (at - 0x200 < sizeof call_stub)
            ((uint8_t *)to)[i] = call_stub[at - 0x200];
        else if (at - 0x205 < sizeof call_other)
            ((uint8_t *)to)[i] = call_other[at - 0x205];
        else if (at - 0xa05 < sizeof stub)
            ((uint8_t *)to)[i] = stub[at - 0xa05];
    }
    *ret_source = UNWIND_FROM_FILE;
    return 0;
}

TEST(a_leaf_called_through_a_slot_that_cannot_be_read_is_a_guess) {
    set_up();
    space.space.read = read_code;
    uint64_t words[16] = {AT(0x205)};
    struct unwind_stack stack;
    struct unwind_sample leaf = fake_sample(AT(0x60000), words, ARRAY_SIZE(words));
    CHECK_EQ(unwinder_walk(unwinder, &leaf, &space.space, NULL, &stack), 0);
    CHECK(stack.count >= 2);
    CHECK_EQ(stack.frames[1].address, 0x205);
    CHECK_EQ(stack.frames[1].class, FRAME_GUESSED);
    words[0] = AT(0x20a); /* a direct call of something else is no way here */
    CHECK_EQ(unwinder_walk(unwinder, &leaf, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.count, 1);
    tear_down();
}

TEST(every_way_to_stop_has_its_name) {
    set_up();
    uint64_t words[16] = {0};
    struct unwind_stack stack;
    words[1] = 0x123;
    struct unwind_sample sample = fake_sample(AT(0x1000), words, ARRAY_SIZE(words));
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_NO_MAPPING);
    CHECK_EQ(stack.count, 1);
    sample.stack_length = 8;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_TRUNCATED);
    words[1] = AT(0x1210); /* rbp is 0 */
    sample.stack_length = sizeof words;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_NO_PROGRESS);
    CHECK_EQ(stack.count, 2);
    words[1] = AT(0x5000);
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_NO_RULE);
    sample.registers.valid &= ~(1u << UNWIND_RSP);
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_PC_ONLY);
    CHECK_EQ(stack.count, 1);
    sample.registers.value[UNWIND_PC] = 0x999;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_NO_MAPPING);
    CHECK_EQ(stack.frames[0].kind, FRAME_UNKNOWN);
    tear_down();
}

TEST(a_module_still_loading_parks_the_sample_and_counts_nothing) {
    set_up();
    uint64_t words[16] = {0};
    struct unwind_stack stack;
    struct unwind_sample sample = fake_sample(AT(0x1300), words, ARRAY_SIZE(words));
    space.state = UNWIND_PLACE_LOADING;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), -EAGAIN);
    CHECK_EQ(stack.loading_module, 7);
    CHECK_EQ(unwinder_counts(unwinder)->stacks, 0);
    space.state = UNWIND_PLACE_READY;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK_EQ(unwinder_counts(unwinder)->stacks, 1);
    tear_down();
}

TEST(a_deep_stack_keeps_its_head_and_its_tail) {
    set_up();
    enum { DEPTH = 10000 };
    uint64_t *words = calloc(2 * DEPTH + 2, 8);
    for (size_t i = 0; i < DEPTH; i++)
        words[2 * i + 1] = AT(0x1000 + i % 0xff + 1);
    words[2 * DEPTH - 1] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1000), words, 2 * DEPTH);
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.end, STACK_COMPLETE);
    CHECK_EQ(stack.count, UNWIND_HEAD_FRAMES + 1 + UNWIND_TAIL_FRAMES);
    CHECK_EQ(stack.frames[UNWIND_HEAD_FRAMES].kind, FRAME_ELIDED);
    CHECK_EQ(stack.frames[UNWIND_HEAD_FRAMES].address, DEPTH + 1 - UNWIND_HEAD_FRAMES - UNWIND_TAIL_FRAMES);
    CHECK_EQ(stack.frames[stack.count - 1].address, 0x1310);
    for (size_t i = 1; i < UNWIND_TAIL_FRAMES; i++)
        CHECK_EQ(stack.frames[stack.count - 1 - i].address, 0x1000 + (DEPTH - 1 - i) % 0xff + 1);
    CHECK_EQ(unwinder_counts(unwinder)->frames, DEPTH + 1);
    free(words);
    tear_down();
}

TEST(a_memo_stays_with_its_frame) {
    set_up();
    uint64_t words[64] = {0};
    words[1] = AT(0x1010);
    words[3] = AT(0x1310);
    struct unwind_sample sample = fake_sample(AT(0x1010), words, ARRAY_SIZE(words));
    struct unwind_stack stack;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    CHECK_EQ(stack.count, 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(stack.frames[i].memo);
        CHECK_EQ(*stack.frames[i].memo, 0);
        *stack.frames[i].memo = (uint32_t)i + 1; /* the sampled pc and the return address 0x1010 are two frames */
    }
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(*stack.frames[i].memo, i + 1);
    space.space.generation += 1000;
    CHECK_EQ(unwinder_walk(unwinder, &sample, &space.space, NULL, &stack), 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(*stack.frames[i].memo, 0);
    tear_down();
}

TEST_MAIN()
