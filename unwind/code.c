/* SPDX-License-Identifier: MIT */
#include "unwind/code.h"

#include <string.h>

#include "unwind/module.h"

bool code_read(const struct code *code, uint64_t pc, uint8_t *to, size_t length) {
    const struct unwind_module *module = code->place.state == UNWIND_PLACE_READY ? code->place.module : NULL;
    if (pc < code->place.start || pc > code->place.end || length > code->place.end - pc)
        return false;
    if (module && module->image) {
        const uint8_t *bytes = elf_image_bytes(module->image, pc - code->place.bias, length);
        if (bytes)
            memcpy(to, bytes, length);
        return bytes != NULL;
    }
    enum unwind_source source;
    return code->space->read && code->space->read(code->space->context, pc, to, length, &source) == 0;
}

/* As many as there are, up to `length`; the rest zero. */
static void read_some(const struct code *code, uint64_t pc, uint8_t *to, size_t length) {
    memset(to, 0, length);
    while (length > 0 && !code_read(code, pc, to, length))
        length--;
}

/* ff /2 in its forms, by the length of its addressing: Intel SDM volume 2, CALL and table 2-2. */
static bool is_indirect_call(const uint8_t before[7]) {
    const uint8_t *end = before + 7;
    for (unsigned length = 2; length <= 7; length++) {
        const uint8_t *at = end - length;
        uint8_t mode = at[1] >> 6, field = (at[1] >> 3) & 7, base = at[1] & 7;
        if (at[0] != 0xff || field != 2)
            continue;
        bool has_sib = mode != 3 && base == 4;
        unsigned displacement = mode == 1 ? 1 : mode == 2 ? 4 : 0;
        if (mode == 0 && (base == 5 || (has_sib && (at[2] & 7) == 5)))
            displacement = 4;
        if (2 + has_sib + displacement == length)
            return true;
    }
    return false;
}

enum code_call code_call_before(const struct code *code, uint64_t pc, uint64_t *ret_target) {
    uint8_t before[7] = {0};
    unsigned length = sizeof before;
    while (length >= 2 && !code_read(code, pc - length, before + sizeof before - length, length))
        length--;
    if (length < 2)
        return CODE_NO_CALL;
    if (before[2] == 0xe8) {
        int32_t relative;
        memcpy(&relative, before + 3, sizeof relative);
        *ret_target = pc + (uint64_t)(int64_t)relative;
        return CODE_DIRECT_CALL;
    }
    if (before[1] == 0xff && before[2] == 0x15) {
        int32_t relative;
        memcpy(&relative, before + 3, sizeof relative);
        *ret_target = pc + (uint64_t)(int64_t)relative;
        return CODE_SLOT_CALL;
    }
    return is_indirect_call(before) ? CODE_INDIRECT_CALL : CODE_NO_CALL;
}

static const uint8_t *skip_endbr(const uint8_t *at) {
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    return memcmp(at, endbr64, sizeof endbr64) ? at : at + sizeof endbr64;
}

/* Behind a BND prefix or not. */
static bool is_jump_through_memory(const uint8_t *at) {
    at += *at == 0xf2;
    return at[0] == 0xff && at[1] == 0x25;
}

static bool is_jump_relative(const uint8_t *at) {
    at += *at == 0xf2;
    return at[0] == 0xe9;
}

bool code_stub_slot(const struct code *code, uint64_t pc, uint64_t *ret_slot) {
    uint8_t bytes[CODE_MAX];
    read_some(code, pc, bytes, sizeof bytes);
    const uint8_t *at = skip_endbr(bytes);
    if (!is_jump_through_memory(at))
        return false;
    at += *at == 0xf2;
    int32_t relative;
    memcpy(&relative, at + 2, sizeof relative);
    *ret_slot = pc + (uint64_t)(at - bytes) + 6 + (uint64_t)(int64_t)relative;
    return true;
}

uint64_t code_follow_stub(const struct code *code, uint64_t pc) {
    uint64_t slot, through;
    enum unwind_source source;
    if (code->place.state == UNWIND_PLACE_NONE || !code_stub_slot(code, pc, &slot) || !code->space->read ||
        code->space->read(code->space->context, slot, &through, sizeof through, &source) < 0)
        return pc;
    return through;
}

