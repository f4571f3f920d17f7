/* SPDX-License-Identifier: MIT */
#include "sampler/scope-service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "scope/scope.h"

enum { PAIR_TRIES = 8, PROBES = 24, ARRIVALS_MAX = 4096 };
static const uint64_t EVENT_NS = 10000, PROBE_NS = 40000, TICK_NS = 1000000000, PATIENCE_NS = 700000000; /* scope/link.c has a second */
static const double RESIDUAL_MAX = 1000;                                                                 /* ns */

/* The narrowest of a few tries: the clock's time lies between two readings of the counter. */
static struct scope_pair take_pair(void) {
    struct scope_pair best = {0, 0};
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < PAIR_TRIES; i++) {
        uint64_t before = clock_cycles(), ns = clock_now(), after = clock_cycles();
        if (after - before < narrowest) {
            narrowest = after - before;
            best = (struct scope_pair){.ticks = before + (after - before) / 2, .ns = ns};
        }
    }
    return best;
}

static double slope(const struct scope_pair *from, const struct scope_pair *to) {
    return (double)(to->ns - from->ns) / (double)(int64_t)(to->ticks - from->ticks);
}

static double residual(const struct scope_pair *from, const struct scope_pair *to, const struct scope_pair *at) {
    return fabs((double)(int64_t)(at->ns - from->ns) - (double)(int64_t)(at->ticks - from->ticks) * slope(from, to));
}

/* Whether the cycle counter runs evenly here, whatever the machine says of it (a virtual machine may hide that it does). About a
 * millisecond. */
static bool cycles_are_even(struct scope_pair *ret_first) {
    struct scope_pair pairs[PROBES];
    for (int i = 0; i < PROBES; i++) {
        uint64_t until = clock_now() + PROBE_NS;
        while (clock_now() < until)
            ;
        pairs[i] = take_pair();
    }
    *ret_first = pairs[0];
    for (int i = 1; i < PROBES; i++)
        if (pairs[i].ticks <= pairs[i - 1].ticks || residual(&pairs[0], &pairs[PROBES - 1], &pairs[i]) > RESIDUAL_MAX)
            return false;
    return true;
}

static double ns_per_tick(const struct scope_service *service, const struct scope_pair *now) {
    return service->has_cycles && now->ticks != service->first.ticks ? slope(&service->first, now) : 1;
}

/* 2^64 / ticks between two samples. */
static uint64_t inverse_period(const struct scope_service *service, double rate) {
    return service->period ? (uint64_t)(0x1p64 * rate / (double)service->period) : 0;
}

/* ---- the rendezvous's thread ----------------------------------------------------------------------------------------------------- */

static int make_memory(const struct scope_service *service) {
    _cleanup_close_ int fd = memfd_create("cprof-scopes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)SCOPE_MEMORY_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    struct scope_pair now = take_pair();
    double rate = ns_per_tick(service, &now);
    struct scope_shared head = {.magic = SCOPE_MAGIC,
                                .version = SCOPE_VERSION,
                                .clock = service->has_cycles ? SCOPE_CLOCK_CYCLES : SCOPE_CLOCK_MONOTONIC_RAW,
                                .inverse_period = inverse_period(service, rate),
                                .event_ticks = (uint64_t)((double)EVENT_NS / rate)};
    size_t length = offsetof(struct scope_shared, threads);
    if (pwrite(fd, &head, length, 0) != (ssize_t)length)
        return -EIO;
    return TAKE_FD(fd);
}

static void note_arrival(struct scope_service *service, uint32_t pid, int fd) {
    _cleanup_close_ int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&service->mutex);
    struct scope_arrival *arrival = own >= 0 && service->arrivals.count < ARRIVALS_MAX ? vec_push(&service->arrivals) : NULL;
    if (arrival)
        *arrival = (struct scope_arrival){.pid = pid, .fd = TAKE_FD(own), .time = clock_now()};
    else
        service->refused++;
    pthread_mutex_unlock(&service->mutex);
}

static void wait_for_drain(struct scope_service *service) {
    uint64_t until = clock_read(CLOCK_MONOTONIC) + PATIENCE_NS, one = 1;
    struct timespec end = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    int error = 0;
    pthread_mutex_lock(&service->mutex);
    if (!service->is_ready)
        (void)!write(service->wake, &one, sizeof one);
    while (!service->is_ready && error == 0)
        error = pthread_cond_timedwait(&service->becomes_ready, &service->mutex, &end);
    service->is_too_late |= !service->is_ready;
    pthread_mutex_unlock(&service->mutex);
}

static void welcome(void *context, const void *hello, const struct ucred *peer, void *ret_welcome, int *ret_fd, bool *ret_is_ours) {
    struct scope_service *service = context;
    const struct scope_hello *said = hello;
    *(struct scope_welcome *)ret_welcome = (struct scope_welcome){.magic = SCOPE_MAGIC, .version = SCOPE_VERSION};
    if (said->version != SCOPE_VERSION) {
        pthread_mutex_lock(&service->mutex);
        service->other_versions++;
        pthread_mutex_unlock(&service->mutex);
        return;
    }
    int fd = make_memory(service);
    if (fd < 0)
        return;
    note_arrival(service, (uint32_t)peer->pid, fd); /* before the process goes on: what it does then, the drain can know of */
    wait_for_drain(service);
    *ret_fd = fd;
    *ret_is_ours = true;
}

/* ---- the drain's thread ---------------------------------------------------------------------------------------------------------- */

static int make_waiting(struct scope_service *service) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int error = -pthread_cond_init(&service->becomes_ready, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (error < 0)
        return error;
    service->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (service->wake >= 0)
        return 0;
    error = -errno;
    (void)pthread_cond_destroy(&service->becomes_ready);
    return error;
}

