/* SPDX-License-Identifier: MIT */
#include "elf/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/macros.h"

enum { RANGES = 4096, PAGE = 4096 };

/* A range is there once `start` is: the release in elf_guard_add pairs with the acquire in find. */
static struct range {
    _Atomic uintptr_t start;
    _Atomic size_t length;
} ranges[RANGES];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction previous;

static bool is_guarded(uintptr_t address) {
    for (size_t i = 0; i < RANGES; i++) {
        uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);
        if (start && address >= start && address - start < atomic_load_explicit(&ranges[i].length, memory_order_relaxed))
            return true;
    }
    return false;
}

/* Signal handler: system calls and the table above, nothing else. */
static void on_bus_error(int signal, siginfo_t *info, void *context) {
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
    if (is_guarded((uintptr_t)info->si_addr) &&
        mmap((void *)page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        return;
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(signal, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(signal);
    else
        (void)sigaction(SIGBUS, &previous, NULL); /* the access is tried again, and ends as it would have without us */
}

static void install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &previous);
}

void elf_guard_add(const void *start, size_t length) {
    pthread_once(&once, install);
    for (size_t i = 0; i < RANGES; i++) {
        uintptr_t free_slot = 0, claimed = 1; /* 1: taken, and of no address yet */
        if (!atomic_compare_exchange_strong_explicit(&ranges[i].start, &free_slot, claimed, memory_order_relaxed, memory_order_relaxed))
            continue;
        atomic_store_explicit(&ranges[i].length, length, memory_order_relaxed);
        atomic_store_explicit(&ranges[i].start, (uintptr_t)start, memory_order_release);
        return;
    }
}

void elf_guard_remove(const void *start) {
    for (size_t i = 0; i < RANGES; i++)
        if (atomic_load_explicit(&ranges[i].start, memory_order_relaxed) == (uintptr_t)start) {
            atomic_store_explicit(&ranges[i].length, 0, memory_order_relaxed);
            atomic_store_explicit(&ranges[i].start, 0, memory_order_release);
            return;
        }
}