/*
 * Layouts (binutils bfd/elfxx-x86, lld ELF/Arch/X86_64.cpp), [n] = words pushed before the instruction:
 *   .plt.got, .plt.sec   [0] (endbr64) [0] jmp *slot(%rip)
 *   .plt entry           [0] jmp *slot(%rip)  [0] push $index  [1] jmp PLT0          with IBT: endbr64, push, jmp
 *   PLT0                 [1] push 8(%rip)  [2] jmp *16(%rip)
 */
bool code_is_stub(const struct code *code, uint64_t pc, unsigned *ret_words) {
    uint8_t bytes[CODE_MAX], before[6] = {0};
    read_some(code, pc, bytes, sizeof bytes);
    bool has_before = code_read(code, pc - sizeof before, before, sizeof before);
    const uint8_t *at = skip_endbr(bytes);

    if (is_jump_through_memory(at)) {
        bool is_header = has_before && before[0] == 0xff && before[1] == 0x35;
        *ret_words = is_header ? 2 : 0;
        return true;
    }
    if (at[0] == 0xff && at[1] == 0x35 && is_jump_through_memory(at + 6)) {
        *ret_words = 1;
        return true;
    }
    if (at[0] == 0x68 && is_jump_relative(at + 5)) {
        *ret_words = 0;
        return true;
    }
    if (has_before && before[1] == 0x68 && is_jump_relative(bytes)) {
        *ret_words = 1;
        return true;
    }
    return false;
}

static const uint8_t sigreturn_long[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05},
                     sigreturn_short[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

bool code_is_sigreturn(const struct code *code, uint64_t pc) {
    uint8_t bytes[CODE_MAX];
    read_some(code, pc, bytes, sizeof bytes);
    return !memcmp(bytes, sigreturn_long, sizeof sigreturn_long) || !memcmp(bytes, sigreturn_short, sizeof sigreturn_short);
}

bool code_is_sigreturn_done(const struct code *code, uint64_t pc) {
    uint8_t bytes[sizeof sigreturn_long];
    return (code_read(code, pc - sizeof sigreturn_long, bytes, sizeof sigreturn_long) &&
            !memcmp(bytes, sigreturn_long, sizeof sigreturn_long)) ||
           (code_read(code, pc - sizeof sigreturn_short, bytes, sizeof sigreturn_short) &&
            !memcmp(bytes, sigreturn_short, sizeof sigreturn_short));
}

bool code_is_start_context(const struct code *code, uint64_t pc) {
    static const uint8_t start_context[] = {0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24, 0x48, 0x85, 0xff};
    uint8_t bytes[CODE_MAX];
    read_some(code, pc, bytes, sizeof bytes);
    return !memcmp(bytes, start_context, sizeof start_context);
}

bool code_is_exit(const struct code *code, uint64_t pc) {
    static const uint8_t clone_exit[] = {0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05};
    uint8_t bytes[CODE_MAX];
    read_some(code, pc, bytes, sizeof bytes);
    return bytes[0] == 0xf4 || !memcmp(bytes, clone_exit, sizeof clone_exit);
}

bool code_is_after_syscall(const struct code *code, uint64_t pc) {
    uint8_t before[2];
    return code_read(code, pc - 2, before, sizeof before) && before[0] == 0x0f && before[1] == 0x05;
}

/* syscall; test %rax,%rax; jl error; jz thread_start; ret: sysdeps/unix/sysv/linux/x86_64/clone3.S */
bool code_is_after_clone(const struct code *code, uint64_t pc) {
    enum { TEST = 0, JL = 3, JZ = 5, RET = 7 };
    static const unsigned starts[] = {TEST, JL, JZ, RET};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        uint8_t b[10];
        if (code_read(code, pc - starts[i] - 2, b, sizeof b) && b[0] == 0x0f && b[1] == 0x05 && b[2] == 0x48 && b[3] == 0x85 &&
            b[4] == 0xc0 && b[5] == 0x7c && b[7] == 0x74 && b[9] == 0xc3)
            return true;
    }
    return false;
}

