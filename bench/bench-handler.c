/* SPDX-License-Identifier: MIT */
/*
 * What the signal engine's handler costs beyond the signal itself, at a stack copy of 16 KiB (or as many bytes as are said), beside
 * gperftools' where its library is found.
 *
 *     bench-handler [BYTES]
 *
 * The thread sends itself the signal as its timer would (SI_TIMER with the timer's pointer), with FRAMES frames and more stack than is
 * copied above it. Each round takes an empty handler and the one measured in turn; what is told is the difference of the best rounds, in
 * CPU time. The timer is set anew each time, as it is in earnest, to a moment that never comes.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/private.h"
#include "base/clock.h"
#include "base/system.h"

enum { ROUNDS = 101, SIGNALS = 500, FRAMES = 30, FRAME_BYTES = 1024 };

static struct agent_thread *self;
static double empty, full; /* ns of a signal: the least of all rounds */

static double least(double a, double b) {
    return a == 0 || b < a ? b : a;
}

static void nothing(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
}

/* ns of one signal */
static double send_signals(int signal) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signal;
    info.si_code = SI_TIMER;
    info.si_value.sival_ptr = self;
    pid_t pid = getpid(), tid = gettid();
    uint64_t start = clock_read(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < SIGNALS; i++) {
        atomic_store_explicit(&self->expected, 0, memory_order_relaxed); /* or it would know that it comes too early */
        system_call(SYS_rt_tgsigqueueinfo, pid, tid, signal, (long)&info, 0, 0);
        /* The recorder has read it. */
        atomic_store_explicit(&self->ring->tail, self->position, memory_order_relaxed);
    }
    return (double)(clock_read(CLOCK_THREAD_CPUTIME_ID) - start) / SIGNALS;
}

static void handle_by(int signal, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

static void bench_ours(int signal) {
    struct agent_shared *shared = agent_process.shared;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store_explicit(&shared->heartbeat, clock_now(), memory_order_relaxed);
        handle_by(signal, nothing);
        empty = least(empty, send_signals(signal));
        handle_by(signal, agent_on_signal);
        full = least(full, send_signals(signal));
    }
    printf("cprof, %u bytes of stack: %.2f us a sample, of which %.2f us are the signal itself: %.2f us beyond it\n",
           agent_process.stack_max, full / 1e3, empty / 1e3, (full - empty) / 1e3);
}

/* Its profile goes nowhere, and its own timer does not run: we send its signal. */
static void bench_gperftools(void) {
    void *library = dlopen("libprofiler.so.0", RTLD_NOW);
    int (*start)(const char *) = library ? (int (*)(const char *))dlsym(library, "ProfilerStart") : NULL;
    struct sigaction theirs;
    setenv("CPUPROFILE_FREQUENCY", "1", 1);
    if (!start || !start("/dev/null") || sigaction(SIGPROF, NULL, &theirs) != 0) {
        printf("gperftools: not installed\n");
        return;
    }
    empty = full = 0;
    for (int i = 0; i < ROUNDS; i++) {
        handle_by(SIGPROF, nothing);
        empty = least(empty, send_signals(SIGPROF));
        sigaction(SIGPROF, &theirs, NULL);
        full = least(full, send_signals(SIGPROF));
    }
    handle_by(SIGPROF, nothing);
    printf("gperftools, %d frames: %.2f us a sample, of which %.2f us are the signal itself: %.2f us beyond it\n", FRAMES, full / 1e3,
           empty / 1e3, (full - empty) / 1e3);
}

__attribute__((noinline)) static void deep(int frames, int signal) {
    volatile char block[FRAME_BYTES];
    block[0] = (char)frames;
    if (frames)
        deep(frames - 1, signal);
    else {
        bench_ours(signal);
        bench_gperftools();
    }
    block[1] = block[0];
}

int main(int argc, char **argv) {
    int signal = SIGRTMAX - 1;
    void *memory = mmap(NULL, AGENT_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (memory == MAP_FAILED || pthread_getattr_np(pthread_self(), &attributes) != 0)
        return 1;
    agent_process = (struct agent_process){.shared = memory,
                                           .rings = AGENT_RINGS,
                                           .pid = (uint32_t)getpid(),
                                           .image = 1,
                                           .period = UINT64_C(86400000000000),
                                           .stack_max = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 16384,
                                           .signal = signal};
    self = agent_threads_enter(AGENT_EXEC, 1, 1);
    if (!self || pthread_attr_getstack(&attributes, &low, &size) != 0)
        return 1;
    self->stack_low = (uintptr_t)low;
    self->stack_end = (uintptr_t)low + size;
    agent_maps_list(self, clock_now());
    deep(FRAMES, signal);
    return 0;
}
