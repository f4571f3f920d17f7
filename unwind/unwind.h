/* SPDX-License-Identifier: MIT */
/*
 * The door of unwind/: registers + memory -> return addresses, without frame pointers.
 *
 * Two halves that meet in one immutable object:
 *   build   (may allocate, slow, any thread)      an ELF image's CFI --compile--> struct unwind_module
 *   step    (no allocation, no lock, no I/O)      struct unwinder walks one stack through the modules of one address space
 *
 * Glossary
 *   CFA     canonical frame address: the value of the stack pointer before the call that made the frame (DWARF 5 section 6.4)
 *   row     "from this pc on, this rule holds"; sorted by pc, found by binary search in a page index
 *   rule    how to find the CFA, the return address and the caller's registers; few hundred distinct ones a module, shared by its rows
 *   place   what a pc belongs to in an address space: a module and its bias
 *
 * Registers are numbered as DWARF numbers them for x86-64 (System V psABI, figure 3.36): 0 rax, 1 rdx, 2 rcx, 3 rbx, 4 rsi, 5 rdi, 6 rbp, 7
 * rsp, 8..15 r8..r15, 16 the return address column, which here is the pc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "elf/elf.h"

enum { UNWIND_RBX = 3, UNWIND_RBP = 6, UNWIND_RSP = 7, UNWIND_PC = 16, UNWIND_REGISTERS = 17 };

struct unwind_registers {
    uint64_t value[UNWIND_REGISTERS];
    uint32_t valid; /* bit n: value[n] is known */
};

/* ---- build ----------------------------------------------------------------------------------------------------------------------- */

struct unwind_module;

struct unwind_module_info {
    uint64_t fdes, rows, rules;
    uint64_t skipped_fdes;   /* broken; their pcs have no rule */
    uint64_t libunwind_rows; /* rows no table rule expresses */
    uint64_t bytes;          /* memory the tables take */
};

/*
 * Compiles the CFI of `image` (and of `debug`, a separate debug file or NULL). A module without any CFI is built too: it has no rows, and
 * its frames are found by frame pointer or inference. Keeps a reference to neither argument but `image`, which must outlive it (code bytes,
 * libunwind).
 */
int unwind_module_build(struct elf_image *image, struct elf_image *debug, struct unwind_module **ret);
void unwind_module_free(struct unwind_module *module);
const struct unwind_module_info *unwind_module_info(const struct unwind_module *module);

/* Where the function (or gap between functions) around `svma` starts and ends, as far as the module's CFI tells; end UINT64_MAX: at the
 * module's end. */
void unwind_module_extent(const struct unwind_module *module, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end);

/* ---- the address space, as its owner shows it ------------------------------------------------------------------------------------ */

enum unwind_place_state {
    UNWIND_PLACE_READY,      /* `module` may be used */
    UNWIND_PLACE_LOADING,    /* an executable file mapping whose tables are not ready: come back later */
    UNWIND_PLACE_UNLOADABLE, /* an executable file mapping whose file could not be opened or is not the one mapped */
    UNWIND_PLACE_ANONYMOUS,  /* executable, without file: JIT code */
    UNWIND_PLACE_NONE,       /* not mapped, or not executable */
};

struct unwind_place {
    enum unwind_place_state state;
    uint64_t start, end; /* the mapping, run-time addresses */
    uint64_t bias;       /* run-time address - svma */
    uint32_t module_id;  /* the owner's name for it; put into each frame */
    const struct unwind_module *module;
};

/* Where bytes came from; weaker sources are greater. */
enum unwind_source { UNWIND_FROM_SAMPLE, UNWIND_FROM_FILE, UNWIND_FROM_LIVE };

struct unwind_space {
    /* Two spaces with the same generation map every pc alike (a fork shares its parent's until either changes); never reused. Keys the pc
     * cache. */
    uint64_t generation;
    void *context;
    void (*find)(void *context, uint64_t pc, struct unwind_place *ret);
    /* Memory beyond the sample: exactly `length` bytes at `address` or -errno. NULL: there is none (an import). Says where the bytes came
     * from. */
    int (*read)(void *context, uint64_t address, void *to, size_t length, enum unwind_source *ret_source);
};

/* ---- step ------------------------------------------------------------------------------------------------------------------------ */

struct unwind_sample {
    struct unwind_registers registers;
    const uint8_t *stack; /* the bytes that were at `stack_base` at the time of the sample */
    uint64_t stack_base;  /* = rsp, usually */
    uint64_t stack_length;
    bool is_in_kernel; /* at the sampled moment, which may have been about to change the registers */
};

struct unwind_frame {
    uint64_t pc;      /* run-time address, as found: the sampled pc, or a return address */
    uint64_t address; /* svma for FRAME_NATIVE; equal to pc otherwise */
    uint32_t module_id;
    uint8_t kind;   /* enum frame_kind */
    uint8_t class;  /* enum frame_class */
    uint8_t flags;  /* FRAME_FLAG_RETURN */
    uint32_t *memo; /* a word of the caller's that lives with this frame in the pc cache, 0 until written; valid until the next unwind.
                       It belongs to (generation, pc, kind, class, flags) exactly as given here. NULL: not cached. */
};

enum { UNWIND_HEAD_FRAMES = 1024, UNWIND_TAIL_FRAMES = 1024 };

struct unwind_stack {
    struct unwind_frame *frames; /* innermost first; owned by the unwinder, valid until its next unwind */
    size_t count;
    enum stack_end end;
    uint32_t classes;        /* bit n: a frame of class n is in it */
    uint32_t loading_module; /* with -EAGAIN: what to wait for */
};

/* Per thread of the target: the last stack that was seen whole, to prove the continuation of a truncated one. A zeroed pointer is an empty
 * history. */
struct unwind_history;
void unwind_history_free(struct unwind_history *history);

/* One per thread of the recorder. Holds the pc cache and the frames of the last stack; ~1 MiB. */
struct unwinder;

struct unwind_counts {
    uint64_t stacks, frames;
    uint64_t frames_by_class[FRAME_CLASS_COUNT];
    uint64_t stacks_by_end[STACK_END_COUNT];
    uint64_t cache_hits, cache_misses;
    uint64_t continued_stacks;  /* whole only thanks to live memory */
    uint64_t mid_signal_stacks; /* amid the delivery of a signal or the return from it (signal-entry.h) */
    uint64_t elided_frames;     /* cut from the middle of deep stacks */
};

int unwinder_new(struct unwinder **ret);
void unwinder_free(struct unwinder *u);
const struct unwind_counts *unwinder_counts(const struct unwinder *u);

/*
 * Walks one stack. Always gives at least the innermost frame if the pc is known.
 * More than UNWIND_HEAD_FRAMES + UNWIND_TAIL_FRAMES frames: the first and the last are kept, with one FRAME_ELIDED (address = how many)
 * between them. `history` may be NULL. Returns 0; or -EAGAIN when a module on the way is still loading (no counter is touched; park the
 * sample and call again).
 */
int unwinder_walk(struct unwinder *u, const struct unwind_sample *sample, const struct unwind_space *space, struct unwind_history **history,
                  struct unwind_stack *ret);

/* Where frame `frame` of the last stack walked had its pc read from: the place of a return address on the stack. 0: not from memory (the
 * innermost frame, a frame that a signal interrupted), or not known. */
uint64_t unwinder_slot(const struct unwinder *u, size_t frame);
