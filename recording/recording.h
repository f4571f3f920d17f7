/* SPDX-License-Identifier: MIT */
/*
 * The door of recording/: the file, written and read. docs/FORMAT.md is the specification; this is its shape in memory.
 *
 * Glossary
 *   chunk    the unit of the file: {type, version, flags, length, checksum} and a payload. A file is good up to its last good chunk
 *   event    a row of the event table: what a sample counts ("cpu-clock", nanoseconds, every 1,003,009)
 *   process  one address space's life, from fork or exec to exec or exit; pids come back, process ids do not
 *   thread   one kernel task's life; tids come back, thread ids do not
 *   task     a thread while it keeps one name and one process: what a sample belongs to
 *   frame    {kind, class, flags, module, address}, stored once
 *   node     {parent node, frame}: a stack is the path from a node to its root. Roots are no frames: root n (0 <= n < STACK_END_COUNT) is
 *            "this stack ended because of enum stack_end n", so a node says how its stack ends
 *
 *       root COMPLETE <- _start <- main <- work       a sample stores the id of "work" alone
 *
 * Ids are dense and start at 0 for each table, in order of the add calls. Nodes: 0..STACK_END_COUNT-1 are the roots, the first added is
 * STACK_END_COUNT. Times: CLOCK_MONOTONIC_RAW, ns. Strings may hold any byte but NUL, and are hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/loglinear.h"
#include "base/vec.h"

enum { RECORDING_NONE = UINT32_MAX }; /* "no such row" in any id field */

/* ---- rows ------------------------------------------------------------------------------------------------------------------------ */

enum { RECORDING_WEIGHTS_MAX = 4 };

struct recording_event {
    const char *name;   /* "cpu-clock", "cycles" */
    const char *unit;   /* of the first weight: "ns", "events", "bytes" */
    const char *clock;  /* what the period runs on: "on-CPU time", "CPU cycles" */
    const char *source; /* "perf_event, per CPU, inherited" */
    const char *blind;  /* what it cannot see, for people; "" if nothing */
    uint64_t period;    /* in units; 0: not fixed */
    bool is_jittered;
    uint8_t weights;  /* how many weights a sample has, 1..RECORDING_WEIGHTS_MAX; weight 0 is the one counted by default */
    bool is_untested; /* no machine the authors have runs it */
    bool is_at_ticks; /* samples fall on the ticks of the kernel's clock, with which programs may keep step */
};

enum recording_module_kind {
    MODULE_FILE = 0,
    MODULE_VDSO = 1,
    MODULE_KERNEL = 2, /* path "[kernel]" or "[ext4]" */
    MODULE_JIT = 3,    /* executable memory without file; path "[jit]" or "//anon" */
    MODULE_KIND_COUNT
};

enum {
    MODULE_DELETED = 1 << 0,    /* its path was gone or another file when the recorder came to open it */
    MODULE_NOT_OPENED = 1 << 1, /* never opened: its frames have no rules and no names */
    MODULE_NO_CFI = 1 << 2,     /* opened, but it has no call frame information */
    MODULE_STRIPPED = 1 << 3,   /* no .symtab, no debug file, no .gnu_debugdata */
};

struct recording_module {
    enum recording_module_kind kind;
    uint32_t flags;
    const char *path; /* as the target saw it */
    uint8_t build_id_length;
    uint8_t build_id[32];
};

enum {
    PROCESS_GUESSED = 1 << 0, /* its birth was not seen (lost records): mappings re-read from /proc */
    PROCESS_32BIT = 1 << 1,
};

struct recording_process {
    uint32_t pid;
    uint32_t parent; /* process id, or RECORDING_NONE */
    uint64_t start;
    uint32_t flags;
};

/* A mapping as it appeared; it ends when a later one of the process overlays it, or with the process. A forked process starts with its
 * parent's mappings at that time, which are not written again; one that came by exec (parent's pid = pid) starts with none. */
