/* SPDX-License-Identifier: MIT */
#include "base/frame.h"

#include "base/macros.h"

const char *frame_class_name(unsigned class) {
    static const char *const names[FRAME_CLASS_COUNT] = {
        [FRAME_SAMPLED] = "sampled", [FRAME_TABLE] = "table",         [FRAME_LIBUNWIND] = "libunwind",
        [FRAME_DERIVED] = "derived", [FRAME_INFERRED] = "inferred",   [FRAME_FRAME_POINTER] = "frame pointer",
        [FRAME_GUESSED] = "guessed", [FRAME_CONTINUED] = "continued",
    };
    return class < ARRAY_SIZE(names) ? names[class] : "of an unknown class";
}

const char *stack_end_name(unsigned end) {
    static const char *const names[STACK_END_COUNT] = {
        [STACK_COMPLETE] = "complete",
        [STACK_TRUNCATED] = "truncated",
        [STACK_NO_RULE] = "no unwind rule",
        [STACK_BAD_MEMORY] = "unreadable memory",
        [STACK_NO_MAPPING] = "outside every mapping",
        [STACK_NO_PROGRESS] = "no progress",
        [STACK_DEPTH_LIMIT] = "depth limit",
        [STACK_PC_ONLY] = "pc only",
        [STACK_KERNEL_ONLY] = "kernel only",
        [STACK_NOT_LOADED] = "tables not loaded in time",
        [STACK_DROPPED_INPUT] = "no stack from the source",
    };
    return end < ARRAY_SIZE(names) ? names[end] : "ended for an unknown reason";
}
