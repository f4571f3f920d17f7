/* SPDX-License-Identifier: MIT */
/*
 * The frame oracle: every sample of a perf.data that holds stack bytes is unwound by cprof, by libunwind and by libdwfl over the same
 * bytes, and compared caller by caller; also with what others said who have been asked before (answers: snapshot.h has their form).
 *
 *     oracle-frames --snapshots FILE PERF.DATA                          the samples, for such others
 *     oracle-frames [--framehop ANSWERS] [--perf ANSWERS] PERF.DATA     tab-separated lines, for tests/oracle/truth to add up and show:
 *         samples  COUNT  COMPLETE  SKIPPED
 *         module   PATH   CALLERS AGREED CONTRADICTED SILENT MISSING   LIBUNWIND LIBDWFL FRAMEHOP PERF
 *         differs  WITNESS VERDICT  COUNT  MODULE  EXAMPLE
 *
 * Glossary
 *   caller         a frame but for the first, which nobody has to find. It counts for the module of the frame below it, whose rule found it
 *   agrees         the witness has the same pc there, counted from the innermost frame or, behind a difference, from the outermost
 *   agreed         at least one witness agrees; behind the names of witnesses: with how many callers each does
 *   silent         the witness has said before that it knows no further
 *   contradicted   a witness has another caller there, and none has this one
 *   missing        a witness that was not judged wrong before has a caller where cprof has none
 *
 * A majority is no proof: where a witness has another caller, or one more, the row of readelf's text judges the first step that differs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "tests/oracle/arbiter.h"
#include "tests/oracle/witness.h"

enum { LIBUNWIND, LIBDWFL, FRAMEHOP, PERF, WITNESSES, FRAMES_MAX = 2100 };

static const char *const witness_names[WITNESSES] = {"libunwind", "libdwfl", "framehop", "perf"};

enum opinion { SILENT, AGREES, DIFFERS };

struct tally {
    uint64_t callers, agreed, contradicted, silent, missing, by[WITNESSES];
};

/* Differences of one kind in one module. */
struct difference {
    unsigned witness;
    const char *verdict;
    uint32_t module;
    uint64_t count;
    char example[512];
};

struct oracle {
    struct replay *replay;
    struct unwinder *unwinder;
    struct witness_libunwind *libunwind;
    struct witness_dwfl *dwfl;
    struct witness_answers *answers[WITNESSES]; /* NULL: not asked */
    struct arbiter *arbiter;
    uint64_t samples, complete, skipped;
    VEC(struct tally) tallies; /* by module id + 1; 0: in no module */
    VEC(struct difference) differences;
    struct testimony testimony[WITNESSES];
    uint8_t opinions[WITNESSES][FRAMES_MAX];
};

/* Where a witness's stack and ours part: the first `prefix` frames are equal, and the last `suffix` of both. */
struct parting {
    size_t prefix, suffix, missing;
    bool has_difference;
};

/* ---- comparing ------------------------------------------------------------------------------------------------------------------- */

/* perf gives the byte before a return address. */
static bool is_same(const struct unwind_frame *ours, const struct witness_frame *theirs, unsigned witness) {
    return ours->pc == theirs->pc || (witness == PERF && ours->pc == theirs->pc + 1);
}

static struct parting compare(const struct unwind_stack *stack, const struct testimony *testimony, unsigned witness,
                              uint8_t opinions[FRAMES_MAX]) {
    struct parting p = {0};
    size_t ours = MIN(stack->count, (size_t)FRAMES_MAX), theirs = testimony->count;
    while (p.prefix < ours && p.prefix < theirs && is_same(&stack->frames[p.prefix], &testimony->frames[p.prefix], witness))
        p.prefix++;
    while (p.prefix + p.suffix < ours && p.prefix + p.suffix < theirs &&
           is_same(&stack->frames[ours - 1 - p.suffix], &testimony->frames[theirs - 1 - p.suffix], witness))
        p.suffix++;
    size_t our_rest = ours - p.prefix - p.suffix, their_rest = theirs - p.prefix - p.suffix;
    bool has_stopped = theirs == p.prefix;
    for (size_t i = 0; i < ours; i++)
        opinions[i] = i < p.prefix || i >= ours - p.suffix ? AGREES : has_stopped ? SILENT : DIFFERS;
    p.missing = their_rest > our_rest ? their_rest - our_rest : 0;
    p.has_difference = !has_stopped && (our_rest || their_rest);
    return p;
}

