/* SPDX-License-Identifier: MIT */
/*
 * The signal engine: the agent, preloaded into the target, samples from inside; here is the memory it writes to, and its way there. For
 * machines that forbid perf_event_open.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "sampler/agent-file.h"
#include "sampler/engine.h"
#include "sampler/rendezvous.h"
#include "sampler/signal-clock.h"
#include "sampler/signal-source.h"

enum {
    VARIABLES = 2,
    SAMPLES_IN_RING = 64, /* at least, unless the size of the stack copies was asked for */
    WAKE_MAX_NS = 50000000,
    WAKE_MIN_NS = 2000000,
    SIGNALS_BELOW_LAST = 1, /* the last real-time signal but one: programs take the first ones, valgrind the last */
};

struct signal_engine {
    struct engine base;
    struct engine_request request;
    int memory_fd, timer;
    void *memory;
    struct rendezvous rendezvous;
    struct signal_source source;
    struct raw_source *sources[1];
    char socket_variable[RENDEZVOUS_VARIABLE_MAX];
    char *preload_variable;
    const char *environment[VARIABLES + 1];
    struct signal_clock clock;
    char blocking[ENGINE_PROBLEM_MAX / 2];
    char remark[2 * ENGINE_PROBLEM_MAX];
};

static int signal_number(void) {
    return SIGRTMAX - SIGNALS_BELOW_LAST;
}

static struct signal_engine *of(struct engine *base) {
    return (struct signal_engine *)base; /* its first member */
}

static size_t signal_sources(struct engine *base, struct raw_source ***ret) {
    *ret = of(base)->sources;
    return ARRAY_SIZE(of(base)->sources);
}

static void signal_describe(const struct engine *base, struct engine_facts *ret) {
    const struct signal_engine *engine = (const struct signal_engine *)base;
    *ret = (struct engine_facts){
        .name = "signal",
        .event = {.name = engine->request.event,
                  .unit = "ns",
                  .clock = "CPU time of the thread",
                  .source = engine->clock.source,
                  .blind = engine->clock.blind,
                  .period = 1000000000u / engine->request.hz,
                  .is_jittered = !engine->clock.is_at_ticks,
                  .is_at_ticks = engine->clock.is_at_ticks,
                  .weights = 1},
        .weighs_kernel = true,
        .ring_size = AGENT_RING_BYTES,
        .stack_size = engine->request.stack_size,
        .cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        .environment = engine->environment,
        .remark = engine->clock.remark,
    };
}

/* The agent keeps no descriptor by which it could wake us: we look often enough for a ring to be a quarter full at most, though a record
 * waits for two rounds and a thread may have twice the samples of its CPU time. */
static int signal_watch(struct engine *base, int epoll) {
    struct signal_engine *engine = of(base);
    uint64_t per_second = (uint64_t)engine->request.hz * (engine->request.stack_size + sizeof(struct agent_sample));
    uint64_t filling = UINT64_C(1000000000) * (AGENT_RING_BYTES / 16) / per_second;
    long interval = (long)MAX(MIN(filling, (uint64_t)WAKE_MAX_NS), (uint64_t)WAKE_MIN_NS);
    struct itimerspec when = {.it_value = {.tv_nsec = interval}, .it_interval = {.tv_nsec = interval}};
    struct epoll_event watched = {.events = EPOLLIN | EPOLLET};
    engine->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (engine->timer < 0 || timerfd_settime(engine->timer, 0, &when, NULL) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, engine->timer, &watched) < 0)
        return -errno;
    return 0;
}

static bool signal_is_urgent(struct engine *base) {
    return signal_source_is_urgent(&of(base)->source);
}

static void signal_stop(struct engine *base) {
    struct agent_shared *shared = of(base)->memory;
    atomic_store_explicit(&shared->is_stopped, 1, memory_order_relaxed);
}

/* What turned out not to be seen, a line each. */
static void remark_unseen(struct signal_engine *engine, uint64_t unarmed, uint64_t in_turn) {
    struct buffer text = {0};
    if (!engine->source.is_command_seen)
        buffer_printf(&text, "the command could not be sampled from inside (a static or setuid program?); the perf engine sees it\n");
    if (unarmed)
        buffer_printf(&text, "%" PRIu64 " threads were not sampled: more than %d at once; the perf engine sees them\n", unarmed,
                      AGENT_RINGS);
    if (in_turn)
        buffer_printf(
            &text, "%" PRIu64 " threads found no timer of their own and were sampled in turn: ulimit -i, of all processes of this user\n",
            in_turn);
    if (blocking_threads_put(&engine->source.blocking, engine->blocking, sizeof engine->blocking))
        buffer_printf(&text, "threads that blocked signal %d were not sampled meanwhile: %s\n", signal_number(), engine->blocking);
    if (text.length && !text.failed)
        snprintf(engine->remark, sizeof engine->remark, "%.*s", (int)text.length - 1, (const char *)text.data);
    buffer_free(&text);
}

static void signal_settle(struct engine *base, struct engine_totals *ret) {
    struct signal_engine *engine = of(base);
    const struct signal_figures *figures = &engine->source.figures;
    const struct engine_count counts[] = {
        {"threads not sampled", figures->unarmed.told},          {"threads sampled in turn", figures->in_turn.told},
        {"threads found late", figures->adopted.told},           {"signal taken back", figures->reinstalled.told},
        {"signals while waiting for a CPU", figures->late.told},
    };
    static_assert(ARRAY_SIZE(counts) <= ENGINE_COUNTS_MAX, "there is room");
    memcpy(ret->counts, counts, sizeof counts);
    remark_unseen(engine, counts[0].value, counts[1].value);
    ret->told_cpu = engine->source.cpu_told;
    ret->threads_told = engine->source.threads_told;
    ret->threads_living = engine->source.threads_born - MIN(engine->source.threads_born, engine->source.threads_told);
    ret->blocking = *engine->blocking ? engine->blocking : NULL;
    ret->remark = *engine->remark ? engine->remark : NULL;
}

