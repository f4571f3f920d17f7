/* SPDX-License-Identifier: MIT */
/*
 * The memory that a program annotated with cprof.h shares with the recorder, who makes it: one memory for each process.
 *
 *     0                 SCOPE_SITES_AT         SCOPE_ARENA_AT                                    SCOPE_MEMORY_BYTES
 *     | struct           | struct scope_site    | struct scope_thread | struct scope_record |     |
 *     |   scope_shared   |   [SCOPE_SITES_MAX]  |   struct scope_record | struct scope_thread | ...|
 *
 * A sealed memfd: nobody can shrink it. It is sparse: what was never written takes no memory. The arena is given out from `arena_used`
 * upwards in units of SCOPE_UNIT bytes, and a position in it is a number of units from the memory's start, 0 = none.
 *
 * Glossary
 *   site       a place in the source (struct cprof_site); its id is its row in `sites` + 1, for all threads
 *   record     what one thread has measured at one site
 *   node       a path of open scopes: a row in a thread's `nodes`, its parent's row before it or after it. Node 0 is "none open"
 *   instance   one run through a scope, from begin to end
 *   tick       of the clock that `clock` names
 *
 * Who writes: every field but those marked (recorder) the process; within a thread's block and records its thread alone, so that an
 * increment is a plain load and store. The recorder reads by pread into copies at any time: a number may be one event newer than its
 * neighbour, and the last reading, after the thread or process has ended, is exact. 64-bit fields are written whole (relaxed atomics, or
 * plain aligned stores, which x86-64 does not tear).
 *
 *   thread.state   FREE -> LIVE by compare-and-swap (acquire: pairs with the recorder's release of FREE, so that it has read before we
 * clear); LIVE -> ENDED with release by the thread as its last store; ENDED -> FREE with release by the recorder, having read site.state
 * EMPTY -> FILLING by compare-and-swap, FILLING -> READY with release after the strings event ring     head: by the thread, release after
 * the event's bytes; tail: by the recorder, release after it has copied them
 *
 * All that is read here is hostile to the recorder: ids and positions are checked, chains are bounded by counts. The process uses no
 * position that it reads back from here without having written it (it keeps its own in private memory), but for the tail.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loglinear.h"

enum {
    SCOPE_MAGIC = 0x73706373, /* "scps" */
    SCOPE_VERSION = 1,
    SCOPE_HEADER_BYTES = 128 << 10,
    SCOPE_SITES_MAX = 4096,
    SCOPE_THREADS_MAX = 30000,                 /* blocks; an ended one that was read is used again */
    SCOPE_NODES_MAX = 4096,                    /* of a thread */
    SCOPE_NODE_OVERFLOW = SCOPE_NODES_MAX - 1, /* where the paths count that found no node, of all sites: its own site is 0 */
    SCOPE_EVENTS = 8192,
    SCOPE_SLOWEST = 8,
    SCOPE_SPANS_MAX = 64, /* open at a time in a thread */
    SCOPE_UNIT = 64,
    SCOPE_NAME_BYTES = 120,
};

#define SCOPE_MEMORY_BYTES (UINT64_C(16) << 30)

enum scope_clock {
    SCOPE_CLOCK_CYCLES,        /* the CPU's cycle counter, as clock_cycles() */
    SCOPE_CLOCK_MONOTONIC_RAW, /* ns */
};

struct scope_shared {
    uint32_t magic, version;   /* (recorder) */
    uint32_t clock;            /* (recorder) enum scope_clock */
    uint32_t padding;          /* */
    uint64_t inverse_period;   /* (recorder) 2^64 / ticks between two samples of a thread; 0: nothing is sampled */
    uint64_t event_ticks;      /* (recorder) instances that take at least so long are told one by one in the event ring */
    _Atomic uint32_t is_ended; /* (recorder) nobody reads any more */
    uint32_t pid;
    _Atomic uint64_t arena_used; /* units; from SCOPE_ARENA_AT / SCOPE_UNIT */
    _Atomic uint32_t site_count;
    _Atomic uint32_t thread_count;       /* rows used of `threads` */
    _Atomic uint64_t sites_refused;      /* begins at sites that found no room */
    _Atomic uint64_t threads_refused;    /* threads that found no room: nothing of them is told */
    _Atomic uint32_t foreign_version;    /* of a copy of the library in this process that this one cannot work with; 0: none */
    uint32_t threads[SCOPE_THREADS_MAX]; /* positions of struct scope_thread */
};
static_assert(sizeof(struct scope_shared) <= SCOPE_HEADER_BYTES, "layout of the shared memory");

enum scope_site_state { SCOPE_SITE_EMPTY, SCOPE_SITE_FILLING, SCOPE_SITE_READY };

struct scope_site {
    _Atomic uint32_t state;
    uint32_t line;
    uint32_t kind; /* enum cprof_kind */
    uint32_t padding;
    char name[SCOPE_NAME_BYTES], function[SCOPE_NAME_BYTES], file[SCOPE_NAME_BYTES]; /* NUL-terminated; of a long path the end */
};

