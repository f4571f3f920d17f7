/* SPDX-License-Identifier: MIT */
/*
 * What the files of agent/ share with each other.
 *
 *     start.c    the constructor, fork, the beginning and end of threads     hooks.c    the functions of libc that are interposed
 *     sample.c   the signal handler: what is copied                          timers.c   when it is called
 *     threads.c  who is sampled: the table of threads, those found late      maps.c     the list of executable mappings
 *     ring.c     records into the thread's ring                              action.c   whose the signal is
 *     cells.h    at which moments, and what a sample weighs                  exec.c     exec, interposed
 *     next.h     what interposed functions go on with                        sleeps.c   sleeps, interposed
 *
 * action.c, maps.c, ring.c, sample.c, threads.c and timers.c run in the signal handler: they call nothing of libc but clock_gettime
 * (tests/lint/handler.py).
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/cells.h"

/* Once a process. Written by the constructor and by fork's child, while the process has one thread. */
struct agent_process {
    struct agent_shared *shared; /* NULL: this process is not sampled */
    uint32_t rings;              /* of them mapped here */
    uint32_t pid, image;
    uint64_t period; /* as in the shared memory at the start */
    uint32_t stack_max;
    uint32_t usually_late;
    enum agent_clock clock;
    int signal;
    struct sigaction program_action; /* what the program wants done on our signal */
};
extern struct agent_process agent_process;

/*
 * A thread that is sampled. It lies at the index of its ring in a table of the process, not in thread-local storage: the handler gets its
 * address with the signal, so that it needs no thread pointer, which a thread made by clone may share with another, or not have.
 *
 * Used by the thread itself and by its signal handler, never both: whoever is no handler blocks all signals before. Other threads touch
 * `timer_state` alone, and what it guards; and they read `cpu_seen`.
 */
struct agent_thread {
    struct agent_ring *ring; /* NULL: not sampled */
    uint8_t *bytes;
    _Atomic uint32_t tid; /* 0: not in use */
    _Atomic uint32_t timer_state;
    int main_timer; /* guarded by timer_state */
    int cpu_timer;  /* that wakes it after a sleep; if has_cpu_timer */
    bool has_cpu_timer;
    bool is_begun;                 /* false: found by another thread; its first signal begins it */
    uint64_t position;             /* the ring's head */
    uint64_t waiting_most;         /* bytes that waited for the recorder */
    uint64_t stack_low, stack_end; /* of the stack it was started on; 0, 0: not known */
    uint64_t cpu_start;            /* its CPU clock when it got its ring */
    uint64_t cpu_sampled;          /* its CPU clock at the last sample */
    _Atomic uint64_t cpu_seen;     /* its CPU clock at the last signal */
    uint64_t seen;                 /* CLOCK_MONOTONIC: when its last signal was handled */
    _Atomic uint64_t expected;     /* CLOCK_MONOTONIC: when its main timer expires; 0: another is to wake it */
    struct cells cells;
    uint64_t sleeps_below; /* the frame that called one of sleeps.c; 0: none */
    bool interrupted;      /* its last signal interrupted the call made there, and nothing else did */
    bool is_put_off;       /* its main timer is not armed: it sleeps, or its CPU timer is to wake it */
    uint64_t started;      /* CLOCK_MONOTONIC_RAW: when its timers were first armed; 0: it had used some time by then */
    uint64_t turn_began;   /* CLOCK_MONOTONIC_RAW: when it got its timer */
    uint64_t random;
};

/* ---- ring.c ---------------------------------------------------------------------------------------------------------------------- */

/* Takes a free ring for the thread `tid` of this process; its thread in the table, cleared but for tid and ring. NULL: there is none. */
struct agent_thread *agent_ring_take(uint32_t tid);

/* Room for a record of `size` bytes, with its header filled in; NULL: there is none, and it is counted. The record is to be filled and then
 * committed before another one is begun. */
void *agent_ring_begin(struct agent_thread *self, enum agent_record_type type, uint64_t size, uint64_t time);
void agent_ring_commit(struct agent_thread *self);

/* Gives the ring back, and with it the place in the table. */
void agent_ring_end(struct agent_thread *self);

