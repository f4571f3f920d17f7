/* SPDX-License-Identifier: MIT */
/*
 * What unwinding costs, in three figures a user of unwind/ pays:
 *
 *   build   rows a second, and bytes a row, of compiling a binary's CFI
 *   cold    ns of each pc that was never seen, tables built: a lookup in a large binary, no cache
 *   hot     ns a frame of stacks seen before, everything included (samples of this program, taken in a signal handler)
 *
 *     bench-unwind [BINARY]      BINARY: a large one, libLLVM or cc1 by default
 *
 * Beside them, on the same samples, framehop (framehop-frames of scripts/install-peers, if it is on the path) and libunwind's fast trace,
 * which knows no stack but its own thread's: it runs in the handler, over the memory that was copied, and must find the same callers.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "base/clock.h"
#include "base/macros.h"
#include "tests/capture.h"
#include "tests/live.h"
#include "tests/oracle/snapshot.h"
#include "unwind/module.h"

enum { REPEATS = 7, COLD_PCS = 10000, HOT_ROUNDS = 20000, FRAMES_MAX = 1024 };

#define COLD_BIAS 0x10000000u /* no mapping of this program's */

static double best(double a, double b) {
    return a == 0 || b < a ? b : a;
}

/* ---- framehop --------------------------------------------------------------------------------------------------------------------- */

struct snapshots {
    char path[64];
    FILE *file;
};

static bool snapshots_begin(struct snapshots *s) {
    snprintf(s->path, sizeof s->path, "/tmp/bench-unwind-%d", getpid());
    s->file = fopen(s->path, "we");
    return s->file && snapshot_put_forget(s->file) == 0;
}

/* framehop-frames on them, its answer to be read; NULL: it could not be started. */
static FILE *snapshots_ask(const struct snapshots *s, pid_t *ret_child) {
    int ends[2];
    char rounds[16];
    snprintf(rounds, sizeof rounds, "%d", 4 * REPEATS);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    *ret_child = fork();
    if (*ret_child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execlp("framehop-frames", "framehop-frames", "--time", rounds, s->path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return fdopen(ends[0], "re");
}

/* Prints what framehop takes for them, if it is there. */
static void snapshots_time(struct snapshots *s, const char *what) {
    uint64_t stacks, frames;
    double each_stack, each_frame;
    pid_t child = -1;
    if (fclose(s->file) || fflush(stdout))
        exit(1);
    FILE *answer = snapshots_ask(s, &child);
    if (answer && fscanf(answer, "%" SCNu64 " %" SCNu64 " %lf %lf", &stacks, &frames, &each_stack, &each_frame) == 4)
        printf("%s, framehop: %.1f frames a stack, %.1f ns a stack, %.1f ns a frame\n", what, (double)frames / (double)stacks, each_stack,
               each_frame);
    else
        printf("%s: no framehop-frames\n", what);
    if (answer)
        fclose(answer);
    if (child > 0)
        waitpid(child, NULL, 0);
    unlink(s->path);
}

/* ---- build ----------------------------------------------------------------------------------------------------------------------- */

static void bench_build(struct elf_image *image, struct unwind_module **ret) {
    double seconds = 0;
    for (int i = 0; i < REPEATS; i++) {
        unwind_module_free(*ret);
        uint64_t start = clock_now();
        if (unwind_module_build(image, NULL, ret) < 0)
            exit(1);
        seconds = best(seconds, (double)(clock_now() - start) / 1e9);
    }
    const struct unwind_module_info *info = unwind_module_info(*ret);
    printf("build: %" PRIu64 " rows of %" PRIu64 " FDEs, %" PRIu64 " rules in %.1f ms: %.1f M rows/s, %.2f bytes a row\n", info->rows,
           info->fdes, info->rules, seconds * 1e3, (double)info->rows / seconds / 1e6, (double)info->bytes / (double)info->rows);
}

/* ---- cold ------------------------------------------------------------------------------------------------------------------------ */

struct cold {
    struct unwind_space space;
    struct unwind_place place;
};

static void cold_find(void *context, uint64_t pc, struct unwind_place *ret) {
    struct cold *cold = context;
    (void)pc;
    *ret = cold->place;
}

static void cold_peer(const struct unwind_place *place, const char *path, struct unwind_sample *sample, const uint64_t *pcs) {
    struct snapshots snapshots;
    if (!snapshots_begin(&snapshots) || snapshot_put_module(snapshots.file, place, path, NULL, 0) < 0)
        exit(1);
    for (size_t i = 0; i < COLD_PCS; i++) {
        sample->registers.value[UNWIND_PC] = pcs[i];
        if (snapshot_put_sample(snapshots.file, 1, i, sample) < 0)
            exit(1);
    }
    snapshots_time(&snapshots, "cold");
}

/* pcs with a rule of the usual kind, spread over the whole binary; each sample is that frame and the end of its two words of stack. */
static void bench_cold(struct unwind_module *module, const char *path, struct unwinder *u) {
    uint64_t last = (uint64_t)module->pages.items[module->pages.count - 1].number << 16;
    struct cold cold = {
        .place = {.state = UNWIND_PLACE_READY, .start = COLD_BIAS, .end = COLD_BIAS + last + 0x10000, .bias = COLD_BIAS, .module = module}};
    cold.space = (struct unwind_space){.generation = 1u << 20, .context = &cold, .find = cold_find};
    static uint64_t pcs[COLD_PCS], words[2];
    struct unwind_sample sample = {.stack = (const uint8_t *)words, .stack_base = (uintptr_t)words, .stack_length = 8};
    sample.registers.valid = (1u << UNWIND_REGISTERS) - 1;
    sample.registers.value[UNWIND_RSP] = (uintptr_t)words;
    uint64_t state = 1;
    for (size_t i = 0; i < COLD_PCS;) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t svma = (state >> 11) % last;
        pcs[i] = COLD_BIAS + svma;
        i += module_find_rule(module, svma)->hot.form == RULE_RSP;
    }
    double each = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct unwind_stack stack;
        cold.space.generation++;
        uint64_t start = clock_now();
        for (size_t i = 0; i < COLD_PCS; i++) {
            sample.registers.value[UNWIND_PC] = pcs[i];
            unwinder_walk(u, &sample, &cold.space, NULL, &stack);
        }
        each = best(each, (double)(clock_now() - start) / COLD_PCS);
    }
    printf("cold: %d distinct pcs: %.0f ns each\n", COLD_PCS, each);
    cold_peer(&cold.place, path, &sample, pcs);
}

