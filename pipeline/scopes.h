/* SPDX-License-Identifier: MIT */
/*
 * The scopes of annotated programs: their shared memory (scope/scope.h) read, joined with the samples, and written. Private to the room.
 *
 *     scopes.c          memories and their threads; what is done in each round
 *     scope-memory.c    reads: sites, threads, records, nodes, events; all of it hostile
 *     scope-write.c     a snapshot: what changed since the last one becomes rows
 *     scope-join.c      which scopes were open when a sample was taken, from its stack bytes
 *     scope-cpu.c       when a thread was not on a CPU; the instances that held samples
 *
 * Glossary
 *   memory   what one process shares, from its start (or fork, or exec) to its end
 *   life     of a thread: one use of a block of a memory (blocks are used again by later threads)
 *   measure  what is known of one site in one life: what was written so far, and what samples have seen of it
 *   hit      the instance of a site that the thread's last sample was taken in
 *
 * A tick's time is found by the line through the first and the last pair (cycle counter, clock) that the recorder took: struct scope_line.
 */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "pipeline/raw.h"
#include "recording/recording.h"
#include "scope/scope.h"

struct pipeline;
struct pipeline_walk;
struct unwind_stack;

/* ns = origin_ns + (ticks - origin_ticks) * ns_per_tick */
struct scope_line {
    uint64_t origin_ticks, origin_ns;
    double ns_per_tick;
};

uint64_t scope_line_ns(const struct scope_line *line, uint64_t ticks);
uint64_t scope_line_ticks(const struct scope_line *line, uint64_t ns);

/* The parts of a record that a snapshot compares. */
struct scope_sums {
    uint64_t count, primitive, total, self, sum, min, max, variance, unwound;
    struct scope_instance slowest[SCOPE_SLOWEST];
};

struct scope_measure {
    uint32_t site;     /* id in the memory */
    uint32_t position; /* of the record; 0: samples or events came before it was seen */
    uint32_t active;
    struct scope_sums written;
    uint64_t *buckets; /* LOGLINEAR_BUCKETS, as written; NULL: none yet */
    uint64_t off_cpu;  /* ns, to be written */
    int64_t variance;  /* correction, to be written */
    uint64_t hit_begin, hit_samples;
    uint32_t *hit_elapsed; /* of the hit, by bucket; counts for nothing if it never ends. NULL: no sample yet */
    uint32_t *elapsed;     /* of the hits before it, to be written */
    bool is_elapsed_new, has_ended;
};

struct scope_path {                        /* a node */
    uint32_t parent, site;                 /* in the memory; parent UINT32_MAX: not read yet */
    uint32_t row;                          /* in the recording; RECORDING_NONE: none yet */
    uint64_t count, recursed, total, self; /* as written */
};

/* Time off a CPU: gap n was [gaps[n].from, gaps[n].to), and `before` is the length of all gaps before it. */
struct scope_gap {
    uint64_t from, to, before;
};

enum { SCOPE_SAMPLES_REMEMBERED = 64 };

struct scope_life {
    uint32_t position; /* of the block */
    uint32_t tid;
    uint64_t start;
    uint32_t thread; /* in the recording */
    bool is_ended;
    uint64_t waits_since; /* ended, but the recording does not know its thread yet: since when. 0: not */
    VEC(struct scope_measure) measures;
    struct map by_site; /* id in the memory -> index of measures + 1 */
    VEC(struct scope_path) paths;
    VEC(struct scope_gap) gaps;
    uint64_t out_since;                         /* 0: on a CPU, as far as is known */
    uint64_t samples[SCOPE_SAMPLES_REMEMBERED]; /* times of the last ones, a ring */
    uint32_t sample_count;
    uint64_t unwound, unbalanced, spans_refused, nodes_refused, events_lost, spans_lost; /* as counted */
};

struct scope_memory {
    int fd; /* -1: all is read */
    uint32_t pid;
    uint64_t connected;             /* when the process came for it */
    uint64_t searched;              /* when scope_find_lives last looked; 0: never */
    bool is_ending;                 /* the process is gone: to be read once more */
    struct scope_memory *older;     /* of the same pid: before an exec, or of a process that had the pid */
    VEC(struct scope_life *) lives; /* that are not told to the end */
    struct map by_position;         /* of the block -> its life */
    struct map by_tid;              /* the latest life of a tid */
    VEC(uint32_t) sites;            /* id - 1 -> the recording's, or RECORDING_NONE */
    uint64_t sites_refused, threads_refused;
    bool is_foreign;
};

/* A scope that was open when a sample was taken. */
struct scope_open {
    uint32_t site;  /* in the memory */
    uint32_t frame; /* index of the frame that opened it, innermost first; it stands before that */
    uint64_t begin; /* ticks; 0: not known, its record lies beyond the bytes of the sample */
};

struct scope_counts {
    uint64_t memories, threads;
    uint64_t samples;  /* taken in at least one scope */
    uint64_t beyond;   /* of them, in scopes whose record lies beyond the copied stack */
    uint64_t rejected; /* records on the stack that were left there by frames that are gone */
    uint64_t unwound, unfinished, unbalanced;
    uint64_t sites_refused, threads_refused, spans_refused, nodes_refused, events_lost, spans_lost;
    uint64_t unknown_threads; /* whose thread the recording does not know */
    uint64_t switches_lost;
};