/* ---- threads.c ------------------------------------------------------------------------------------------------------------------- */

extern struct agent_thread agent_threads[AGENT_RINGS];

/* The calling thread's, or NULL; from hooks. A child of vfork and a thread made by clone may have the thread pointer of another. */
struct agent_thread *agent_threads_self(void);

/* The same without asking the kernel: it may be another's. */
struct agent_thread *agent_threads_hint(void);

/* So many places of the table were ever used. */
uint32_t agent_threads_used(void);

/* The calling thread enters the table and is sampled from now on; NULL: there is no ring. Signals are blocked. */
struct agent_thread *agent_threads_enter(enum agent_record_type type, uint32_t parent_pid, uint32_t parent_tid);
void agent_threads_leave(struct agent_thread *self, uint64_t now);

/* The calling thread, for which there was no ring, ends: its number may be another's soon. */
void agent_threads_forget(void);

/* The thread that a signal is for; NULL: it is none of our timers'. */
struct agent_thread *agent_threads_of(const siginfo_t *info);

/* In the first signal of a thread that another one has found. */
void agent_threads_complete(struct agent_thread *self, uint64_t now);

/* From the handler: looks, but not all the time, whether there are threads that are not in the table. */
void agent_threads_look(uint64_t now);

/* Around fork, signals blocked; _after_fork, in the child, empties the table and unlocks. */
void agent_threads_lock(void);
void agent_threads_unlock(void);
void agent_threads_after_fork(void);

/* ---- timers.c -------------------------------------------------------------------------------------------------------------------- */

/* Makes the thread's timers and arms them; if none can be had, it waits for its turn. */
void agent_timers_start(struct agent_thread *self, uint64_t now);
void agent_timers_stop(struct agent_thread *self);
void agent_timers_restart(struct agent_thread *self, uint64_t now);

/* At the end of the handler: the next signal. `clock` is CLOCK_MONOTONIC's `now`. `is_idle`: the thread sleeps, and has used next to
 * nothing or will say when it wakes. */
void agent_timers_next(struct agent_thread *self, uint64_t now, uint64_t clock, bool is_idle);

/* A thread that is put off has woken; signals are blocked. */
void agent_timers_wake(struct agent_thread *self);

/* In fork's child. */
void agent_timers_after_fork(void);

uint64_t agent_thread_cpu(void);

/* ---- action.c -------------------------------------------------------------------------------------------------------------------- */

/* Makes the signal ours; what was set before is what the program wants. Again whenever somebody may have taken it from us. */
bool agent_action_install(int signal);

/* Somebody else's signal: what would have happened without us. */
void agent_action_chain(int signal, siginfo_t *info, void *context);

/* ---- sample.c -------------------------------------------------------------------------------------------------------------------- */

void agent_on_signal(int signal, siginfo_t *info, void *context);

/* ---- maps.c ---------------------------------------------------------------------------------------------------------------------- */

/* Lists the executable mappings that are new since the last listing; signals are blocked. */
void agent_maps_list(struct agent_thread *self, uint64_t now);

/* From the handler, unless somebody else is at it: lists them if `pc` is in no mapping known, or a library is being loaded, but not all the
 * time. */
void agent_maps_check(struct agent_thread *self, uint64_t pc, uint64_t now);

/* A library will be loaded, by whom and when is not seen: the next samples look. */
void agent_maps_suspect(void);

/* In fork's child. */
void agent_maps_after_fork(void);

/* ---- start.c --------------------------------------------------------------------------------------------------------------------- */

/* Blocks every signal; the mask before. */
uint64_t agent_block_signals(void);
void agent_restore_signals(uint64_t mask);

/* The beginning of a thread made with this size of stack, from itself; its end is seen by a pthread key. Nothing is allocated. */
void agent_thread_begin(uint32_t parent_tid, uint64_t stack_size);

/* ---- interposed functions ------------------------------------------------------------------------------------------------------- */

/* Look up what the interposed functions go on with. */
void agent_hooks_init(void);
void agent_exec_init(void);
void agent_sleeps_init(void);