/* ---- hot ------------------------------------------------------------------------------------------------------------------------- */

/* What libunwind found, called from the handler: the handler and what called it, then the frames of the sample. */
static void *traced[FRAMES_MAX];
static int traced_count;
static double traced_ns;

static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    capture_take(context);
    traced_ns = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        int rounds = traced_count ? HOT_ROUNDS / traced_count + 1 : 1;
        uint64_t start = clock_now();
        for (int i = 0; i < rounds; i++)
            traced_count = unw_backtrace(traced, FRAMES_MAX);
        if (repeat) /* the first fills its cache */
            traced_ns = best(traced_ns, (double)(clock_now() - start) / rounds);
    }
}

static int compare(const void *a, const void *b) {
    if (*(const int *)a == 7)
        raise(SIGUSR1);
    return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static int descend(int depth) {
    volatile char room[64] = {0};
    if (depth == 0) {
        int numbers[] = {5, 7, 3, 9};
        qsort(numbers, ARRAY_SIZE(numbers), sizeof *numbers, compare);
        return numbers[0];
    }
    return descend(depth - 1) + room[depth % 64];
}

static void hot_libunwind(const struct unwind_stack *stack) {
    size_t own = (size_t)traced_count - stack->count; /* the handler's */
    bool is_same = (size_t)traced_count > stack->count;
    for (size_t i = 0; is_same && i < stack->count; i++)
        is_same = (uintptr_t)traced[own + i] == stack->frames[i].pc;
    printf("hot, libunwind's fast trace: %d frames, %.1f ns a stack, %.1f ns a frame%s\n", traced_count, traced_ns,
           traced_ns / traced_count, is_same ? "" : " (OTHER CALLERS)");
}

static void hot_framehop(struct live *live, const struct unwind_sample *sample) {
    struct snapshots snapshots;
    bool is_good = snapshots_begin(&snapshots);
    for (size_t i = 0; is_good && i < live->count; i++)
        is_good = live->places[i].path[0] != '/' ||
                  snapshot_put_module(snapshots.file, &live->places[i].place, live->places[i].path, NULL, 0) == 0;
    if (!is_good || snapshot_put_sample(snapshots.file, 1, 1, sample) < 0)
        exit(1);
    snapshots_time(&snapshots, "hot");
}

static void bench_hot(struct live *live, struct unwinder *u, int depth) {
    descend(depth);
    struct unwind_sample sample = capture_sample();
    struct unwind_stack stack;
    double each = 0;
    int rounds = HOT_ROUNDS / (depth + 1) + 1;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        uint64_t start = clock_now();
        for (int i = 0; i < rounds; i++)
            unwinder_walk(u, &sample, &live->space, NULL, &stack);
        each = best(each, (double)(clock_now() - start) / rounds);
    }
    printf("hot: %zu frames (%s), %.1f ns a stack, %.1f ns a frame\n", stack.count, stack_end_name(stack.end), each,
           each / (double)stack.count);
    hot_libunwind(&stack);
    hot_framehop(live, &sample);
}

int main(int argc, char **argv) {
    static const char *const candidates[] = {"/usr/lib/x86_64-linux-gnu/libLLVM-15.so.1", "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1",
                                             "/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "/lib/x86_64-linux-gnu/libc.so.6"};
    const char *path = argc > 1 ? argv[1] : NULL;
    for (size_t i = 0; !path && i < ARRAY_SIZE(candidates); i++)
        path = access(candidates[i], R_OK) == 0 ? candidates[i] : NULL;
    struct elf_image *image;
    struct unwind_module *module = NULL;
    struct unwinder *u;
    static struct live live;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || elf_image_open(fd, &image) < 0 || unwinder_new(&u) < 0 || live_init(&live, getpid()) < 0)
        return 1;
    close(fd);
    printf("binary: %s\n", path);
    bench_build(image, &module);
    bench_cold(module, path, u);
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = handle;
    sigaction(SIGUSR1, &action, NULL);
    for (int depth = 8; depth <= 512; depth *= 4)
        bench_hot(&live, u, depth);
    live_close(&live);
    unwinder_free(u);
    unwind_module_free(module);
    elf_image_close(image);
    return 0;
}
