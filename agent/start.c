/* SPDX-License-Identifier: MIT */
/* The beginning and end of programs, forked processes and threads. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/private.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/system.h"

enum { STACK_UNSURE = 64 << 10 };

static pthread_key_t end_key; /* its destructor sees threads end, however they do */

/* What fork's child needs of the thread that forks. */
static __thread struct before_fork {
    uint64_t mask;
    uint32_t tid;
    uint64_t stack_low, stack_end;
} before_fork __attribute__((tls_model("initial-exec")));

static void set_mask(const uint64_t *mask, uint64_t *ret_old) {
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, (long)ret_old, sizeof *mask, 0, 0);
}

uint64_t agent_block_signals(void) {
    uint64_t all = ~UINT64_C(0), old = 0;
    set_mask(&all, &old);
    return old;
}

void agent_restore_signals(uint64_t mask) {
    set_mask(&mask, NULL);
}

static uint64_t without_ours(uint64_t mask) {
    return mask & ~(UINT64_C(1) << (agent_process.signal - 1));
}

/* ---- threads --------------------------------------------------------------------------------------------------------------------- */

/* Of the first thread. pthread_getattr_np allocates: not for threads that begin, whose allocator may not be ready for them. */
static void find_first_stack(struct agent_thread *self) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return; /* every stack is then copied carefully */
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        self->stack_low = (uintptr_t)low;
        self->stack_end = (uintptr_t)low + size;
    }
    pthread_attr_destroy(&attributes);
}

/*
 * glibc and musl put their own record of a thread, to which pthread_self points, at the upper end of its stack. How far that is above the
 * lower end is known but for what lies beyond the record (thread-local storage): so the lowest part of the stack is left out of the bounds,
 * and copied carefully when a thread gets there.
 */
static void find_stack(struct agent_thread *self, uint64_t size) {
    self->stack_end = (uint64_t)pthread_self();
    self->stack_low = self->stack_end - (size - MIN(size / 2, (uint64_t)STACK_UNSURE));
}

void agent_thread_begin(uint32_t parent_tid, uint64_t stack_size) {
    if (agent_process.pid != (uint32_t)getpid()) /* of a child that was made by clone or _Fork: unseen as a whole */
        return;
    uint64_t mask = agent_block_signals();
    (void)agent_action_install(agent_process.signal); /* Go takes all signals, by system calls, after our constructor */
    struct agent_thread *self = agent_threads_enter(AGENT_THREAD, agent_process.pid, parent_tid);
    if (self)
        find_stack(self, stack_size);
    (void)pthread_setspecific(end_key, &end_key); /* any value: its destructor is not called for none */
    agent_restore_signals(without_ours(mask));
}

static void thread_end(void *argument) {
    (void)argument;
    struct agent_thread *self = agent_threads_self();
    uint64_t mask = agent_block_signals();
    if (self)
        agent_threads_leave(self, clock_now());
    else
        agent_threads_forget();
    agent_restore_signals(mask);
}

__attribute__((destructor)) static void program_end(void) {
    thread_end(NULL);
}

/* ---- fork ------------------------------------------------------------------------------------------------------------------------ */

static void fork_prepare(void) {
    uint64_t mask = agent_block_signals();
    const struct agent_thread *self = agent_threads_self();
    before_fork = (struct before_fork){.mask = mask};
    if (self) {
        before_fork.tid = atomic_load_explicit(&self->tid, memory_order_relaxed);
        before_fork.stack_low = self->stack_low;
        before_fork.stack_end = self->stack_end;
    }
    agent_threads_lock();
}

static void fork_parent(void) {
    agent_threads_unlock();
    agent_restore_signals(before_fork.mask);
}

/* Timers are not inherited; the rings are the parent's. */
static void fork_child(void) {
    uint32_t parent_pid = agent_process.pid, parent_tid = before_fork.tid ? before_fork.tid : parent_pid;
    agent_threads_after_fork();
    agent_timers_after_fork();
    agent_maps_after_fork();
    if (agent_process.shared && agent_process.shared->only_pid)
        agent_process.shared = NULL;
    if (agent_process.shared) {
        agent_process.pid = (uint32_t)getpid();
        agent_process.image = atomic_fetch_add_explicit(&agent_process.shared->images, 1, memory_order_relaxed) + 1;
        struct agent_thread *self = agent_threads_enter(AGENT_FORK, parent_pid, parent_tid);
        if (self) { /* on the stack of the thread that forked */
            self->stack_low = before_fork.stack_low;
            self->stack_end = before_fork.stack_end;
        }
    }
    agent_restore_signals(before_fork.mask);
}

/* ---- the program ----------------------------------------------------------------------------------------------------------------- */