/* ---- judging --------------------------------------------------------------------------------------------------------------------- */

/* Is there a call instruction that ends at `pc`? Else it is no return address, whatever CFI says. */
static bool is_behind_call(const struct replay_scene *scene, uint64_t pc) {
    uint8_t bytes[7];
    if (replay_read(scene, pc - sizeof bytes, bytes, sizeof bytes) < 0)
        return false;
    bool is_call = bytes[2] == 0xe8;
    for (size_t length = 2; length <= sizeof bytes; length++) {
        const uint8_t *at = bytes + sizeof bytes - length;
        is_call |= at[0] == 0xff && (at[1] >> 3 & 7) == 2;
    }
    return is_call;
}

/* Our caller is `ours` (0: none), the witness's `theirs`. */
static const char *judge(enum arbiter_answer answer, uint64_t right, uint64_t ours, uint64_t theirs, enum frame_class class) {
    switch (answer) {
    case ARBITER_RETURNS:
        return right == ours ? "cprof is right" : right == theirs ? "the witness is right" : "neither follows the CFI";
    case ARBITER_LANDING:
        return right == ours ? "cprof is right" : "eh_return: not judged";
    case ARBITER_END:
        return ours ? "the witness is right" : "cprof is right";
    case ARBITER_NO_ROW:
        return !ours                          ? "no CFI: cprof stops"
               : class == FRAME_GUESSED       ? "no CFI: cprof guesses"
               : class == FRAME_FRAME_POINTER ? "no CFI: cprof by frame pointer"
                                              : "no CFI: cprof proves it from the code";
    case ARBITER_EXPRESSION:
        return "an expression: not judged";
    default:
        return "not readable: not judged";
    }
}

/* Of a witness that knows them and has this frame too. */
static struct unwind_registers registers_of(const struct oracle *o, const struct unwind_stack *stack, size_t frame) {
    for (unsigned w = LIBUNWIND; w <= LIBDWFL; w++) {
        const struct testimony *t = &o->testimony[w];
        if (frame < t->count && t->frames[frame].pc == stack->frames[frame].pc)
            return t->frames[frame].registers;
    }
    return (struct unwind_registers){.valid = 0};
}

/* By the rows alone, from the sample on; where a row cannot be followed, a witness's registers of the next frame serve. */
static enum arbiter_answer ask_arbiter(struct oracle *o, const struct replay_scene *scene, const struct unwind_stack *stack, size_t prefix,
                                       uint64_t *ret_pc, char *row, size_t row_size) {
    struct unwind_registers registers = scene->sample.registers;
    enum arbiter_answer answer = ARBITER_UNREADABLE;
    for (size_t i = 0; i < prefix; i++) {
        if (i && ((answer != ARBITER_RETURNS && answer != ARBITER_LANDING) || registers.value[UNWIND_PC] != stack->frames[i].pc))
            registers = registers_of(o, stack, i);
        answer = arbiter_step(o->arbiter, scene, &stack->frames[i], &registers, row, row_size);
    }
    *ret_pc = registers.value[UNWIND_PC];
    return answer;
}

static struct difference *difference_of(struct oracle *o, unsigned witness, const char *verdict, uint32_t module) {
    for (size_t i = 0; i < o->differences.count; i++) {
        struct difference *d = &o->differences.items[i];
        if (d->witness == witness && d->module == module && strcmp(d->verdict, verdict) == 0)
            return d;
    }
    struct difference *d = vec_push(&o->differences);
    if (!d)
        exit(1);
    *d = (struct difference){.witness = witness, .verdict = verdict, .module = module};
    return d;
}