static void signal_close(struct engine *base) {
    struct signal_engine *engine = of(base);
    rendezvous_close(&engine->rendezvous);
    signal_source_free(&engine->source);
    if (engine->memory)
        (void)munmap(engine->memory, AGENT_MEMORY_BYTES);
    if (engine->memory_fd >= 0)
        close(engine->memory_fd);
    if (engine->timer >= 0)
        close(engine->timer);
    free(engine->preload_variable);
    free(engine);
}

static const struct engine_ops signal_ops = {
    .sources = signal_sources,
    .describe = signal_describe,
    .watch = signal_watch,
    .is_urgent = signal_is_urgent,
    .stop = signal_stop,
    .settle = signal_settle,
    .close = signal_close,
};

/* Sealed: a target that cut it short would kill us by SIGBUS. */
static int make_memory(struct signal_engine *engine) {
    engine->memory_fd = memfd_create("cprof", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (engine->memory_fd < 0 || ftruncate(engine->memory_fd, (off_t)AGENT_MEMORY_BYTES) < 0 ||
        fcntl(engine->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    void *memory = mmap(NULL, AGENT_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, engine->memory_fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    engine->memory = memory;
    struct agent_shared *shared = memory;
    *shared = (struct agent_shared){
        .magic = AGENT_MAGIC,
        .version = AGENT_VERSION,
        .period = 1000000000u / engine->request.hz,
        .stack_max = engine->request.stack_size,
        .only_pid = engine->request.inherit ? 0 : (uint32_t)engine->request.pid,
        .signal = signal_number(),
        .clock = engine->clock.clock,
        .usually_late = engine->clock.usually_late,
        .recorder = getpid(),
    };
    atomic_store_explicit(&shared->heartbeat, clock_now(), memory_order_relaxed);
    return 0;
}

/* In front of what others preload. */
static int make_environment(struct signal_engine *engine, char problem[ENGINE_PROBLEM_MAX]) {
    _cleanup_free_ char *agent = NULL;
    int error = agent_file_find(engine->request.program, &agent, problem, ENGINE_PROBLEM_MAX);
    if (error < 0)
        return error;
    const char *others = getenv("LD_PRELOAD");
    if (asprintf(&engine->preload_variable, "LD_PRELOAD=%s%s%s", agent, others && *others ? ":" : "", others ? others : "") < 0) {
        engine->preload_variable = NULL;
        return -ENOMEM;
    }
    engine->environment[0] = engine->preload_variable;
    engine->environment[1] = engine->socket_variable;
    return 0;
}

static_assert((int)AGENT_SECRET_BYTES == (int)RENDEZVOUS_SECRET_BYTES, "the agent sends the secret alone");

static void welcome_agent(void *context, const void *hello, const struct ucred *peer, void *ret_welcome, int *ret_fd, bool *ret_is_ours) {
    const struct signal_engine *engine = context;
    (void)hello, (void)ret_is_ours;
    *(struct agent_welcome *)ret_welcome = (struct agent_welcome){.magic = AGENT_MAGIC, .pid = (uint32_t)peer->pid};
    *ret_fd = engine->memory_fd;
}

int signal_engine_open(const struct engine_request *request, struct engine **ret, char ret_problem[ENGINE_PROBLEM_MAX]) {
    snprintf(ret_problem, ENGINE_PROBLEM_MAX, "out of memory");
    if (strcmp(request->event, "cpu-clock") != 0) {
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "the signal engine samples cpu-clock alone, not %s", request->event);
        return -EINVAL;
    }
    if (!request->hz) {
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "the signal engine cannot do without samples (-F 0)");
        return -EINVAL;
    }
    struct signal_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return -ENOMEM;
    engine->base.ops = &signal_ops;
    engine->request = *request;
    if (!request->stack_size)
        engine->request.stack_size = AGENT_RING_BYTES / SAMPLES_IN_RING;
    engine->memory_fd = engine->timer = engine->rendezvous.socket = -1;
    engine->sources[0] = &engine->source.base;
    int error = signal_clock_choose(&engine->clock, request->signal_clock, request->hz, signal_number());
    if (error < 0)
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "no timer can send a signal to a thread: %s", strerror(-error));
    else
        error = make_environment(engine, ret_problem);
    if (error == 0 && (error = make_memory(engine)) < 0)
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "cannot make the shared memory for samples: %s", strerror(-error));
    if (error == 0)
        error = signal_source_init(&engine->source, engine->memory, ENGINE_EVENT, (uint32_t)request->pid, signal_number());
    const struct rendezvous_service service = {
        .hello_size = AGENT_SECRET_BYTES, .welcome_size = sizeof(struct agent_welcome), .answer = welcome_agent, .context = engine};
    if (error == 0 && (error = rendezvous_open(&engine->rendezvous, &service, AGENT_SOCKET_VARIABLE, engine->socket_variable)) < 0)
        snprintf(ret_problem, ENGINE_PROBLEM_MAX, "cannot open the socket of the signal engine: %s", strerror(-error));
    if (error < 0) {
        signal_close(&engine->base);
        return error;
    }
    *ret = &engine->base;
    return 0;
}