/* "NAME:SECRET" */
static bool parse_variable(const char *value, struct sockaddr_un *ret_address, socklen_t *ret_length, uint8_t secret[AGENT_SECRET_BYTES]) {
    const char *colon = strchr(value, ':');
    size_t length = colon ? (size_t)(colon - value) : 0;
    if (!length || length >= sizeof ret_address->sun_path || strlen(colon + 1) != (size_t)2 * AGENT_SECRET_BYTES)
        return false;
    for (size_t i = 0; i < AGENT_SECRET_BYTES; i++) {
        char digits[3] = {colon[1 + 2 * i], colon[2 + 2 * i], '\0'}, *end;
        secret[i] = (uint8_t)strtoul(digits, &end, 16);
        if (*end)
            return false;
    }
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path + 1, value, length);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    return true;
}

static int receive_memory(int socket, struct agent_welcome *ret) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec data = {ret, sizeof *ret};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    if (got == (ssize_t)sizeof *ret && ret->magic == AGENT_MAGIC && ret->pid == (uint32_t)getpid())
        return fd;
    close(fd);
    return -1;
}

/* A recorder that does not answer must not hold up the program: a second, then it runs unseen. */
static int fetch_memory(const char *variable) {
    struct sockaddr_un address;
    socklen_t length;
    uint8_t secret[AGENT_SECRET_BYTES];
    struct agent_welcome welcome;
    struct timeval patience = {.tv_sec = 1};
    if (!parse_variable(variable, &address, &length, secret))
        return -1;
    int fd = -1, connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -1;
    if (setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(connection, (const struct sockaddr *)&address, length) == 0 &&
        send(connection, secret, sizeof secret, MSG_NOSIGNAL) == (ssize_t)sizeof secret)
        fd = receive_memory(connection, &welcome);
    close(connection);
    return fd;
}

static bool is_usable(const struct agent_shared *shared) {
    return shared->magic == AGENT_MAGIC && shared->version == AGENT_VERSION && shared->period && shared->signal > 0 &&
           shared->signal < 65 && shared->clock < AGENT_CLOCK_COUNT &&
           shared->stack_max <= AGENT_RECORD_MAX - sizeof(struct agent_sample) - AGENT_RECORD_ALIGN &&
           (!shared->only_pid || shared->only_pid == (uint32_t)getpid());
}

/* As many rings as this process may map (ulimit -v). */
static struct agent_shared *map_memory(const char *variable, uint32_t *ret_rings) {
    enum { LESS = 8 };
    int fd = fetch_memory(variable);
    if (fd < 0)
        return NULL;
    void *memory = MAP_FAILED;
    uint32_t rings = AGENT_RINGS;
    for (; memory == MAP_FAILED && rings; rings /= memory == MAP_FAILED ? LESS : 1)
        memory = mmap(NULL, AGENT_BYTES_OF(rings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, AGENT_BYTES_OF(rings), MADV_DONTDUMP); /* a crash is the program's, and so is the core */
    if (is_usable(memory)) {
        *ret_rings = rings;
        return memory;
    }
    munmap(memory, AGENT_BYTES_OF(rings));
    return NULL;
}

/* The first thread's stack begins above argc; what lies there (arguments, environment) is no business of ours. */
static void cut_stack(struct agent_thread *self, char **arguments) {
    uint64_t at = (uintptr_t)arguments;
    if (at > self->stack_low && at < self->stack_end)
        self->stack_end = at;
}

static void begin_program(struct agent_shared *shared, uint32_t rings, char **arguments) {
    agent_process.pid = (uint32_t)getpid();
    agent_process.image = atomic_fetch_add_explicit(&shared->images, 1, memory_order_relaxed) + 1;
    agent_process.period = shared->period;
    agent_process.stack_max = shared->stack_max;
    agent_process.usually_late = shared->usually_late;
    agent_process.clock = (enum agent_clock)shared->clock;
    agent_process.signal = shared->signal;
    agent_process.rings = rings;
    agent_process.shared = shared;
    uint64_t mask = agent_block_signals();
    struct agent_thread *self = agent_threads_enter(AGENT_EXEC, (uint32_t)getppid(), (uint32_t)getppid());
    if (self) {
        find_first_stack(self);
        cut_stack(self, arguments);
        agent_maps_list(self, clock_now());
    }
    agent_restore_signals(without_ours(mask));
}

/* glibc gives a constructor main's arguments. */
__attribute__((constructor)) static void program_begin(int argument_count, char **arguments) {
    (void)argument_count;
    int error = errno;
    uint32_t rings = 0;
    const char *variable = getenv(AGENT_SOCKET_VARIABLE);
    struct agent_shared *shared = variable ? map_memory(variable, &rings) : NULL;
    if (shared && pthread_key_create(&end_key, thread_end) == 0 && pthread_atfork(fork_prepare, fork_parent, fork_child) == 0 &&
        agent_action_install(shared->signal)) {
        agent_hooks_init();
        agent_exec_init();
        agent_sleeps_init();
        begin_program(shared, rings, arguments);
    }
    errno = error;
}
