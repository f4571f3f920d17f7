/* SPDX-License-Identifier: MIT */
/*
 * Steps out of code that no CFI covers, strongest evidence first:
 *
 *   derived         machine code at the pc says it all: a linker's stub, a signal trampoline, the process's entry point, a prologue, an
 * epilogue inferred        a word lies directly behind a direct call whose target is this code frame pointer   rbp points at a saved rbp
 * and a return address behind an indirect call guessed         the innermost frame's [rsp] lies behind an indirect call: a leaf that has
 * pushed nothing, most likely
 *
 * Beyond the sample's bytes only the first two are taken: two kinds of doubt in one frame are too many.
 */
#include "unwind/walk.h"

enum {
    SCAN_WORDS = 64,          /* how far above sp a proved return address is looked for */
    FUNCTION_MAX = 16 * 1024, /* how far into its function a scan believes the pc to be */
    ENTRY_MAX = 128,          /* start code is this short */
    FRAME_MAX = 1024 * 1024,
    FRAME_SET_UP_MAX = 64,  /* bytes from a function's start to its mov %rsp,%rbp */
    SEGMENTS_REGISTER = 18, /* REG_CSGSFS */
    USER_CODE_SEGMENT = 0x33,
};

struct gap {
    struct walk *walk;
    struct code code;
    uint64_t pc, sp, rbp;
    uint64_t start, end; /* run-time extent of the code around the pc that has no CFI */
};

static void find_extent(struct gap *g) {
    const struct unwind_place *place = &g->code.place;
    g->start = place->start;
    g->end = place->end;
    if (place->state != UNWIND_PLACE_READY)
        return;
    uint64_t start, end;
    module_find_extent(place->module, g->pc - g->walk->is_return - place->bias, &start, &end);
    g->start = MAX(g->start, start + place->bias);
    g->end = end == UINT64_MAX ? g->end : MIN(g->end, end + place->bias);
}

static int read_word(struct gap *g, uint64_t address, uint64_t *ret) {
    return memory_read(&g->walk->memory, address, ret);
}

/* Leaves with the return address in `slot`, all else unchanged. */
static void leave(struct gap *g, uint64_t slot, uint64_t pc, struct step *ret) {
    *ret = (struct step){.cfa = slot + 8, .return_slot = slot};
    ret->registers = g->walk->registers;
    ret->registers.valid &= CALLEE_SAVED;
    registers_set(&ret->registers, UNWIND_RSP, slot + 8);
    registers_set(&ret->registers, UNWIND_PC, pc);
}

/* What lies before `candidate`; *ret_target where a direct call leads. A call that leads nobody knows where is an indirect one. */
static enum code_call call_before(struct gap *g, uint64_t candidate, uint64_t *ret_target) {
    struct code code = {.space = g->walk->space};
    if (candidate >> 56)
        return CODE_NO_CALL;
    walk_find_place(g->walk, candidate, true, &code.place);
    if (code.place.state == UNWIND_PLACE_NONE)
        return CODE_NO_CALL;
    enum code_call call = code_call_before(&code, candidate, ret_target);
    if (call == CODE_DIRECT_CALL && (*ret_target < g->start || *ret_target >= g->end)) {
        walk_find_place(g->walk, *ret_target, false, &code.place);
        uint64_t slot, through = code_follow_stub(&code, *ret_target);
        if (through == *ret_target && code_stub_slot(&code, through, &slot))
            return CODE_INDIRECT_CALL; /* through a slot that cannot be read: an import's */
        *ret_target = through;
    }
    return call == CODE_SLOT_CALL ? CODE_INDIRECT_CALL : call;
}

static bool leads_here(const struct gap *g, uint64_t target) {
    return target >= g->start && target <= g->pc;
}

/* ---- derived --------------------------------------------------------------------------------------------------------------------- */

/* rsp is at the signal frame's ucontext: uc_mcontext.gregs begins 40 bytes in (asm/sigcontext.h), in the kernel's order, and holds the code
 * segment of 64-bit programs. While sigreturn is at work rsp may be the interrupted code's already: then it does not. */
static int leave_signal_frame(struct gap *g, struct step *ret) {
    static const uint8_t order[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
    uint64_t segments;
    int r = read_word(g, g->sp + 40 + SEGMENTS_REGISTER * 8, &segments);
    if (r < 0 || (segments & 0xffff) != USER_CODE_SEGMENT)
        return r < 0 ? r : -ENODATA;
    *ret = (struct step){.is_signal_frame = true};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        uint64_t value, slot = g->sp + 40 + i * 8;
        r = read_word(g, slot, &value);
        if (r < 0)
            return r;
        registers_set(&ret->registers, order[i], value);
        ret->return_slot = slot;
    }
    ret->cfa = ret->registers.value[UNWIND_RSP];
    return 0;
}