/* Is cprof right where the two part? What the witness has behind is then of no account. */
static bool judge_parting(struct oracle *o, const struct replay_scene *scene, const struct unwind_stack *stack, unsigned witness,
                          const struct parting *p) {
    if (p->prefix == 0 || p->prefix >= FRAMES_MAX)
        return false;
    const struct testimony *testimony = &o->testimony[witness];
    const struct unwind_frame *from = &stack->frames[p->prefix - 1];
    bool has_ours = p->prefix < stack->count;
    uint64_t ours = has_ours ? stack->frames[p->prefix].pc : 0, theirs = p->prefix < testimony->count ? testimony->frames[p->prefix].pc : 0;
    theirs += witness == PERF && theirs;
    enum frame_class class = has_ours ? stack->frames[p->prefix].class : FRAME_SAMPLED;
    uint64_t lookup = from->address - (from->flags & FRAME_FLAG_RETURN ? 1 : 0), right, bias;
    const struct replay_module *module = replay_find(scene, from->pc, &bias);
    char row[160];
    enum arbiter_answer answer = ask_arbiter(o, scene, stack, p->prefix, &right, row, sizeof row);
    const char *verdict = judge(answer, right, ours, theirs, class);
    if (answer == ARBITER_RETURNS && !ours && !is_behind_call(scene, right))
        verdict = "cprof is right: the CFI leads to no call";
    struct difference *d = difference_of(o, witness, verdict, module ? module->module->id : UINT32_MAX);
    if (d->count++ == 0)
        snprintf(d->example, sizeof d->example,
                 "at +%" PRIx64 " (frame %zu of %zu), row: %s; cprof: %" PRIx64 " (%s; end: %s), %s: %" PRIx64, lookup, p->prefix - 1,
                 stack->count, row, ours, has_ours ? frame_class_name(class) : "stops", stack_end_name(stack->end), witness_names[witness],
                 theirs);
    return strncmp(verdict, "cprof is right", strlen("cprof is right")) == 0;
}

/* ---- counting -------------------------------------------------------------------------------------------------------------------- */

static struct tally *tally_of(struct oracle *o, const struct unwind_frame *frame) {
    bool has_module = frame->kind == FRAME_NATIVE || frame->kind == FRAME_JIT;
    size_t index = has_module ? frame->module_id + 1 : 0;
    while (o->tallies.count <= index) {
        if (!vec_push(&o->tallies))
            exit(1);
    }
    return &o->tallies.items[index];
}

static void count_callers(struct oracle *o, const struct unwind_stack *stack) {
    for (size_t i = 1; i < stack->count && i < FRAMES_MAX; i++) {
        struct tally *tally = tally_of(o, &stack->frames[i - 1]);
        bool agrees = false, differs = false;
        for (unsigned w = 0; w < WITNESSES; w++) {
            agrees |= o->opinions[w][i] == AGREES;
            differs |= o->opinions[w][i] == DIFFERS;
            tally->by[w] += o->opinions[w][i] == AGREES;
        }
        tally->callers++;
        tally->agreed += agrees;
        tally->contradicted += !agrees && differs;
        tally->silent += !agrees && !differs;
    }
}

/* What lies in no executable mapping is no caller: a witness that went on from there, or saw a zero, had lost its way before. */
static void trim(const struct replay_scene *scene, struct testimony *testimony) {
    for (size_t i = 1; i < testimony->count; i++) {
        if (!process_maps_find(scene->maps, testimony->frames[i].pc - 1))
            testimony->count = i;
    }
}

static void try_sample(struct oracle *o, const struct replay_scene *scene) {
    struct unwind_space space = {
        .generation = scene->maps->generation, .context = (void *)(uintptr_t)scene, .find = replay_place, .read = replay_read_file};
    struct unwind_stack stack;
    struct parting partings[WITNESSES];
    if (unwinder_walk(o->unwinder, &scene->sample, &space, NULL, &stack) < 0)
        return;
    o->samples++;
    o->complete += stack.end == STACK_COMPLETE;
    witness_libunwind_ask(o->libunwind, scene, &o->testimony[LIBUNWIND]);
    witness_dwfl_ask(o->dwfl, scene, &o->testimony[LIBDWFL]);
    for (unsigned w = FRAMEHOP; w < WITNESSES; w++) {
        if (o->answers[w])
            witness_answers_ask(o->answers[w], scene, &o->testimony[w]);
    }
    size_t missing = 0, at = 0;
    for (unsigned w = 0; w < WITNESSES; w++) {
        trim(scene, &o->testimony[w]);
        partings[w] = compare(&stack, &o->testimony[w], w, o->opinions[w]);
        if (partings[w].has_difference && judge_parting(o, scene, &stack, w, &partings[w]))
            partings[w].missing = 0;
        if (partings[w].missing > missing) {
            missing = partings[w].missing;
            at = partings[w].prefix;
        }
    }
    count_callers(o, &stack);
    if (missing && at)
        tally_of(o, &stack.frames[at - 1])->missing += missing;
}

