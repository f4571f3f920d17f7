/* SPDX-License-Identifier: MIT */
/*
 * The five raw events, which every source makes (perf rings, agent rings, perf.data, a test's script), and the source itself.
 * Nothing behind this page knows which source it was.
 *
 * Pointers inside an event belong to the source and are valid until the next call of its `next` or `release`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum raw_type { RAW_SAMPLE, RAW_MAPPING, RAW_TASK, RAW_SWITCH, RAW_LOSS };

enum raw_abi { RAW_ABI_NONE, RAW_ABI_32, RAW_ABI_64 };

/* Why the stack bytes end where they end. */
enum raw_stack_limit {
    RAW_STACK_NONE,    /* no bytes at all */
    RAW_STACK_WHOLE,   /* the mapping's end, or unreadable memory: there is no more */
    RAW_STACK_LIMITED, /* the source's limit: there is more beyond */
};

enum { RAW_REGISTERS = 17 }; /* DWARF numbers of x86-64; 16 = pc */

/* What comes later hangs here, unknown kinds are carried and not dropped: {u16 kind, u16 zero, u32 length, bytes, padding to 8}*. */
struct raw_tail {
    const uint8_t *bytes;
    size_t length;
};

struct raw_sample {
    uint32_t pid, tid;
    uint32_t cpu;
    uint16_t event; /* id in the recording's event table */
    uint64_t weight;
    enum raw_abi abi;
    uint64_t registers[RAW_REGISTERS];
    uint32_t registers_valid; /* bit n: registers[n] is known */
    const uint8_t *stack;
    uint64_t stack_base;
    uint32_t stack_length;
    enum raw_stack_limit stack_limit;
    const uint64_t *kernel_chain; /* innermost first; return addresses but for the first */
    uint32_t kernel_chain_length;
    const uint64_t *user_chain; /* for sources that unwound already (perf.data recorded with fp): innermost first, or NULL */
    uint32_t user_chain_length;
    struct raw_tail tail;
};

struct raw_mapping {
    uint32_t pid, tid;
    uint64_t start, length, offset;
    uint32_t device_major, device_minor;
    uint64_t inode, inode_generation; /* 0, 0 when the build-id is given instead */
    uint8_t build_id_length;          /* 0: not given */
    uint8_t build_id[20];
    bool is_executable;
    bool is_guessed;  /* re-read from /proc, not seen happening */
    const char *path; /* as the kernel names it: a path, "[vdso]", "//anon", "/memfd:x (deleted)"; hostile */
};

enum raw_task_change {
    RAW_TASK_FORK, /* pid, tid are new; parent_pid, parent_tid made them. pid == parent_pid: a thread */
    RAW_TASK_EXEC, /* and comm is the new name */
    RAW_TASK_COMM,
    RAW_TASK_EXIT,
    RAW_TASK_CPU, /* cpu_time is the exact on-CPU time of the thread, to be added to what was said before */
};

struct raw_task {
    enum raw_task_change change;
    uint32_t pid, tid;
    uint32_t parent_pid, parent_tid;
    uint64_t cpu_time;
    const char *comm;
};

struct raw_switch {
    uint32_t pid, tid, cpu;
    bool is_out;
};

enum raw_loss_kind {
    RAW_LOSS_SAMPLES,   /* `count` samples did not fit a ring */
    RAW_LOSS_SIDEBAND,  /* `count` records of mappings and tasks: processes must be read again from /proc */
    RAW_LOSS_THROTTLED, /* the kernel held the event back (count = times) */
    RAW_LOSS_MALFORMED, /* records that made no sense */
    RAW_LOSS_SWITCHES,  /* `count` context switches: time off a CPU is not exact any more */
};

struct raw_loss {
    enum raw_loss_kind kind;
    uint64_t count;
};

struct raw_event {
    enum raw_type type;
    uint64_t time; /* CLOCK_MONOTONIC_RAW, ns */
    union {
        struct raw_sample sample;
        struct raw_mapping mapping;
        struct raw_task task;
        struct raw_switch switched;
        struct raw_loss loss;
    };
};

/*
 * A stream of raw events, nearly in order of time. The pipeline merges its sources by `peek`.
 * Not thread-safe: the drain thread alone calls it.
 */
struct raw_source {
    /* Looks how far the source has come (reads the ring's head). Called once a round, for all sources before any event is taken. NULL: not
     * needed. */
    void (*refresh)(struct raw_source *source);
    /* The time of the next event; false if there is none before the point seen by refresh. */
    bool (*peek)(struct raw_source *source, uint64_t *ret_time);
    /* Takes the next event, which peek has shown. Zero copy where possible: the event's memory is given back at the next call. */
    void (*next)(struct raw_source *source, struct raw_event *ret);
    /* Gives back the memory of the last event (moves the ring's tail). Called at the end of each round. NULL: not needed. */
    void (*release)(struct raw_source *source);
};
