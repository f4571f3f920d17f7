/* SPDX-License-Identifier: MIT */
/*
 * The shared memory between the agent (libcprof-agent.so, inside the profiled programs) and the recorder, who makes it.
 *
 *     0                       AGENT_HEADER_BYTES                AGENT_BYTES_OFFSET
 *     |  struct agent_shared  |  struct agent_ring [AGENT_RINGS]  |  records of ring 0 ... |  records of ring 1 ... |
 *
 * Virtual memory costs nothing until it is written. A process that may not have so much of it (ulimit -v) maps fewer rings, the first ones.
 *
 * One memory for all processes of a recording; a thread takes a free ring, fills it until it ends, and the recorder, having read the last
 * record, frees it. The memory is a sealed memfd: nobody can shrink it under the other. Processes get it over a socket (agent/start.c,
 * sampler/rendezvous.c) and keep no descriptor of it; children made by fork have it from their parent.
 *
 * A ring is a queue of bytes with one producer (its thread) and one consumer (the recorder). Positions only grow; the byte of position p is
 * at p % AGENT_RING_BYTES. Invariant: tail <= head <= tail + AGENT_RING_BYTES.
 *
 *     head   written by the thread with release after the record's bytes; the recorder acquires it before it reads them
 *     tail   written by the recorder with release after it has copied the bytes; the thread acquires it before it writes over them
 *     owner  pid << 32 | image << 1 | has ended; 0: free. A thread takes a ring by compare-and-swap from 0 with acquire, which pairs with
 *            the recorder's release when it frees it; the thread's last store is `has ended` with release after its last head
 *     tid    of the owner, written with relaxed after it: a hint, by which the recorder finds out whether the thread is still there
 *
 * A record never crosses the end of the ring: what is left there is filled by an AGENT_PAD record. Records are multiples of
 * AGENT_RECORD_ALIGN.
 *
 * All that a target writes here, the recorder takes for hostile: it copies first and judges the copy. What the recorder writes, the agent
 * believes: another profiled process that scribbles over it can cost samples, and signals that come too often or never, but the agent uses
 * no address and no length from this memory.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AGENT_MAGIC = 0x67616370, /* "pcag" */
    AGENT_VERSION = 4,
    AGENT_HEADER_BYTES = 4096,
    AGENT_RINGS = 16384,           /* threads sampled at once, of all processes; the others are counted */
    AGENT_RING_HEADER_BYTES = 256, /* a cache line for each of those who write to it */
    AGENT_RING_BYTES = 2 << 20,    /* at 16 KiB of stack and 997 Hz, 128 ms; memory that was never written takes no room */
    AGENT_BYTES_OFFSET = AGENT_HEADER_BYTES + AGENT_RINGS * AGENT_RING_HEADER_BYTES,
    AGENT_SIDEBAND_RESERVE = 64 << 10, /* of a ring, which samples leave to mappings and tasks */
    AGENT_RECORD_ALIGN = 16,
    AGENT_RECORD_MAX = 68 << 10,
    AGENT_COMM_MAX = 16,
    AGENT_SECRET_BYTES = 16,
    AGENT_REGISTERS = 17, /* DWARF numbers of x86-64; 16 = pc */
};

/* Of so many rings. */
#define AGENT_BYTES_OF(rings) (AGENT_BYTES_OFFSET + (size_t)(rings)*AGENT_RING_BYTES)
#define AGENT_MEMORY_BYTES    AGENT_BYTES_OF(AGENT_RINGS)

/* What calls the handler; agent/timers.c says how. */
enum agent_clock {
    AGENT_CLOCK_MONOTONIC, /* one-shot timers, high resolution */
    AGENT_CLOCK_CPU,       /* periodic timers on the thread's CPU clock, which fire at the tick */
    AGENT_CLOCK_COUNT
};

/* "NAME:SECRET", the abstract name of the recorder's socket and AGENT_SECRET_BYTES in hexadecimal. */
#define AGENT_SOCKET_VARIABLE "CPROF_SOCKET"