struct recording_mapping {
    uint32_t process;
    uint32_t module;
    uint64_t time;
    uint64_t start, length, offset;
};

struct recording_thread {
    uint32_t pid, tid;
    uint64_t start;
};

struct recording_task {
    uint32_t thread;
    uint32_t process;
    const char *comm;
    uint64_t start;
};

/* What became of a thread, written when it ends (or at the end of the recording for those that live on). */
struct recording_thread_end {
    uint32_t thread;
    bool is_exited; /* false: still running when the recording ended */
    bool has_exact_cpu;
    uint64_t end;
    uint64_t exact_cpu; /* ns on a CPU while recorded, as the kernel counted them, kernel mode included */
};

struct recording_frame {
    uint8_t kind, class, flags;
    uint32_t module; /* RECORDING_NONE for FRAME_UNKNOWN, FRAME_ELIDED and FRAME_SCOPE */
    uint64_t address;
};

struct recording_node {
    uint32_t parent;
    uint32_t frame;
};

struct recording_sample {
    uint64_t time;
    uint32_t task;
    uint32_t node;
    uint16_t event;
    uint16_t cpu;
    uint64_t weight[RECORDING_WEIGHTS_MAX]; /* as many as its event has */
};

struct recording_location {
    const char *function; /* demangled; NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;
    bool is_inlined; /* inlined into the next location */
};

/* What one look-up address means; `address` is a frame's address, less 1 if it has FRAME_FLAG_RETURN. */
struct recording_symbol {
    uint32_t module;
    uint64_t address;
    uint32_t count; /* locations, innermost first; 0: looked up, and nothing is known */
    const struct recording_location *locations;
};

/* ---- scopes: what annotated programs timed themselves (include/cprof.h) ---------------------------------------------------------------
 *
 * Exact figures beside the samples. Ticks are of the clock that the fact "scope clock" names: "cycles" (the third column of the clock
 * pairs, to be fitted) or "ns" (CLOCK_MONOTONIC_RAW itself). The sampled stacks have a frame of kind FRAME_SCOPE for each open scope, in
 * its place, whose address is the site's id.
 *
 * Glossary
 *   site       a place in the source; rows of equal name, file, line and kind are one
 *   instance   one run through a scope
 *   primitive  an instance that is not inside another of the same site
 *   span       an instance that need not nest (cprof_begin, cprof_end); its frames are in no stack
 */

enum recording_site_kind { SITE_SCOPE = 0, SITE_FUNCTION = 1, SITE_SPAN = 2, SITE_VALUE = 3, SITE_KIND_COUNT };

struct recording_site {
    const char *name, *function, *file;
    uint32_t line;
    uint8_t kind; /* enum recording_site_kind */
};

struct recording_instance_brief {
    uint64_t begin, ticks;
};

enum { RECORDING_SLOWEST = 8 };

/* Of a log-linear histogram (base/loglinear.h). */
struct recording_bucket {
    uint32_t bucket;
    uint64_t count;
};

/*
 * What one thread measured at one site. Written as additions: the reader adds rows of equal (thread, site) up (min and max: the least and
 * greatest; slowest: the slowest of all).
 */
struct recording_scope {
    uint32_t thread, site;
    uint64_t count, primitive;
    uint64_t total;    /* ticks of the primitive instances */
    uint64_t self;     /* ticks of all, less what was spent in scopes inside */
    uint64_t sum;      /* ticks of all (SITE_VALUE: the values) */
    uint64_t min, max; /* 0, 0 if count is 0 */
    uint64_t variance; /* sum of f(1-f) in 2^-30, f = fraction part of an instance's on-CPU time / the sampling period; primitive ones */
    uint64_t off_cpu; /* ns of the primitive instances' time that the thread was not on a CPU; only with the fact "scope off-cpu" = "yes" */
    uint64_t unwound; /* of count, those that ended late: longjmp and the like */
    uint64_t unfinished;         /* instances that did not end: in none of the above */
    uint64_t unfinished_samples; /* samples taken in those: to be left out where sampled is set beside exact */
    struct recording_instance_brief slowest[RECORDING_SLOWEST]; /* slowest first; ticks 0: none */
    uint32_t bucket_count, elapsed_count;
    const struct recording_bucket *buckets; /* ticks of all instances, by bucket */
    /* Of the samples taken while it was open: ticks since the begin of the outermost open instance (primitive), by bucket. */
    const struct recording_bucket *elapsed;
};