static int leave_stub(struct gap *g, unsigned words, struct step *ret) {
    uint64_t slot = g->sp + words * 8, pc;
    int r = read_word(g, slot, &pc);
    if (r == 0)
        leave(g, slot, pc, ret);
    return r;
}

static bool is_start_code(const struct unwind_place *place, uint64_t pc) {
    if (place->state != UNWIND_PLACE_READY || !place->module->entry)
        return false;
    uint64_t entry = place->module->entry + place->bias;
    return pc >= entry && pc - entry < ENTRY_MAX;
}

/* Nothing calls the first instructions of a process, and nothing the code that leaves it at once. */
static bool is_outermost(const struct gap *g) {
    const struct unwind_place *place = &g->code.place;
    if (is_start_code(place, g->pc) && place->module->entry + place->bias >= g->start)
        return true;
    return g->walk->is_return && registers_have(&g->walk->registers, UNWIND_RBP) && g->rbp == 0 && code_is_exit(&g->code, g->pc);
}

/* ---- inferred -------------------------------------------------------------------------------------------------------------------- */

/* A function that has set up its frame pointer by now has its return address above that; what lies at rsp may be an older call's. */
static bool has_frame(struct gap *g, uint64_t function) {
    return g->pc - function > FRAME_SET_UP_MAX ? code_frame_is_between(&g->code, function, function + FRAME_SET_UP_MAX)
                                               : code_frame_is_between(&g->code, function, g->pc);
}

static bool infer_at(struct gap *g, uint64_t slot, struct step *ret) {
    uint64_t candidate, target;
    if (read_word(g, slot, &candidate) < 0 || call_before(g, candidate, &target) != CODE_DIRECT_CALL || !leads_here(g, target) ||
        has_frame(g, target))
        return false;
    leave(g, slot, candidate, ret);
    return true;
}

static bool infer_by_scan(struct gap *g, struct step *ret) {
    uint64_t candidate, target;
    for (unsigned i = 0; i < SCAN_WORDS; i++) {
        uint64_t slot = (g->sp & ~(uint64_t)7) + i * 8;
        if (!memory_in_sample(&g->walk->memory, slot, 8) || read_word(g, slot, &candidate) < 0)
            return false;
        if (call_before(g, candidate, &target) != CODE_DIRECT_CALL || !leads_here(g, target) || g->pc - target > FUNCTION_MAX)
            continue;
        leave(g, slot, candidate, ret);
        /* What this code saved, and where, is unknown. */
        ret->registers.valid &= 1u << UNWIND_RSP | 1u << UNWIND_PC | (i == 0 ? CALLEE_SAVED : 0);
        return true;
    }
    return false;
}

/*
 * musl has no CFI, and jumps from function to function between _start and main. What _start's call has left on the stack is then the first
 * word that lies behind any call at all: a frame between here and there would have left another.
 */
static bool infer_start(struct gap *g, struct step *ret) {
    uint64_t candidate, target;
    for (unsigned i = 0; i < SCAN_WORDS && g->walk->is_return; i++) {
        uint64_t slot = (g->sp & ~(uint64_t)7) + i * 8;
        if (!memory_in_sample(&g->walk->memory, slot, 8) || read_word(g, slot, &candidate) < 0)
            return false;
        if (call_before(g, candidate, &target) == CODE_NO_CALL)
            continue;
        struct unwind_place place;
        walk_find_place(g->walk, candidate, true, &place);
        if (!is_start_code(&place, candidate))
            return false;
        leave(g, slot, candidate, ret);
        ret->registers.valid &= 1u << UNWIND_RSP | 1u << UNWIND_PC;
        return true;
    }
    return false;
}

/* ---- frame pointer --------------------------------------------------------------------------------------------------------------- */

static bool leave_by_frame_pointer(struct gap *g, bool *ret_is_proved, struct step *ret) {
    uint64_t saved, candidate, target = 0;
    if (!registers_have(&g->walk->registers, UNWIND_RBP) || g->rbp % 8 || g->rbp < g->sp || g->rbp - g->sp > FRAME_MAX)
        return false;
    if (read_word(g, g->rbp, &saved) < 0 || read_word(g, g->rbp + 8, &candidate) < 0)
        return false;
    enum code_call call = call_before(g, candidate, &target);
    /* A caller that uses rbp for something else leaves anything there, but a saved pointer into the stack must lead outwards. */
    if (call == CODE_NO_CALL || (saved <= g->rbp && g->rbp - saved < FRAME_MAX))
        return false;
    *ret_is_proved = call == CODE_DIRECT_CALL && leads_here(g, target);
    leave(g, g->rbp + 8, candidate, ret);
    ret->registers.valid &= 1u << UNWIND_RSP | 1u << UNWIND_PC;
    registers_set(&ret->registers, UNWIND_RBP, saved);
    return true;
}