struct agent_shared {
    uint32_t magic, version;
    uint64_t period;              /* ns of CPU time between samples */
    uint32_t stack_max;           /* bytes copied with a sample */
    uint32_t only_pid;            /* != 0: no other process is to be sampled */
    int32_t signal;               /* that the timers send */
    uint32_t clock;               /* enum agent_clock */
    uint32_t usually_late;        /* ns that a monotonic timer's signal takes at most, as a rule, to a thread that is on a CPU */
    int32_t recorder;             /* its pid */
    _Atomic uint32_t is_stopped;  /* the recording is over */
    _Atomic uint32_t images;      /* programs started (exec or fork) so far; each takes the next number */
    _Atomic uint64_t heartbeat;   /* the recorder's last sign of life, CLOCK_MONOTONIC_RAW */
    _Atomic uint32_t rings_used;  /* all rings from here on were always free */
    _Atomic uint32_t ring_hint;   /* where to begin looking for a free one: only that */
    _Atomic uint32_t unarmed;     /* threads that found no free ring: nothing of them is seen */
    _Atomic uint32_t in_turn;     /* threads that found no free timer: they have it in turn with others */
    _Atomic uint32_t adopted;     /* threads not made by pthread_create, found in /proc/PID/task */
    _Atomic uint32_t reinstalled; /* times that the program had put a handler of its own in the place of ours */
    _Atomic uint32_t late;        /* signals of timers that expired while their thread waited for a CPU: no samples */
};
static_assert(sizeof(struct agent_shared) <= AGENT_HEADER_BYTES, "fits its page");

struct agent_ring {
    _Alignas(64) _Atomic uint64_t owner;
    _Atomic uint32_t tid;
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t lost_samples, lost_sideband; /* records that found no room; they only grow */
    _Alignas(64) _Atomic uint64_t tail;
};
static_assert(sizeof(struct agent_ring) <= AGENT_RING_HEADER_BYTES, "fits its place");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "usable in a signal handler and between processes");

#define AGENT_OWNER_ENDED UINT64_C(1)

static inline uint64_t agent_owner(uint32_t pid, uint32_t image) {
    return (uint64_t)pid << 32 | (uint32_t)(image << 1);
}

static inline uint32_t agent_owner_pid(uint64_t owner) {
    return (uint32_t)(owner >> 32);
}

static inline uint32_t agent_owner_image(uint64_t owner) {
    return (uint32_t)owner >> 1;
}

static inline struct agent_ring *agent_ring_at(void *memory, uint32_t index) {
    return (struct agent_ring *)(void *)((char *)memory + AGENT_HEADER_BYTES + (size_t)index * AGENT_RING_HEADER_BYTES);
}

static inline uint8_t *agent_ring_bytes(void *memory, uint32_t index) {
    return (uint8_t *)memory + AGENT_BYTES_OF(index);
}

/* ---- records --------------------------------------------------------------------------------------------------------------------- */

enum agent_record_type {
    AGENT_PAD, /* nothing: `size` alone counts */
    AGENT_SAMPLE,
    AGENT_EXEC,    /* struct agent_task: a program starts in pid */
    AGENT_FORK,    /* struct agent_task: pid was forked */
    AGENT_THREAD,  /* struct agent_task: a thread starts */
    AGENT_COMM,    /* struct agent_task: it is named */
    AGENT_MAPPING, /* an executable mapping that was not listed before */
    AGENT_END,     /* struct agent_end: the thread ends */
};

enum { AGENT_STACK_IS_WHOLE = 1 }; /* flags of a sample: the stack ends where the bytes end */

struct agent_record {
    uint32_t size; /* with this header and the padding */
    uint16_t type; /* enum agent_record_type */
    uint16_t flags;
    uint32_t pid, tid; /* of the thread whose ring it is */
    uint64_t time;     /* CLOCK_MONOTONIC_RAW, ns */
};
static_assert(sizeof(struct agent_record) == 24, "layout of the shared memory");

struct agent_sample { /* followed by the stack's bytes, which were at rsp */
    struct agent_record record;
    uint64_t weight; /* ns of CPU time of this thread since its last sample */
    uint32_t cpu;
    uint32_t stack_length;
    uint64_t registers[AGENT_REGISTERS];
};
static_assert(sizeof(struct agent_sample) == 176, "layout of the shared memory");

struct agent_task {
    struct agent_record record;
    uint32_t parent_pid, parent_tid;
    uint32_t image; /* AGENT_EXEC */
    uint32_t padding;
    char comm[AGENT_COMM_MAX];
};
static_assert(sizeof(struct agent_task) == 56, "layout of the shared memory");

struct agent_mapping { /* followed by the path, with NUL */
    struct agent_record record;
    uint64_t start, end, offset, inode;
    uint32_t device_major, device_minor;
};
static_assert(sizeof(struct agent_mapping) == 64, "layout of the shared memory");

struct agent_end {
    struct agent_record record;
    uint64_t cpu_time; /* ns, of the thread's life in this program */
};
static_assert(sizeof(struct agent_end) == 32, "layout of the shared memory");

/* ---- rendezvous ------------------------------------------------------------------------------------------------------------------ */

/* The agent sends the secret; the recorder answers with this and the memfd (SCM_RIGHTS). */
struct agent_welcome {
    uint32_t magic;
    uint32_t pid; /* of the agent's process, as the recorder sees it: another than its own in another pid namespace */
};
