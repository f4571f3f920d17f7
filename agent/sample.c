/* SPDX-License-Identifier: MIT */
/*
 * What is sampled.
 *
 * A sample weighs the CPU time its thread has used since the last one: the weights of a thread add up to its CPU time whatever was late or
 * left out. A thread that was asleep when its timer expired, or waited for a CPU, gives no sample: what it used before was used elsewhere,
 * and its next sample, taken while it runs, carries that weight too. A timer on the thread's CPU clock does not fire while it sleeps: there
 * the signal is of the system call in which it is delivered.
 */
#include <ucontext.h>

#include "agent/private.h"
#include "base/clock.h"
#include "base/system.h"

enum {
    IDLE_NS = 20000,              /* what a signal itself costs at most */
    IDLE_SHARE = 8,               /* of a period */
    DEAF_AFTER = 60,              /* seconds without a sign of the recorder's life, after which it is given up */
    GONE_AFTER = 2,               /* and after which it is asked for: a process that is gone is no longer waited for */
    ERROR_INTERRUPTED = 4,        /* EINTR */
    NO_SUCH_PROCESS = -3,         /* -ESRCH */
    BAD_ADDRESS = -14,            /* -EFAULT */
    SYSTEM_CALL_MAX = 1024,       /* numbers of system calls are smaller */
    SYSCALL_INSTRUCTION = 0x050f, /* 0f 05 */
    PAGE_MASK_LOW = 4095,
};

struct agent_process agent_process;

/* ---- what is copied -------------------------------------------------------------------------------------------------------------- */