/* A path of open scopes. */
struct recording_scope_node {
    uint32_t parent; /* RECORDING_NONE: opened while none was */
    uint32_t site;
};

/* What one thread measured on one path. Additions, as above. */
struct recording_scope_path {
    uint32_t thread, node;
    uint64_t count;    /* a site directly inside itself is the same node */
    uint64_t recursed; /* of them, those directly inside themselves */
    uint64_t total;    /* ticks of those not recursed */
    uint64_t self;
};

/* One instance, written if samples were taken during it and it took at least as long as the fact "scope event ns" says; spans of any
 * length. */
struct recording_instance {
    uint32_t thread, site;
    uint64_t begin, end; /* CLOCK_MONOTONIC_RAW, ns, as of the recorder's fit at that time: good to about 1 us */
    uint64_t off_cpu;    /* ns */
};

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

/*
 * Every add copies what it is given into the open chunk and returns at once: chunks are compressed and written by a thread of the writer's
 * own. A chunk is closed at 64 KiB or when recording_tick finds it a second old. If the disk cannot follow, closed chunks queue up to 64
 * MiB; past that sample chunks are dropped and counted ("writer queue full"). An error of the disk is kept and returned by every later tick
 * and by close; what was written before it stays readable. One thread at a time calls a writer.
 */
struct recording_writer;

/* `path` is created anew with mode 0600 and not truncated: the file is written as `path`~ and takes its name at once, an older `path`
 * becoming `path`.old. "-" is not special. */
int recording_create(const char *path, struct recording_writer **ret);

/* A fact about the recording, for the header: "command", "hostname", "kernel", "hz asked", ... A later value replaces an earlier one. */
void recording_set(struct recording_writer *w, const char *key, const char *value);

void recording_add_clock_pair(struct recording_writer *w, uint64_t monotonic_raw, uint64_t realtime, uint64_t tsc);
uint32_t recording_add_event(struct recording_writer *w, const struct recording_event *event);
uint32_t recording_add_module(struct recording_writer *w, const struct recording_module *module);
/* Replaces a module's flags and build-id, once it has been opened. */
void recording_update_module(struct recording_writer *w, uint32_t id, const struct recording_module *module);
uint32_t recording_add_process(struct recording_writer *w, const struct recording_process *process);
void recording_add_mapping(struct recording_writer *w, const struct recording_mapping *mapping);
uint32_t recording_add_thread(struct recording_writer *w, const struct recording_thread *thread);
uint32_t recording_add_task(struct recording_writer *w, const struct recording_task *task);
void recording_end_thread(struct recording_writer *w, const struct recording_thread_end *end);
uint32_t recording_add_frame(struct recording_writer *w, const struct recording_frame *frame);
uint32_t recording_add_node(struct recording_writer *w, const struct recording_node *node);
void recording_add_sample(struct recording_writer *w, const struct recording_sample *sample);
void recording_add_symbol(struct recording_writer *w, const struct recording_symbol *symbol);

uint32_t recording_add_site(struct recording_writer *w, const struct recording_site *site);
uint32_t recording_add_scope_node(struct recording_writer *w, const struct recording_scope_node *node);
void recording_add_scope(struct recording_writer *w, const struct recording_scope *scope);
void recording_add_scope_path(struct recording_writer *w, const struct recording_scope_path *path);
void recording_add_instance(struct recording_writer *w, const struct recording_instance *instance);