#define SCOPE_SITES_AT  SCOPE_HEADER_BYTES
#define SCOPE_SITE_SIZE sizeof(struct scope_site)
#define SCOPE_ARENA_AT  (((uint64_t)SCOPE_SITES_AT + SCOPE_SITES_MAX * SCOPE_SITE_SIZE + 4095) / 4096 * 4096)
static_assert(sizeof(struct scope_site) == 376, "layout of the shared memory");

struct scope_instance {
    uint64_t begin, ticks; /* ticks 0: none */
};

/* Sums over the instances of one site in one thread that have ended. */
struct scope_record {
    uint32_t site;   /* id */
    uint32_t next;   /* position of the thread's record made before it */
    uint32_t active; /* instances open now; once the thread or process has ended: unfinished */
    uint32_t padding;
    uint64_t count;
    uint64_t primitive; /* of them, those not inside another of the same site */
    uint64_t total;     /* ticks of the primitive ones */
    uint64_t self;      /* ticks of all, less what was spent in nested scopes; modulo 2^64, so that the sum over all is exact */
    uint64_t sum;       /* ticks of all, nested or not (a value site: the values) */
    uint64_t min, max;
    uint64_t variance;      /* sum of f(1-f), f = fraction part of ticks / period, in units of 2^-30; of the primitive ones */
    uint64_t unwound;       /* of count, those that ended late (cprof.h) */
    uint64_t slowest_floor; /* the least of slowest[].ticks */
    struct scope_instance slowest[SCOPE_SLOWEST];
    uint64_t histogram[LOGLINEAR_BUCKETS]; /* of ticks (values), all instances but the last one */
    uint64_t pending;                      /* bucket of that + 1; 0: there was none. (A process that is killed right when it turns to the
                                              next one leaves one in neither.) Read after the histogram, it is in none that was read */
};
static_assert(offsetof(struct scope_record, slowest) == 96 && offsetof(struct scope_record, histogram) == 224 &&
                  offsetof(struct scope_record, pending) == 224 + 8 * LOGLINEAR_BUCKETS,
              "layout of the shared memory");

struct scope_node {
    uint32_t parent;         /* row */
    uint32_t site;           /* id; 0: node 0 */
    uint32_t child, sibling; /* rows of the first child and the next one of the same parent; 0: none. The process's own */
    uint64_t count;          /* instances ended; a site directly inside itself is the same node */
    uint64_t recursed;       /* of them, those directly inside themselves */
    uint64_t total;          /* ticks of those not recursed */
    uint64_t self;           /* ticks of all, less nested scopes */
};
static_assert(sizeof(struct scope_node) == 48, "layout of the shared memory");

enum scope_event_kind {
    SCOPE_EVENT_INSTANCE, /* a primitive instance (not inside another of its site) that took event_ticks or more has ended */
    SCOPE_EVENT_SPAN,     /* a span (of any length) has ended */
};

struct scope_event {
    uint64_t begin, end; /* ticks */
    uint32_t site;       /* id */
    uint32_t kind;       /* enum scope_event_kind */
    uint64_t number;     /* the event's + 1, stored last: another one marks an event that was never finished (a handler jumped out of it) */
};
static_assert(sizeof(struct scope_event) == 32, "layout of the shared memory");

enum scope_thread_state { SCOPE_THREAD_FREE, SCOPE_THREAD_LIVE, SCOPE_THREAD_ENDED, SCOPE_THREAD_STARTING };

struct scope_thread {
    _Atomic uint32_t state;
    uint32_t tid;
    uint64_t start;              /* ticks; tid and start name the thread, whoever had the block before */
    _Atomic uint32_t records;    /* position of the record made last */
    _Atomic uint32_t node_count; /* with node 0, without SCOPE_NODE_OVERFLOW */
    _Atomic uint32_t top;        /* node of the scope open now */
    uint32_t padding;
    /* What went wrong, each counted once. */
    uint64_t unwound, unfinished; /* see cprof.h; unfinished: at the thread's end, the sum of its records' `active` */
    uint64_t unbalanced;          /* ends without their begin */
    uint64_t spans_refused;       /* begins beyond SCOPE_SPANS_MAX */
    uint64_t nodes_refused;       /* begins that found no node of their own: they count at SCOPE_NODE_OVERFLOW */
    _Alignas(64) _Atomic uint64_t head;
    uint64_t lost, spans_lost; /* events that found no room: of instances, of spans */
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) struct scope_event events[SCOPE_EVENTS]; /* number n at n % SCOPE_EVENTS */
    struct scope_node nodes[SCOPE_NODES_MAX];
};
static_assert(offsetof(struct scope_thread, events) == 256, "layout of the shared memory");

/* ---- rendezvous: the process sends the hello, the recorder answers with the welcome and the memfd (SCM_RIGHTS) ---------------------- */

/* "NAME:SECRET", as AGENT_SOCKET_VARIABLE of agent/agent.h, of another socket. */
#define SCOPE_SOCKET_VARIABLE "CPROF_SCOPES"

enum { SCOPE_SECRET_BYTES = 16 };

struct scope_hello {
    uint8_t secret[SCOPE_SECRET_BYTES];
    uint32_t version; /* SCOPE_VERSION */
    uint32_t zero;
};

struct scope_welcome {
    uint32_t magic;
    uint32_t version; /* another than the process's: there is no memfd, and the process is not recorded */
};