/* DWARF's numbers (psABI figure 3.36) -> the kernel's order of a signal frame. */
static const uint8_t context_register[AGENT_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
                                                          REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

/* Whether the signal found it where a system call is to return EINTR. */
static bool was_interrupted(const greg_t *registers) {
    const uint8_t *code = (const uint8_t *)(uintptr_t)registers[REG_RIP];
    return registers[REG_RAX] == -ERROR_INTERRUPTED && ((uintptr_t)code & PAGE_MASK_LOW) >= 2 &&
           (code[-2] | code[-1] << 8) == SYSCALL_INSTRUCTION;
}

/* Whether the signal found it asleep in a system call: the call is to be restarted, or was interrupted. */
static bool was_asleep(const greg_t *registers) {
    uint64_t pc = (uint64_t)registers[REG_RIP];
    const uint8_t *code = (const uint8_t *)(uintptr_t)pc;
    if ((uint64_t)registers[REG_RAX] < SYSTEM_CALL_MAX && (pc & PAGE_MASK_LOW) != PAGE_MASK_LOW && pc > PAGE_MASK_LOW)
        return (code[0] | code[1] << 8) == SYSCALL_INSTRUCTION;
    return was_interrupted(registers);
}

/* Whether in the very call that sleeps.c has made: not in a handler on top of it. */
static bool was_in_nap(const struct agent_thread *self, const greg_t *registers) {
    enum { FRAMES_OF_LIBC = 512 }; /* less than a signal's frame */
    uint64_t sp = (uint64_t)registers[REG_RSP];
    return sp < self->sleeps_below && self->sleeps_below - sp < FRAMES_OF_LIBC && was_interrupted(registers);
}

/* Whether another signal waits that the thread would take: the call is then interrupted by that. */
static bool is_other_pending(const ucontext_t *context) {
    uint64_t pending = 0, blocked;
    system_copy(&blocked, &context->uc_sigmask, sizeof blocked); /* the kernel's is of 64 signals */
    system_call(SYS_rt_sigpending, (long)&pending, sizeof pending, 0, 0, 0, 0);
    return pending & ~blocked & ~(UINT64_C(1) << (agent_process.signal - 1));
}

/* As copy_carefully, where process_vm_readv is denied: the kernel says of each page whether it can read a signal mask there. The page
 * cannot be another thread's to unmap meanwhile, unless it unmaps the stack of a thread that runs. */
static uint64_t copy_by_pages(void *to, uint64_t from, uint64_t length) {
    uint64_t end = from;
    while (end < from + length && system_call(SYS_rt_sigprocmask, -1, (long)(end & ~UINT64_C(7)), 0, sizeof(uint64_t), 0, 0) != BAD_ADDRESS)
        end = (end | PAGE_MASK_LOW) + 1;
    length = end < from + length ? end - from : length;
    system_copy(to, (const void *)(uintptr_t)from, length);
    return length;
}

/* The bytes at `from`, as many as there are: on a stack whose bounds nobody told. */
static uint64_t copy_carefully(void *to, uint64_t from, uint64_t length) {
    struct { /* struct iovec */
        uint64_t base, length;
    } local = {(uintptr_t)to, length}, remote = {from, length};
    long copied = system_call(SYS_process_vm_readv, agent_process.pid, (long)&local, 1, (long)&remote, 1, 0);
    return copied > 0 ? (uint64_t)copied : copied == BAD_ADDRESS ? 0 : copy_by_pages(to, from, length);
}

static void write_sample(struct agent_thread *self, const greg_t *registers, uint64_t now, uint64_t weight) {
    uint64_t sp = (uint64_t)registers[REG_RSP], length = agent_process.stack_max;
    bool is_own_stack = sp >= self->stack_low && sp < self->stack_end, is_whole = false;
    if (is_own_stack && self->stack_end - sp <= length) {
        length = self->stack_end - sp;
        is_whole = true;
    }
    struct agent_sample *sample = agent_ring_begin(self, AGENT_SAMPLE, sizeof *sample + length, now);
    if (!sample)
        return;
    if (is_own_stack)
        system_copy(sample + 1, (const void *)(uintptr_t)sp, length);
    else
        length = copy_carefully(sample + 1, sp, length);
    sample->record.flags = is_whole || length < agent_process.stack_max ? AGENT_STACK_IS_WHOLE : 0;
    sample->weight = weight;
    sample->cpu = system_cpu();
    sample->stack_length = (uint32_t)length;
    for (unsigned i = 0; i < AGENT_REGISTERS; i++)
        sample->registers[i] = (uint64_t)registers[context_register[i]];
    agent_ring_commit(self);
}

/*
 * Of a timer on the CPU clock: 1 + si_overrun periods went by since its last signal, and the clock tells them to the nanosecond, lost
 * signals and times without a timer included. The first sample stands for the periods alone: its timer started at a random moment of one.
 */
static uint64_t weigh_periods(const struct agent_thread *self, uint64_t cpu, uint64_t overrun) {
    bool is_first = self->cpu_start && self->cpu_sampled == self->cpu_start;
    return is_first ? (1 + overrun) * agent_process.period : cpu - self->cpu_sampled;
}

/* cells.h */
static uint64_t weigh(const struct agent_thread *self, uint64_t now, uint64_t cpu) {
    bool is_first = self->cpu_sampled == self->cpu_start;
    uint64_t used = cpu - self->cpu_sampled;
    return is_first && self->started && now > self->started ? cells_first_weight(used, now - self->started, agent_process.period) : used;
}

/* ---- the handler ----------------------------------------------------------------------------------------------------------------- */

/* A recorder that stands still may go on: its samples wait in the ring, or are counted. */
static bool is_recorder_gone(const struct agent_shared *shared, uint64_t now) {
    uint64_t heartbeat = atomic_load_explicit(&shared->heartbeat, memory_order_relaxed);
    uint64_t silent = now > heartbeat ? now - heartbeat : 0;
    return silent > DEAF_AFTER * UINT64_C(1000000000) ||
           (silent > GONE_AFTER * UINT64_C(1000000000) && system_call(SYS_kill, shared->recorder, 0, 0, 0, 0, 0) == NO_SUCH_PROCESS);
}

static bool is_over(uint64_t now) {
    const struct agent_shared *shared = agent_process.shared;
    return atomic_load_explicit(&shared->is_stopped, memory_order_relaxed) || is_recorder_gone(shared, now);
}

static bool was_waiting(const struct agent_thread *self, uint64_t clock, uint64_t cpu) {
    uint64_t expected = atomic_load_explicit(&self->expected, memory_order_relaxed);
    return expected && clock > expected && cpu - self->cpu_sampled < CELLS_CARRIED_MAX * agent_process.period &&
           cells_was_waiting(clock - expected, agent_process.usually_late, clock - self->seen,
                             cpu - atomic_load_explicit(&self->cpu_seen, memory_order_relaxed));
}

/* A thread that slept through most of the time since its last signal has nothing to tell for a while. What it has used is read again at
 * the end: if our own work counted, a signal that costs more than the limit, on a machine with more threads than it can serve, would call
 * for the next one without end. */
static void take_sample(struct agent_thread *self, const greg_t *registers, uint64_t now, uint64_t overrun) {
    uint64_t clock = clock_read(CLOCK_MONOTONIC);
    if (clock < atomic_load_explicit(&self->expected, memory_order_relaxed)) /* of the CPU timer: it is awake and knows */
        return;
    uint64_t cpu = agent_thread_cpu(), idle = agent_process.period / IDLE_SHARE;
    bool is_at_ticks = agent_process.clock == AGENT_CLOCK_CPU, is_asleep = !is_at_ticks && was_asleep(registers),
         is_idle = is_asleep && (was_in_nap(self, registers) ||
                                 cpu - atomic_load_explicit(&self->cpu_seen, memory_order_relaxed) < (idle > IDLE_NS ? idle : IDLE_NS));
    bool has_waited = !is_asleep && was_waiting(self, clock, cpu);
    if (has_waited) {
        atomic_fetch_add_explicit(&agent_process.shared->late, 1, memory_order_relaxed);
    } else if (!is_asleep && cpu > self->cpu_sampled) {
        agent_maps_check(self, (uint64_t)registers[REG_RIP], now);
        write_sample(self, registers, now, is_at_ticks ? weigh_periods(self, cpu, overrun) : weigh(self, now, cpu));
        self->cpu_sampled = cpu;
    }
    agent_threads_look(now);
    atomic_store_explicit(&self->cpu_seen, is_asleep ? agent_thread_cpu() : cpu, memory_order_relaxed);
    self->seen = clock;
    agent_timers_next(self, now, clock, is_idle);
}

/* Whether the signal is the thread's own: not the last one of a timer that is gone, whose place in the table is another's by now. Nobody
 * else stands on a thread's stack. */
static bool is_of_caller(const struct agent_thread *self, const greg_t *registers) {
    uint64_t sp = (uint64_t)registers[REG_RSP];
    return (sp >= self->stack_low && sp < self->stack_end) ||
           atomic_load_explicit(&self->tid, memory_order_relaxed) == (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

void agent_on_signal(int signal, siginfo_t *info, void *context) {
    struct agent_thread *self = agent_threads_of(info);
    if (!self) {
        agent_action_chain(signal, info, context);
        return;
    }
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    if (!is_of_caller(self, registers))
        return;
    self->interrupted = was_in_nap(self, registers) && !is_other_pending(context);
    uint64_t now = clock_now();
    if (is_over(now)) {
        agent_timers_stop(self);
        return;
    }
    if (!self->is_begun)
        agent_threads_complete(self, now);
    take_sample(self, registers, now, info->si_overrun > 0 ? (uint64_t)info->si_overrun : 0);
}