static bool guess_leaf(struct gap *g, struct step *ret) {
    uint64_t candidate, target;
    if (g->walk->is_return || read_word(g, g->sp, &candidate) < 0 || call_before(g, candidate, &target) != CODE_INDIRECT_CALL)
        return false;
    leave(g, g->sp, candidate, ret);
    return true;
}

/* Between `push %rbp` and `mov %rsp,%rbp`, which compilers schedule apart, or before both. rbp still leads past the caller there. */
static bool leave_unfinished_prologue(struct gap *g, struct step *ret) {
    uint64_t top, candidate, target;
    if (g->walk->is_return || !code_frame_is_ahead(&g->code, g->pc) || read_word(g, g->sp, &top) < 0)
        return false;
    if (top == g->rbp && read_word(g, g->sp + 8, &candidate) == 0 && call_before(g, candidate, &target) != CODE_NO_CALL) {
        leave(g, g->sp + 8, candidate, ret);
        return true;
    }
    if (call_before(g, top, &target) == CODE_NO_CALL)
        return false;
    leave(g, g->sp, top, ret);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------- */

static int leave_by_code(struct gap *g, const struct code_exit *exit, struct step *ret) {
    uint64_t base = exit->from_rbp ? g->rbp : g->sp, pc, rbp = g->rbp;
    if (exit->from_rbp && !registers_have(&g->walk->registers, UNWIND_RBP))
        return -ENODATA;
    int r = read_word(g, base + exit->offset, &pc);
    if (r == 0 && exit->has_rbp)
        r = read_word(g, base + exit->rbp_offset, &rbp);
    if (r < 0)
        return r;
    leave(g, base + exit->offset, pc, ret);
    ret->registers.value[UNWIND_RBP] = rbp;
    if (exit->has_rbp)
        ret->registers.valid |= 1u << UNWIND_RBP;
    return 0;
}

static int step_derived(struct gap *g, struct step *ret) {
    struct code_exit exit;
    unsigned words;
    if (code_is_sigreturn(&g->code, g->pc) || (!g->walk->is_return && code_is_sigreturn_done(&g->code, g->pc)))
        return leave_signal_frame(g, ret);
    if (is_outermost(g))
        return 1;
    if (g->walk->is_return)
        return -ENODATA;
    if (code_is_after_clone(&g->code, g->pc))
        return registers_have(&g->walk->registers, 0) && g->walk->registers.value[0] == 0 ? 1 : leave_stub(g, 0, ret);
    if (code_is_stub(&g->code, g->pc, &words))
        return leave_stub(g, words, ret);
    return code_find_exit(&g->code, g->pc, &exit) ? leave_by_code(g, &exit, ret) : -ENODATA;
}

static int step_evident(struct gap *g, struct step *ret, enum frame_class *ret_class) {
    bool is_proved;
    *ret_class = FRAME_INFERRED;
    if (leave_unfinished_prologue(g, ret) || (!g->walk->is_return && infer_at(g, g->sp, ret)))
        return 0;
    if (!g->walk->is_continued && guess_leaf(g, ret)) {
        *ret_class = FRAME_GUESSED;
        return 0;
    }
    if (leave_by_frame_pointer(g, &is_proved, ret)) {
        *ret_class = is_proved ? FRAME_INFERRED : FRAME_FRAME_POINTER;
        return is_proved || !(g->walk->is_continued || g->walk->memory.used_live) ? 0 : -ENODATA;
    }
    return infer_by_scan(g, ret) || infer_start(g, ret) ? 0 : -ENODATA;
}

int gap_step(struct walk *w, struct step *ret, enum frame_class *ret_class) {
    struct gap g = {.walk = w,
                    .code = {.space = w->space},
                    .pc = w->registers.value[UNWIND_PC],
                    .sp = w->registers.value[UNWIND_RSP],
                    .rbp = w->registers.value[UNWIND_RBP]};
    walk_find_place(w, g.pc, w->is_return, &g.code.place);
    find_extent(&g);
    *ret_class = FRAME_DERIVED;
    int r = step_derived(&g, ret);
    return r == -ENODATA ? step_evident(&g, ret, ret_class) : r;
}