/* ---- ways out -------------------------------------------------------------------------------------------------------------------- */

static bool find_entry_exit(const struct code *code, const uint8_t *bytes, uint64_t pc, struct code_exit *ret) {
    static const uint8_t push[] = {0x55, 0x48, 0x89, 0xe5}, *const move = push + 1;
    const uint8_t *at = skip_endbr(bytes);
    uint8_t before;
    if (!memcmp(at, push, sizeof push)) {
        *ret = (struct code_exit){.offset = 0};
        return true;
    }
    if (!memcmp(at, move, sizeof push - 1) && code_read(code, pc - 1, &before, 1) && before == push[0]) {
        *ret = (struct code_exit){.offset = 8, .has_rbp = true, .rbp_offset = 0};
        return true;
    }
    return false;
}

/* One instruction of an epilogue at `at`: how long it is, 0 if it is none. `exit` moves on. */
static unsigned follow_one(const uint8_t *at, struct code_exit *exit) {
    uint32_t immediate;
    if ((at[0] & 0xf8) == 0x58) {
        if (at[0] == 0x5d) {
            exit->has_rbp = true;
            exit->rbp_offset = exit->offset;
        }
        exit->offset += 8;
        return 1;
    }
    if (at[0] == 0x41 && (at[1] & 0xf8) == 0x58) {
        exit->offset += 8;
        return 2;
    }
    if (at[0] == 0x48 && at[1] == 0x83 && at[2] == 0xc4 && at[3] < 0x80) {
        exit->offset += at[3];
        return 4;
    }
    if (at[0] == 0x48 && at[1] == 0x81 && at[2] == 0xc4) {
        memcpy(&immediate, at + 3, sizeof immediate);
        exit->offset += immediate & 0xffffff;
        return immediate >> 24 ? 0 : 7;
    }
    if (at[0] == 0xc9) {
        *exit = (struct code_exit){.from_rbp = true, .offset = 8, .has_rbp = true};
        return 1;
    }
    return at[0] == 0xc5 && at[1] == 0xf8 && at[2] == 0x77 ? 3 : 0; /* vzeroupper */
}

bool code_find_exit(const struct code *code, uint64_t pc, struct code_exit *ret) {
    uint8_t bytes[CODE_MAX];
    struct code_exit exit = {0};
    read_some(code, pc, bytes, sizeof bytes);
    if (find_entry_exit(code, bytes, pc, ret))
        return true;
    for (unsigned at = 0, length; at + 8 <= sizeof bytes; at += length) {
        bool is_prefixed = bytes[at] == 0xf2 || bytes[at] == 0xf3;
        if (bytes[at + is_prefixed] == 0xc3) {
            *ret = exit;
            return true;
        }
        length = follow_one(bytes + at, &exit);
        if (length == 0)
            return false;
    }
    return false;
}

static const uint8_t move_frame[] = {0x48, 0x89, 0xe5}; /* mov %rsp,%rbp */

bool code_frame_is_between(const struct code *code, uint64_t from, uint64_t to) {
    uint8_t bytes[sizeof move_frame];
    for (uint64_t at = from; at + sizeof bytes <= to; at++) {
        if (code_read(code, at, bytes, sizeof bytes) && !memcmp(bytes, move_frame, sizeof bytes))
            return true;
    }
    return false;
}

bool code_frame_is_ahead(const struct code *code, uint64_t pc) {
    uint8_t bytes[CODE_MAX];
    for (uint64_t from = pc; from < pc + 2 * CODE_MAX; from += CODE_MAX - sizeof move_frame) {
        read_some(code, from, bytes, sizeof bytes);
        for (size_t i = 0; i + sizeof move_frame <= sizeof bytes; i++) {
            if (bytes[i] == 0xc3 || bytes[i] == 0xc9)
                return false;
            if (!memcmp(bytes + i, move_frame, sizeof move_frame))
                return true;
        }
    }
    return false;
}
