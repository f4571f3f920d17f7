/* SPDX-License-Identifier: MIT */
#include "tests/unit/pipeline/fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/elf.h"
#include "symbol/symbol.h"
#include "unwind/unwind.h"

/* ---- elf ------------------------------------------------------------------------------------------------------------------------- */

struct elf_image {
    struct elf_info info;
};

int elf_image_open(int fd, struct elf_image **ret) {
    char start[7] = "";
    if (pread(fd, start, sizeof start, 0) < 0)
        return -errno;
    if (!memcmp(start, "not ELF", 7))
        return -ENOEXEC;
    struct elf_image *image = calloc(1, sizeof *image);
    if (!image)
        return -ENOMEM;
    image->info.is_64 = true;
    image->info.machine = 62;
    *ret = image;
    return 0;
}

int elf_image_open_memory(const void *bytes, size_t length, struct elf_image **ret) {
    (void)bytes, (void)length, (void)ret;
    return -ENOEXEC;
}

void elf_image_close(struct elf_image *image) {
    free(image);
}

void elf_image_unload(struct elf_image *image) {
    (void)image;
}

const struct elf_info *elf_image_info(const struct elf_image *image) {
    return &image->info;
}

int elf_image_section(struct elf_image *image, const char *name, struct elf_section *ret) {
    (void)image, (void)name, (void)ret;
    return -ENOENT;
}

const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t svma, size_t length) {
    (void)image, (void)svma, (void)length;
    return NULL;
}

bool elf_image_bias(const struct elf_image *image, uint64_t start, uint64_t length, uint64_t offset, uint64_t *ret_bias) {
    (void)image, (void)length;
    *ret_bias = start - offset;
    return true;
}

bool elf_build_id_equal(const struct elf_build_id *a, const struct elf_build_id *b) {
    return a->length == b->length && !memcmp(a->bytes, b->bytes, a->length);
}

int elf_debug_open(struct elf_image *image, const char *path, const char *root, struct elf_image **ret, char **ret_path) {
    (void)image, (void)path, (void)root, (void)ret, (void)ret_path;
    return -ENOENT;
}

/* ---- unwind: build --------------------------------------------------------------------------------------------------------------- */