/* Sets the counter `name` ("ring full", "stack truncated", ...) to `value`; the last value counts. */
void recording_set_counter(struct recording_writer *w, const char *name, uint64_t value);

/* Frames and nodes start anew at id 0 (nodes: after the roots). For a recorder whose intern tables reached their cap. Readers do not
 * notice. */
void recording_new_epoch(struct recording_writer *w);

/* To be called a few times a second: closes chunks that are due. Returns the first error of the disk, if any. */
int recording_tick(struct recording_writer *w);

/* Everything that was added is in the file when this returns (the recording is not finished by it). */
int recording_flush(struct recording_writer *w);

/* Flushes, writes the end chunk (is_complete for readers) and frees the writer; on error too. */
int recording_close(struct recording_writer *w, uint64_t *ret_size);

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */

struct recording_fact {
    const char *key, *value;
};

struct recording_counter {
    const char *name;
    uint64_t value;
};

struct recording_clock_pair {
    uint64_t monotonic_raw, realtime, tsc;
};

/* A whole recording but its samples, which are decoded as they are walked. All of it is owned by the recording; every id in it has been
 * checked to name a row, every node's parent comes before it, every string is valid memory. */
struct recording {
    VEC(struct recording_fact) facts;
    VEC(struct recording_clock_pair) clock_pairs;
    VEC(struct recording_event) events;
    VEC(struct recording_module) modules;
    VEC(struct recording_process) processes;
    VEC(struct recording_mapping) mappings;
    VEC(struct recording_thread) threads;
    VEC(struct recording_thread_end) thread_ends; /* indexed by thread id; `thread` = RECORDING_NONE if its end is not known */
    VEC(struct recording_task) tasks;
    VEC(struct recording_frame) frames; /* of all epochs */
    VEC(struct recording_node) nodes;   /* of all epochs; items 0..STACK_END_COUNT-1 are the roots, with frame = parent = RECORDING_NONE */
    VEC(struct recording_symbol) symbols; /* sorted by (module, address) */
    VEC(struct recording_counter) counters;
    VEC(struct recording_site) sites;
    VEC(struct recording_scope_node) scope_nodes; /* a node's parent comes before it */
    VEC(struct recording_scope) scopes;           /* one for each (thread, site), added up */
    VEC(struct recording_scope_path) scope_paths; /* one for each (thread, node), added up */
    VEC(struct recording_instance) instances;     /* in order of arrival */
    uint64_t sample_count;
    uint64_t first_time, last_time; /* of the samples; 0, 0 if there are none */
    uint64_t file_size;
    bool is_complete;   /* the end chunk is there: the recorder finished */
    uint64_t good_size; /* bytes up to the last good chunk */
    const char *damage; /* what ended the reading early, for people, or NULL */
    struct recording_store *store;
};

/* -ENOEXEC: not a cprof recording. -EPROTO: it needs a newer cprof (*ret_damage, valid until this thread's next call, names the chunk
 * type). -ESPIPE: it is no regular file. A damaged or growing file is no error. */
int recording_open(const char *path, struct recording **ret, const char **ret_damage);
void recording_free(struct recording *r);

/* NULL if the fact is not there. */
const char *recording_fact(const struct recording *r, const char *key);
/* 0 if it is not there. */
uint64_t recording_counter(const struct recording *r, const char *name);
/* NULL if the address was not looked up. `address`: the look-up address. */
const struct recording_symbol *recording_symbol(const struct recording *r, uint32_t module, uint64_t address);

/* Walks the samples in file order (nearly that of time). A zeroed cursor starts; it ends early only if the file was changed by others since
 * it was opened. Many cursors may walk one recording, each in a thread of its own. */
struct recording_cursor {
    size_t chunk; /* the next to be decoded */
    size_t index, count;
    struct recording_decoder *decoder;
};
/* False at the end. */
bool recording_next(const struct recording *r, struct recording_cursor *cursor, struct recording_sample *ret);
void recording_cursor_free(struct recording_cursor *cursor);