struct scopes {
    VEC(struct scope_memory *) memories; /* that are not told to the end */
    struct map by_pid;                   /* the latest of a pid */
    struct scope_line line;
    uint64_t inverse_period; /* as in struct scope_shared */
    uint64_t last_snapshot;
    struct map rows;             /* of sites: hash of name, file, line and kind -> recording's id + 1 */
    struct map node_rows;        /* (parent's row + 1) << 32 | site -> row + 1 */
    VEC(struct scope_open) open; /* of the sample at work, innermost first */
    struct scope_counts counts;
};

/* ---- scope-memory.c: reads; false where the memory holds nonsense or ends --------------------------------------------------------- */

struct scope_block { /* the head of a struct scope_thread */
    uint32_t state, tid;
    uint64_t start;
    uint32_t records, node_count, top, padding;
    uint64_t unwound, unbalanced, spans_refused, nodes_refused;
    uint64_t head, lost, spans_lost, tail;
};

bool scope_read_shared(const struct scope_memory *m, struct scope_shared *ret); /* without its threads[] */
bool scope_read_position(const struct scope_memory *m, uint32_t index, uint32_t *ret);
bool scope_read_block(const struct scope_memory *m, uint32_t position, struct scope_block *ret);
bool scope_read_record(const struct scope_memory *m, uint32_t position, struct scope_record *ret); /* without its histogram */
bool scope_read_histogram(const struct scope_memory *m, uint32_t position, uint64_t ret[LOGLINEAR_BUCKETS]);
bool scope_read_nodes(const struct scope_memory *m, uint32_t position, uint32_t first, uint32_t count, struct scope_node *ret);
/* At most as many as lie in one piece. Returns how many. */
uint32_t scope_read_events(const struct scope_memory *m, uint32_t position, uint64_t tail, uint64_t head, struct scope_event *ret,
                           uint32_t most);
void scope_set_tail(const struct scope_memory *m, uint32_t position, uint64_t tail);
void scope_free_block(const struct scope_memory *m, uint32_t position);

/* The recording's id of a site, written at first sight; RECORDING_NONE: there is none of this id. */
uint32_t scope_site_row(struct pipeline *p, struct scope_memory *m, uint32_t site);

/* The measure of a site, made at need. NULL: out of memory. */
struct scope_measure *scope_measure_of(struct scope_life *life, uint32_t site);

/* ---- scope-write.c ---------------------------------------------------------------------------------------------------------------- */

/* Writes what changed in a life since the last time. `is_last`: it has ended, and so have what instances it had open. */
void scope_write_life(struct pipeline *p, struct scope_memory *m, struct scope_life *life, const struct scope_block *block, bool is_last);

/* The hit has ended: its samples count. */
void scope_hit_over(struct scope_measure *measure);

/* Reads the life's nodes up to `count`. False: they cannot be had. */
bool scope_learn_paths(const struct scope_memory *m, struct scope_life *life, uint32_t count);

/* ---- scope-join.c ----------------------------------------------------------------------------------------------------------------- */

/* Fills scopes.open for a sample that was walked. False: none is open, or it cannot be known. */
bool scope_find_open(struct pipeline_walk *walk, uint64_t time, const struct raw_sample *sample, const struct unwind_stack *stack,
                     struct scope_memory **ret_memory, struct scope_life **ret_life);

/* ---- scope-cpu.c ------------------------------------------------------------------------------------------------------------------ */

void scope_switch(struct pipeline *p, uint64_t time, const struct raw_switch *switched);

/* ns of [from, to) that the thread was off a CPU. */
uint64_t scope_off_cpu(const struct scope_life *life, uint64_t from, uint64_t to);

/* Takes the events that ended before `until`. */
void scope_take_events(struct pipeline *p, struct scope_memory *m, struct scope_life *life, struct scope_block *block, uint64_t until);

/* ---- scopes.c --------------------------------------------------------------------------------------------------------------------- */

void pipeline_scopes_free(struct scopes *s);

/* After the events of a round: looks at every memory. `until`: events up to then have been applied. */
void pipeline_scopes_round(struct pipeline *p, uint64_t until);

/* No more events: everything that is left is read and written. */
void pipeline_scopes_finish(struct pipeline *p);

/* The space ended: its memory is to be read for the last time. */
void pipeline_scopes_space_end(struct pipeline *p, uint32_t pid, uint64_t time);

/* A sample's thread has no life here: looks for blocks that were taken since the last round, at most once a millisecond. */
void scope_find_lives(struct pipeline *p, struct scope_memory *m, uint64_t time);

/* The sample was written: what it says of the scopes in scopes.open is kept. */
void scope_note_sample(struct pipeline *p, struct scope_life *life, uint64_t time);

/* The memory of what ran in `pid` at that time, and the life of `tid` there; NULL: it has no scopes. */
struct scope_memory *pipeline_scopes_memory(const struct scopes *s, uint32_t pid, uint64_t time);
struct scope_life *scope_life_of(const struct scope_memory *m, uint32_t tid);

void pipeline_scopes_count(struct pipeline *p); /* writes the counters */