/* ---- output ---------------------------------------------------------------------------------------------------------------------- */

static const char *module_name(const struct oracle *o, size_t id) {
    return id < o->replay->modules.count && o->replay->modules.items[id].module ? o->replay->modules.items[id].module->path : "(none)";
}

static void print(const struct oracle *o) {
    printf("samples\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", o->samples, o->complete, o->skipped);
    for (size_t i = 0; i < o->tallies.count; i++) {
        const struct tally *t = &o->tallies.items[i];
        if (!t->callers && !t->missing)
            continue;
        printf("module\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, module_name(o, i - 1), t->callers, t->agreed,
               t->contradicted, t->silent, t->missing);
        for (unsigned w = 0; w < WITNESSES; w++)
            printf("\t%" PRIu64, t->by[w]);
        printf("\n");
    }
    for (size_t i = 0; i < o->differences.count; i++) {
        const struct difference *d = &o->differences.items[i];
        printf("differs\t%s\t%s\t%" PRIu64 "\t%s\t%s\n", witness_names[d->witness], d->verdict, d->count, module_name(o, d->module),
               d->example);
    }
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

static int run(struct oracle *o) {
    struct replay_scene scene;
    int r = unwinder_new(&o->unwinder);
    if (r == 0)
        r = witness_libunwind_new(&o->libunwind);
    if (r == 0)
        r = witness_dwfl_new(&o->dwfl);
    if (r == 0)
        r = arbiter_new(&o->arbiter);
    while (r == 0 && (r = replay_next(o->replay, &scene, &o->skipped)) > 0) {
        try_sample(o, &scene);
        r = 0;
    }
    return r;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

static int snapshots(struct oracle *o, const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    return file ? replay_snapshots(o->replay, file, &o->skipped) : -errno;
}

static void oracle_free(struct oracle *o) {
    for (unsigned w = 0; w < WITNESSES; w++) {
        if (o->answers[w])
            witness_answers_free(o->answers[w]);
    }
    if (o->dwfl)
        witness_dwfl_free(o->dwfl);
    if (o->libunwind)
        witness_libunwind_free(o->libunwind);
    if (o->arbiter)
        arbiter_free(o->arbiter);
    if (o->unwinder)
        unwinder_free(o->unwinder);
    if (o->replay)
        replay_close(o->replay);
    vec_free(&o->tallies);
    vec_free(&o->differences);
    free(o);
}

/* 0 and the options that come before the last argument. */
static int parse(struct oracle *o, int argc, char **argv, const char **ret_snapshots) {
    int r = argc >= 2 && argc % 2 == 0 ? 0 : -EINVAL;
    for (int i = 1; r == 0 && i + 2 < argc; i += 2) {
        if (strcmp(argv[i], "--framehop") == 0)
            r = witness_answers_open(argv[i + 1], &o->answers[FRAMEHOP]);
        else if (strcmp(argv[i], "--perf") == 0)
            r = witness_answers_open(argv[i + 1], &o->answers[PERF]);
        else if (strcmp(argv[i], "--snapshots") == 0)
            *ret_snapshots = argv[i + 1];
        else
            r = -EINVAL;
    }
    return r;
}

int main(int argc, char **argv) {
    struct oracle *o = calloc(1, sizeof *o);
    const char *problem = NULL, *to_snapshots = NULL;
    int r = o ? parse(o, argc, argv, &to_snapshots) : -ENOMEM;
    if (r == -EINVAL)
        problem = "usage: oracle-frames [--snapshots FILE | --framehop ANSWERS | --perf ANSWERS]... PERF.DATA";
    if (r == 0)
        r = replay_open(argv[argc - 1], &o->replay, &problem);
    if (r == 0)
        r = to_snapshots ? snapshots(o, to_snapshots) : run(o);
    if (r < 0)
        fprintf(stderr, "oracle-frames: %s: %s\n", argv[argc - 1], problem ? problem : strerror(-r));
    else if (!to_snapshots)
        print(o);
    if (o)
        oracle_free(o);
    return r < 0;
}
