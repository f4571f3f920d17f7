/* SPDX-License-Identifier: MIT */
/*
 * A handler that waited for what it has interrupted would wait for ever:
 *
 *     hazard-locks loader    a thread holds the loader's lock until another has worked for a while
 *     hazard-locks malloc    calls of the allocator that are not this program's own, while four threads begin, work and end
 *     hazard-locks rseq N    N increments by each of two threads in restartable sequences, which a signal aborts: their sum
 *     hazard-locks halves    half of the time in the kernel, half outside; the CPU time of each in ns
 */
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/rseq.h>
#include <unistd.h>

#include "chain.h"

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline __attribute__((always_inline)) void burn(uint64_t ns) {
    for (uint64_t end = cpu_ns() + ns; cpu_ns() < end;)
        chain_work();
}

/* ---- loader ---------------------------------------------------------------------------------------------------------------------- */

static _Atomic int is_held, is_done;

LINK static int hold_lock(struct dl_phdr_info *info, size_t size, void *nothing) {
    (void)info, (void)size, (void)nothing;
    atomic_store(&is_held, 1);
    while (!atomic_load(&is_done))
        chain_work();
    return 1;
}

LINK static void work_while_held(void) {
    burn(400000000);
}

static void *other(void *nothing) {
    while (!atomic_load(&is_held))
        ;
    work_while_held();
    atomic_store(&is_done, 1);
    return nothing;
}

static int loader(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    dl_iterate_phdr(hold_lock, NULL);
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}

/* ---- malloc ---------------------------------------------------------------------------------------------------------------------- */

/* The program's definitions come before libc's: every call comes here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static _Atomic long calls;

void *malloc(size_t size) {
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(memory, size);
}

void free(void *memory) {
    atomic_fetch_add(&calls, 1);
    __libc_free(memory);
}

LINK static void *work_without(void *nothing) {
    burn(100000000);
    return nothing;
}

static int count_calls(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    long before = atomic_load(&calls);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work_without, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld\n", atomic_load(&calls) - before);
    return 0;
}

/* ---- rseq ------------------------------------------------------------------------------------------------------------------------ */

enum { CPUS = 1024, LINE = 8 };
static uint64_t per_cpu[CPUS][LINE];
static uint64_t increments;

/* Adds one to this CPU's count; false: it was aborted and did not. The commit is the last instruction. */
static bool increment(struct rseq *area) {
    uint32_t cpu = *(volatile uint32_t *)&area->cpu_id_start;
    uint64_t *counter = per_cpu[cpu % CPUS];
    int result = 0;
    __asm__ volatile(".pushsection __rseq_cs, \"aw\"\n"
                     ".balign 32\n"
                     "3: .long 0, 0\n"
                     " .quad 1f, 2f - 1f, 4f\n"
                     ".popsection\n"
                     " leaq 3b(%%rip), %%rax\n"
                     " movq %%rax, %[cs]\n"
                     "1: cmpl %[cpu], %[cpu_now]\n"
                     " jnz 5f\n"
                     " movq %[counter], %%rax\n"
                     " .rept 16\n pause\n .endr\n" /* time for a signal */
                     " incq %%rax\n"
                     " movq %%rax, %[counter]\n"
                     "2: movl $1, %[result]\n"
                     " jmp 5f\n"
                     " .long 0x53053053\n" /* RSEQ_SIG, which must stand before the abort handler */
                     "4: nop\n"
                     "5:\n"
                     : [result] "+r"(result), [cs] "=m"(area->rseq_cs), [counter] "+m"(*counter)
                     : [cpu] "r"(cpu), [cpu_now] "m"(area->cpu_id)
                     : "rax", "cc", "memory");
    return result;
}

static void *increment_all(void *argument) {
    struct rseq *area = (struct rseq *)(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    uint64_t *aborted = argument;
    for (uint64_t i = 0; i < increments;) {
        if (increment(area))
            i++;
        else
            (*aborted)++;
    }
    return NULL;
}

static int run_rseq(void) {
    pthread_t thread;
    uint64_t sum = 0, aborted[2] = {0};
    if (!__rseq_size)
        return 77;
    pthread_create(&thread, NULL, increment_all, &aborted[1]);
    increment_all(&aborted[0]);
    pthread_join(thread, NULL);
    for (int i = 0; i < CPUS; i++)
        sum += per_cpu[i][0];
    printf("%llu\n", (unsigned long long)sum);
    fprintf(stderr, "%llu aborted\n", (unsigned long long)(aborted[0] + aborted[1]));
    return 0;
}

/* ---- halves ---------------------------------------------------------------------------------------------------------------------- */

LINK static void outside_kernel(void) {
    burn(3000000);
}

LINK static void inside_kernel(int fd, char *buffer, size_t size) {
    for (uint64_t end = cpu_ns() + 3000000; cpu_ns() < end;)
        if (read(fd, buffer, size) <= 0)
            abort();
}

static int halves(void) {
    static char buffer[256 << 10];
    uint64_t outside = 0, inside = 0;
    int fd = open("/dev/zero", O_RDONLY);
    while (outside + inside < 1500000000) {
        uint64_t begin = cpu_ns(), between;
        outside_kernel();
        between = cpu_ns();
        inside_kernel(fd, buffer, sizeof buffer);
        inside += cpu_ns() - between;
        outside += between - begin;
    }
    printf("%llu %llu\n", (unsigned long long)outside, (unsigned long long)inside);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    increments = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (!strcmp(mode, "loader"))
        return loader();
    if (!strcmp(mode, "malloc"))
        return count_calls();
    if (!strcmp(mode, "rseq"))
        return run_rseq();
    return strcmp(mode, "halves") ? 2 : halves();
}