struct unwind_module {
    struct unwind_module_info info;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool holds_builds, holds_names;
static size_t builds, memo_hits;

static void set_hold(bool *what, bool hold) {
    pthread_mutex_lock(&lock);
    *what = hold;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void fake_hold_builds(bool hold) {
    set_hold(&holds_builds, hold);
}

void fake_hold_names(bool hold) {
    set_hold(&holds_names, hold);
}

size_t fake_builds(void) {
    pthread_mutex_lock(&lock);
    size_t count = builds;
    pthread_mutex_unlock(&lock);
    return count;
}

size_t fake_memo_hits(void) {
    return memo_hits;
}

int unwind_module_build(struct elf_image *image, struct elf_image *debug, struct unwind_module **ret) {
    (void)image, (void)debug;
    pthread_mutex_lock(&lock);
    while (holds_builds)
        pthread_cond_wait(&changed, &lock);
    builds++;
    pthread_mutex_unlock(&lock);
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void unwind_module_free(struct unwind_module *module) {
    free(module);
}

const struct unwind_module_info *unwind_module_info(const struct unwind_module *module) {
    return &module->info;
}

/* ---- unwind: step ---------------------------------------------------------------------------------------------------------------- */

enum { CACHE = 256, FRAMES = 512 };

struct unwinder {
    struct {
        uint64_t generation, pc;
        uint8_t class, flags;
        uint32_t memo;
    } cache[CACHE];
    struct unwind_frame frames[FRAMES];
    struct unwind_counts counts;
};

int unwinder_new(struct unwinder **ret) {
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void unwinder_free(struct unwinder *u) {
    free(u);
}

void unwind_history_free(struct unwind_history *history) {
    free(history);
}

const struct unwind_counts *unwinder_counts(const struct unwinder *u) {
    return &u->counts;
}

/* Where the memo of a frame is, or NULL: the place holds another's. */
static uint32_t *memo_slot(struct unwinder *u, uint64_t generation, const struct unwind_frame *frame) {
    __typeof__(&u->cache[0]) slot = &u->cache[frame->pc % CACHE];
    bool is_own = slot->generation == generation && slot->pc == frame->pc && slot->class == frame->class && slot->flags == frame->flags;
    return is_own ? &slot->memo : NULL;
}

/* A cache of one place a pc. */
static uint32_t *memo_of(struct unwinder *u, uint64_t generation, const struct unwind_frame *frame) {
    __typeof__(&u->cache[0]) slot = &u->cache[frame->pc % CACHE];
    if (!memo_slot(u, generation, frame)) {
        slot->generation = generation;
        slot->pc = frame->pc;
        slot->class = frame->class;
        slot->flags = frame->flags;
        slot->memo = 0;
    }
    return &slot->memo;
}

int unwinder_walk(struct unwinder *u, const struct unwind_sample *sample, const struct unwind_space *space, struct unwind_history **history,
                  struct unwind_stack *ret) {
    (void)history;
    size_t words = sample->stack_length / 8;
    *ret = (struct unwind_stack){.frames = u->frames, .end = STACK_TRUNCATED};
    for (size_t i = 0; i <= words && i < FRAMES; i++) {
        uint64_t pc = sample->registers.value[UNWIND_PC];
        if (i)
            memcpy(&pc, sample->stack + (i - 1) * 8, 8);
        if (!pc) {
            ret->end = STACK_COMPLETE;
            break;
        }
        struct unwind_place place;
        space->find(space->context, i ? pc - 1 : pc, &place);
        if (place.state == UNWIND_PLACE_LOADING) {
            ret->loading_module = place.module_id;
            return -EAGAIN;
        }
        struct unwind_frame *frame = &u->frames[ret->count++];
        bool is_native = place.state == UNWIND_PLACE_READY || place.state == UNWIND_PLACE_UNLOADABLE;
        *frame = (struct unwind_frame){.pc = pc,
                                       .address = is_native ? pc - place.bias : pc,
                                       .module_id = place.module_id,
                                       .kind = is_native                               ? FRAME_NATIVE
                                               : place.state == UNWIND_PLACE_ANONYMOUS ? FRAME_JIT
                                                                                       : FRAME_UNKNOWN,
                                       .class = i ? FRAME_TABLE : FRAME_SAMPLED,
                                       .flags = i ? FRAME_FLAG_RETURN : 0};
        if (place.state == UNWIND_PLACE_UNLOADABLE || place.state == UNWIND_PLACE_NONE) {
            ret->end = STACK_NO_RULE;
            break;
        }
    }
    for (size_t i = 0; i < ret->count; i++) {
        struct unwind_frame *frame = &u->frames[i];
        frame->memo = memo_of(u, space->generation, frame);
        ret->classes |= (uint32_t)1 << frame->class;
        u->counts.frames_by_class[frame->class]++;
    }
    for (size_t i = 0; i < ret->count; i++) { /* one that another frame of the stack has pushed out is not cached */
        struct unwind_frame *frame = &u->frames[i];
        if (frame->memo != memo_slot(u, space->generation, frame))
            frame->memo = NULL;
        memo_hits += frame->memo && *frame->memo;
    }
    u->counts.stacks++;
    u->counts.frames += ret->count;
    return 0;
}

uint64_t unwinder_slot(const struct unwinder *u, size_t frame) {
    return frame && u ? 0x7ffe0000 + (frame - 1) * 8 : 0; /* where sample_event's stack has it */
}

void unwind_module_extent(const struct unwind_module *module, uint64_t svma, uint64_t *ret_start, uint64_t *ret_end) {
    (void)module;
    *ret_start = svma & ~UINT64_C(0xff); /* a function every 256 bytes */
    *ret_end = *ret_start + 0x100;
}

/* ---- symbol ---------------------------------------------------------------------------------------------------------------------- */

struct symbol_module {
    char name[32];
};

int symbol_module_open(struct elf_image *image, const char *path, const struct symbol_options *options, struct symbol_module **ret) {
    (void)image, (void)path, (void)options;
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void symbol_module_close(struct symbol_module *module) {
    free(module);
}

int symbol_module_find(struct symbol_module *module, uint64_t svma, struct symbol_frame *chain, size_t capacity) {
    (void)capacity;
    pthread_mutex_lock(&lock);
    while (holds_names && svma == FAKE_HELD_NAME)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    snprintf(module->name, sizeof module->name, "f_%llx", (unsigned long long)svma);
    chain[0] = (struct symbol_frame){.function = module->name};
    return 1;
}

size_t symbol_module_mangled(const struct symbol_module *module) {
    (void)module;
    return 0;
}

int symbol_table_open_kallsyms(const char *path, const uint64_t *wanted, size_t count, struct symbol_table **ret) {
    (void)path, (void)wanted, (void)count, (void)ret;
    return -EACCES;
}

int symbol_table_open_perf_map(int fd, struct symbol_table **ret, size_t *ret_skipped) {
    (void)fd, (void)ret, (void)ret_skipped;
    return -ENOENT;
}

int symbol_table_add_jitdump(int fd, uint32_t pid, struct symbol_table **table, size_t *skipped) {
    (void)fd, (void)pid, (void)table, (void)skipped;
    return -EBADMSG;
}

void symbol_table_free(struct symbol_table *table) {
    if (!table)
        abort(); /* as the real one, which takes a table */
}

bool symbol_table_find(const struct symbol_table *table, uint64_t address, const char **ret_name, const char **ret_module,
                       uint64_t *ret_start) {
    (void)table, (void)address, (void)ret_name, (void)ret_module, (void)ret_start;
    return false;
}
