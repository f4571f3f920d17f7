/* SPDX-License-Identifier: MIT */
/*
 * The words for a stack that the unwinder, the recording and the report share. The values are those of the file (docs/FORMAT.md): never
 * renumber, only append.
 *
 * Glossary
 *   frame        one entry of a stack: a place in code, and how we came to believe in it
 *   kind         what the place is (native code, kernel code, ...)
 *   class        how the frame was found: proof or guess
 *   stack end    why the stack ends where it ends. A stack is complete only if an end-of-stack rule ended it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum frame_kind {
    FRAME_NATIVE = 0,  /* module + offset (an address as the module's own headers count, "svma") */
    FRAME_KERNEL = 1,  /* kernel text or kernel module: module + absolute address */
    FRAME_JIT = 2,     /* in a mapping without file: module = the process's JIT map, absolute address */
    FRAME_UNKNOWN = 3, /* in no mapping we know: module 0, absolute address */
    FRAME_ELIDED = 4,  /* not a place: `address` frames were cut out here */
    FRAME_SCOPE = 5,   /* not a place: an annotated scope that was open here; address = its site's id in the recording */
    FRAME_KIND_COUNT
};

enum frame_class {
    FRAME_SAMPLED = 0,       /* the sampled pc itself, or the kernel's own chain: nothing was inferred */
    FRAME_TABLE = 1,         /* a CFI row said where the return address is */
    FRAME_LIBUNWIND = 2,     /* CFI that no row of ours expresses, evaluated by libunwind */
    FRAME_DERIVED = 3,       /* proved from machine code (PLT stub bytes, signal trampoline bytes) */
    FRAME_INFERRED = 4,      /* no CFI, but the return address lies behind a call instruction that leads here */
    FRAME_FRAME_POINTER = 5, /* no CFI: a saved frame pointer, checked for sanity */
    FRAME_GUESSED = 6,       /* plausible, unproved */
    FRAME_CONTINUED = 7,     /* read from the live stack beyond the sampled bytes, each step checked */
    FRAME_CLASS_COUNT
};

enum {
    /* The address is a return address: look up address - 1. Not set on sampled pcs and on frames a signal interrupted. */
    FRAME_FLAG_RETURN = 1 << 0,
};

enum stack_end {
    STACK_COMPLETE = 0,       /* an end-of-stack rule: return address undefined, or a zero return address where the ABI puts one */
    STACK_TRUNCATED = 1,      /* the sampled bytes ended and what lay beyond could not be proved */
    STACK_NO_RULE = 2,        /* no unwind rule for this pc, and no sane frame pointer */
    STACK_BAD_MEMORY = 3,     /* a rule asked for memory or a register that is not there */
    STACK_NO_MAPPING = 4,     /* the next pc lies in no executable mapping */
    STACK_NO_PROGRESS = 5,    /* the next frame would not be further out than this one */
    STACK_DEPTH_LIMIT = 6,    /* longer than the limit: the outer end was not reached */
    STACK_PC_ONLY = 7,        /* 32-bit code, or no user registers: just the pc */
    STACK_KERNEL_ONLY = 8,    /* a kernel thread, or a recording of the kernel side alone */
    STACK_NOT_LOADED = 9,     /* the module's tables were not ready when the sample had to go (backlog full) */
    STACK_DROPPED_INPUT = 10, /* the source gave no stack (lost, or malformed) */
    STACK_END_COUNT
};

/* Proof, as opposed to a guess: what "complete without any guess" counts. */
static inline bool frame_class_is_proof(enum frame_class class) {
    return class <= FRAME_DERIVED;
}

/* Field terms for people: "table", "frame pointer", ...; "complete", "truncated", ... Never NULL. */
const char *frame_class_name(unsigned class);
const char *stack_end_name(unsigned end);
