/* SPDX-License-Identifier: MIT */
/*
 * The functions that are interposed: to see threads start and libraries come, and to keep our signal ours. Each does what the
 * program asked for; where this process is not sampled, nothing else.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/next.h"
#include "agent/private.h"
#include "base/clock.h"

AGENT_NEXT(pthread_create)
AGENT_NEXT(pthread_setname_np)
AGENT_NEXT(prctl)
AGENT_NEXT(dlopen)
AGENT_NEXT(sigaction)
AGENT_NEXT(signal)
AGENT_NEXT(pthread_sigmask)
AGENT_NEXT(sigprocmask)
AGENT_NEXT(sigwait)
AGENT_NEXT(sigwaitinfo)
AGENT_NEXT(sigtimedwait)

void agent_hooks_init(void) {
    (void)next_pthread_create();
    (void)next_pthread_setname_np();
    (void)next_prctl();
    (void)next_dlopen();
    (void)next_sigaction();
    (void)next_signal();
    (void)next_pthread_sigmask();
    (void)next_sigprocmask();
    (void)next_sigwait();
    (void)next_sigwaitinfo();
    (void)next_sigtimedwait();
}

/* ---- threads --------------------------------------------------------------------------------------------------------------------- */

struct start {
    void *(*routine)(void *);
    void *argument;
    uint64_t stack_size;
    uint32_t parent_tid;
};

/* Of threads made and not begun yet. Not from malloc: a sanitizer's is not ready for a thread before the thread's own beginning. */
enum { STARTS = 1024 };
static struct {
    struct start start;
    _Atomic uint32_t is_taken;
} starts[STARTS];

/* acquire and release pair with each other: the copy is made before the place is another's */
static struct start *start_new(void) {
    for (size_t i = 0; i < STARTS; i++)
        if (!atomic_load_explicit(&starts[i].is_taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&starts[i].is_taken, 1, memory_order_acquire))
            return &starts[i].start;
    return NULL;
}

static void start_free(struct start *start) {
    size_t i = (size_t)((char *)start - (char *)starts) / sizeof starts[0];
    atomic_store_explicit(&starts[i].is_taken, 0, memory_order_release);
}

static uint64_t stack_size_of(const pthread_attr_t *attributes) {
    size_t size = 0;
    pthread_attr_t by_default;
    if (attributes)
        return pthread_attr_getstacksize(attributes, &size) == 0 ? size : 0;
    if (pthread_attr_init(&by_default) != 0)
        return 0;
    (void)pthread_attr_getstacksize(&by_default, &size);
    (void)pthread_attr_destroy(&by_default);
    return size;
}

/* The call at the end is a jump, which leaves no frame of ours at the root of the thread's stacks. */
static void *thread_start(void *argument) {
    struct start start = *(struct start *)argument;
    start_free(argument);
    agent_thread_begin(start.parent_tid, start.stack_size);
    return start.routine(start.argument);
}

AGENT_EXPORT int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument) {
    if (!agent_process.shared)
        return next_pthread_create()(ret, attributes, routine, argument);
    struct start *start = start_new();
    if (!start) /* it will be found */
        return next_pthread_create()(ret, attributes, routine, argument);
    *start = (struct start){routine, argument, stack_size_of(attributes), (uint32_t)gettid()};
    int error = next_pthread_create()(ret, attributes, thread_start, start);
    if (error)
        start_free(start);
    return error;
}

static void write_name(const char *name) {
    struct agent_thread *self = agent_threads_self();
    if (!self)
        return;
    uint64_t mask = agent_block_signals();
    struct agent_task *task = agent_ring_begin(self, AGENT_COMM, sizeof *task, clock_now());
    if (task) {
        *task = (struct agent_task){.record = task->record};
        strncpy(task->comm, name, sizeof task->comm - 1);
        agent_ring_commit(self);
    }
    agent_restore_signals(mask);
}

AGENT_EXPORT int pthread_setname_np(pthread_t thread, const char *name) {
    int error = next_pthread_setname_np()(thread, name);
    if (!error && pthread_equal(thread, pthread_self()))
        write_name(name);
    return error;
}

AGENT_EXPORT int prctl(int option, ...) {
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long), c = va_arg(list, unsigned long),
                  d = va_arg(list, unsigned long);
    va_end(list);
    int result = next_prctl()(option, a, b, c, d);
    if (option == PR_SET_NAME && result == 0)
        write_name((const char *)a); /* NOLINT: prctl's own convention */
    return result;
}

/* ---- libraries ------------------------------------------------------------------------------------------------------------------- */