static void end_waiting(struct scope_service *service) {
    service->variable[0] = '\0';
    close(service->wake);
    (void)pthread_cond_destroy(&service->becomes_ready);
}

int scope_service_open(struct scope_service *service, uint64_t period) {
    static_assert((int)SCOPE_SECRET_BYTES == (int)RENDEZVOUS_SECRET_BYTES, "the hello starts with the secret");
    *service = (struct scope_service){.period = period, .mutex = PTHREAD_MUTEX_INITIALIZER, .rendezvous = {.socket = -1}, .wake = -1};
    int error = make_waiting(service);
    if (error < 0)
        return error;
    service->has_cycles = cycles_are_even(&service->first);
    service->last = service->first;
    const struct rendezvous_service answers = {
        .hello_size = sizeof(struct scope_hello), .welcome_size = sizeof(struct scope_welcome), .answer = welcome, .context = service};
    error = rendezvous_open(&service->rendezvous, &answers, SCOPE_SOCKET_VARIABLE, service->variable);
    if (error < 0)
        end_waiting(service);
    return error;
}

void scope_service_close(struct scope_service *service) {
    if (!service->variable[0])
        return;
    (void)scope_service_ready(service);
    rendezvous_close(&service->rendezvous);
    for (size_t i = 0; i < service->arrivals.count; i++)
        close(service->arrivals.items[i].fd);
    vec_free(&service->arrivals);
    end_waiting(service);
}

bool scope_service_ready(struct scope_service *service) {
    if (!service->variable[0])
        return true;
    pthread_mutex_lock(&service->mutex);
    service->is_ready = true;
    bool is_in_time = !service->is_too_late;
    pthread_cond_broadcast(&service->becomes_ready);
    pthread_mutex_unlock(&service->mutex);
    return is_in_time;
}

static void set_clock(struct scope_service *service, struct pipeline *pipeline) {
    double rate = ns_per_tick(service, &service->last);
    const struct pipeline_scope_clock clock = {.origin_ticks = service->has_cycles ? service->first.ticks : 0,
                                               .origin_ns = service->has_cycles ? service->first.ns : 0,
                                               .ns_per_tick = rate,
                                               .inverse_period = inverse_period(service, rate)};
    pipeline_set_scope_clock(pipeline, &clock);
}

size_t scope_service_take(struct scope_service *service, struct pipeline *pipeline) {
    if (!service->variable[0])
        return 0;
    pthread_mutex_lock(&service->mutex);
    size_t count = service->arrivals.count;
    if (count && !service->has_seen) {
        service->has_seen = true;
        service->last = take_pair();
        set_clock(service, pipeline);
    }
    for (size_t i = 0; i < count; i++) {
        const struct scope_arrival *arrival = &service->arrivals.items[i];
        service->refused += pipeline_add_scopes(pipeline, arrival->pid, arrival->fd, arrival->time) < 0;
    }
    vec_clear(&service->arrivals);
    pthread_mutex_unlock(&service->mutex);
    return count;
}

void scope_service_tick(struct scope_service *service, struct pipeline *pipeline, struct recording_writer *writer) {
    if (!service->has_seen || clock_now() - service->last.ns < TICK_NS)
        return;
    struct scope_pair before = service->last, now = take_pair();
    service->worst_residual = MAX(service->worst_residual, residual(&service->first, &now, &before));
    service->last = now;
    recording_add_clock_pair(writer, now.ns, clock_read(CLOCK_REALTIME), now.ticks);
    set_clock(service, pipeline);
}

/* What one begin and end take here: two readings of the clock, and what bench/bench-scope finds above these. An interrupted slice is not
 * the least. */
static double measure_overhead(const struct scope_service *service) {
    enum { SLICES = 16, EACH = 64, BOOKKEEPING_NS = 3 };
    uint64_t least = UINT64_MAX;
    for (int slice = 0; slice < SLICES; slice++) {
        uint64_t from = clock_now(), sum = 0;
        for (int i = 0; i < 2 * EACH; i++)
            sum += service->has_cycles ? clock_cycles() : clock_now();
        __asm__ volatile("" : : "r"(sum));
        least = MIN(least, clock_now() - from);
    }
    return (double)least / EACH + BOOKKEEPING_NS;
}

void scope_service_set_facts(const struct scope_service *service, struct recording_writer *writer, const char *off_cpu) {
    char text[32];
    recording_set(writer, "scope clock", service->has_cycles ? "cycles" : "ns");
    recording_set(writer, "scope off-cpu", off_cpu);
    snprintf(text, sizeof text, "%" PRIu64, EVENT_NS);
    recording_set(writer, "scope event ns", text);
    snprintf(text, sizeof text, "%.1f", measure_overhead(service));
    recording_set(writer, "scope overhead ns", text);
}

uint32_t scope_service_other_versions(struct scope_service *service) {
    if (!service->variable[0])
        return 0;
    pthread_mutex_lock(&service->mutex);
    uint32_t count = service->other_versions;
    pthread_mutex_unlock(&service->mutex);
    return count;
}

void scope_service_set_last_facts(struct scope_service *service, struct recording_writer *writer) {
    char text[32];
    if (!service->variable[0])
        return;
    recording_set_counter(writer, "scope processes of another version", scope_service_other_versions(service));
    if (!service->has_seen)
        return;
    snprintf(text, sizeof text, "%.0f", service->worst_residual);
    recording_set(writer, "scope clock residual ns", text);
    pthread_mutex_lock(&service->mutex);
    recording_set_counter(writer, "scope processes refused", service->refused);
    pthread_mutex_unlock(&service->mutex);
}