static void *dlopen_and_list(const char *file, int mode) {
    void *handle = next_dlopen()(file, mode);
    struct agent_thread *self = handle ? agent_threads_self() : NULL;
    if (self) {
        uint64_t mask = agent_block_signals();
        agent_maps_list(self, clock_now());
        agent_restore_signals(mask);
    }
    return handle;
}

/*
 * Where dlopen(file) goes on. A name without a slash is looked for along the run path of the calling library, which dlopen knows by its
 * return address: that must stay the program's, so we cannot be there when it returns, and the next samples look for what is new.
 */
typedef void *(*dlopen_function)(const char *file, int mode);
dlopen_function agent_dlopen_choose(const char *file);

__attribute__((used)) dlopen_function agent_dlopen_choose(const char *file) {
    if (!agent_process.shared || !file)
        return next_dlopen();
    if (strchr(file, '/') && !strchr(file, '$')) /* $ORIGIN is the caller's too */
        return dlopen_and_list;
    agent_maps_suspect();
    return next_dlopen();
}

__asm__(".text\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen: .cfi_startproc\n"
        " endbr64\n"
        " push %rdi\n .cfi_adjust_cfa_offset 8\n"
        " push %rsi\n .cfi_adjust_cfa_offset 8\n"
        " sub $8, %rsp\n .cfi_adjust_cfa_offset 8\n"
        " call agent_dlopen_choose\n"
        " add $8, %rsp\n .cfi_adjust_cfa_offset -8\n"
        " pop %rsi\n .cfi_adjust_cfa_offset -8\n"
        " pop %rdi\n .cfi_adjust_cfa_offset -8\n"
        " jmp *%rax\n"
        " .cfi_endproc\n"
        ".size dlopen, . - dlopen\n");

/* AddressSanitizer as a library refuses to run behind a preloaded one, unless told here that it does no harm. A program may have a
 * definition of its own, which comes first. */
const char *__asan_default_options(void);
AGENT_EXPORT const char *__asan_default_options(void) {
    return "verify_asan_link_order=0";
}

/* ---- our signal ------------------------------------------------------------------------------------------------------------------ */

static bool is_ours(int signal) {
    return agent_process.shared && signal == agent_process.signal;
}

/* A crash handler's stack may have room for itself alone: a signal on top of it would kill the program before it has said why. With
 * SA_NODEFER the handler may be left by longjmp, and what is blocked in it would stay so. */
static bool is_of_crash(int signal, const struct sigaction *action) {
    bool is_fatal = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGABRT || signal == SIGSYS;
    return is_fatal && (action->sa_flags & (SA_ONSTACK | SA_NODEFER)) == SA_ONSTACK;
}

/* Any other handler that blocks everything while it runs still is to be seen. */
static int sigaction_of_theirs(int signal, const struct sigaction *action, struct sigaction *ret_old) {
    struct sigaction copy;
    if (action && agent_process.shared) {
        copy = *action;
        (is_of_crash(signal, action) ? sigaddset : sigdelset)(&copy.sa_mask, agent_process.signal);
        action = &copy;
    }
    return next_sigaction()(signal, action, ret_old);
}

AGENT_EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old) {
    if (!is_ours(signal))
        return sigaction_of_theirs(signal, action, ret_old);
    uint64_t mask = agent_block_signals();
    struct sigaction old = agent_process.program_action;
    if (action)
        agent_process.program_action = *action;
    if (ret_old)
        *ret_old = old;
    agent_restore_signals(mask);
    return 0;
}

AGENT_EXPORT sighandler_t signal(int signal_number, sighandler_t handler) {
    if (!is_ours(signal_number))
        return next_signal()(signal_number, handler);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
    (void)sigaction(signal_number, &action, &old);
    return old.sa_handler;
}

/* A thread that blocks everything still is to be seen. */
static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy) {
    if (!set || !agent_process.shared)
        return set;
    *copy = *set;
    sigdelset(copy, agent_process.signal);
    return copy;
}

AGENT_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old) {
    sigset_t copy;
    return next_pthread_sigmask()(how, without_ours(set, &copy), ret_old);
}

AGENT_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *ret_old) {
    sigset_t copy;
    return next_sigprocmask()(how, without_ours(set, &copy), ret_old);
}

AGENT_EXPORT int sigwait(const sigset_t *set, int *ret) {
    sigset_t copy;
    return next_sigwait()(without_ours(set, &copy), ret);
}

AGENT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *ret) {
    sigset_t copy;
    return next_sigwaitinfo()(without_ours(set, &copy), ret);
}

AGENT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *ret, const struct timespec *timeout) {
    sigset_t copy;
    return next_sigtimedwait()(without_ours(set, &copy), ret, timeout);
}
