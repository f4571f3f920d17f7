/* SPDX-License-Identifier: MIT */
#include "sampler/signal-source.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "sampler/signal-record.h"

enum { REAP_NS = 200000000, ASKED_AT_ONCE = 32 };

static struct signal_source *of(struct raw_source *base) {
    return (struct signal_source *)(void *)((char *)base - offsetof(struct signal_source, base));
}

static struct agent_shared *shared_of(const struct signal_source *source) {
    return source->memory;
}

static void put_pending(struct signal_source *source, const struct raw_event *event) {
    struct raw_event *slot = vec_push(&source->pending);
    if (slot) /* without memory the recording ends anyway */
        *slot = *event;
}

static void put_loss(struct signal_source *source, enum raw_loss_kind kind, uint64_t count, uint64_t time) {
    put_pending(source, &(struct raw_event){.type = RAW_LOSS, .time = time, .loss = {.kind = kind, .count = count}});
}

/* ---- looking how far the rings are ----------------------------------------------------------------------------------------------- */

/* So many records can have been lost in this time, at most: samples come once a period, or twice where a ring changes hands; of mappings
 * and tasks one takes a microsecond. And some at once. */
static uint64_t losses_max(uint64_t passed, uint64_t interval, uint64_t at_once) {
    return interval ? passed / interval * 2 + at_once : UINT64_MAX;
}

static void refresh_loss(struct signal_source *source, enum raw_loss_kind kind, uint64_t now_lost, uint64_t *told, uint64_t max,
                         uint64_t time) {
    uint64_t lost = now_lost - *told;
    *told = now_lost;
    if (lost > max) { /* it shrank, or leapt: scribble */
        put_loss(source, RAW_LOSS_MALFORMED, 1, time);
    } else if (lost) {
        put_loss(source, kind, lost, time);
    }
}

/* The thread counts what found no room. */
static void refresh_losses(struct signal_source *source, struct signal_ring *ring) {
    enum { SAMPLES_AT_ONCE = 64, SIDEBAND_NS = 1000, SIDEBAND_AT_ONCE = 4096 };
    uint64_t samples = atomic_load_explicit(&ring->shared->lost_samples, memory_order_relaxed);
    uint64_t sideband = atomic_load_explicit(&ring->shared->lost_sideband, memory_order_relaxed);
    uint64_t passed = source->now - MAX(ring->refreshed, source->start);
    /* As old as what waits in the ring: a newer event at the front would hold that up, which keeps the ring full, and so on. */
    uint64_t time = ring->has_record ? ring->time : source->now;
    refresh_loss(source, RAW_LOSS_SAMPLES, samples, &ring->lost_samples, losses_max(passed, source->period, SAMPLES_AT_ONCE), time);
    refresh_loss(source, RAW_LOSS_SIDEBAND, sideband, &ring->lost_sideband, losses_max(passed, SIDEBAND_NS, SIDEBAND_AT_ONCE), time);
    ring->refreshed = source->now;
}

static void skip_to_head(struct signal_source *source, struct signal_ring *ring) {
    ring->at = ring->head;
    put_loss(source, RAW_LOSS_MALFORMED, 1, source->now);
}

static void refresh_ring(struct signal_source *source, struct signal_ring *ring) {
    /* Before head: if it says that its thread has ended, head is the last. Pairs with agent_ring_end. */
    ring->owner = atomic_load_explicit(&ring->shared->owner, memory_order_acquire);
    if (!ring->owner)
        return;
    ring->head = atomic_load_explicit(&ring->shared->head, memory_order_acquire); /* pairs with agent_ring_commit */
    if (ring->head - ring->at > AGENT_RING_BYTES || ring->head % AGENT_RECORD_ALIGN) {
        ring->head -= ring->head % AGENT_RECORD_ALIGN;
        skip_to_head(source, ring);
    }
    refresh_losses(source, ring);
}

static bool is_gone(uint32_t pid) {
    return pid == 0 || pid > INT_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

/* Whoever was killed does not say so. Before the refresh: what it wrote is then seen whole. */
static void look_who_is_gone(struct signal_source *source) {
    uint32_t last_pid = 0;
    bool last_gone = false;
    for (uint32_t i = 0; i < source->used; i++) {
        struct signal_ring *ring = &source->rings[i];
        uint32_t pid = agent_owner_pid(ring->owner);
        if (!ring->owner || ring->owner & AGENT_OWNER_ENDED || ring->is_abandoned)
            continue;
        if (pid != last_pid)
            last_gone = is_gone(pid);
        last_pid = pid;
        ring->is_abandoned = last_gone;
    }
}

/* A few at a time: each costs some 20 us. */
static void look_who_blocks(struct signal_source *source) {
    for (uint32_t i = 0; i < MIN(source->used, (uint32_t)ASKED_AT_ONCE); i++) {
        const struct signal_ring *ring = &source->rings[source->asked++ % source->used];
        if (ring->owner && !(ring->owner & AGENT_OWNER_ENDED) && !ring->is_abandoned)
            blocking_threads_look(&source->blocking, agent_owner_pid(ring->owner),
                                  atomic_load_explicit(&ring->shared->tid, memory_order_relaxed), ring->head);
    }
}

/* ---- records --------------------------------------------------------------------------------------------------------------------- */

static const uint8_t *bytes_at(const struct signal_source *source, const struct signal_ring *ring) {
    return agent_ring_bytes(source->memory, (uint32_t)(ring - source->rings)) + ring->at % AGENT_RING_BYTES;
}

/* Finds the next record of a ring, past padding. */
static bool find_record(struct signal_source *source, struct signal_ring *ring) {
    while (!ring->has_record && ring->at != ring->head) {
        uint64_t rest = AGENT_RING_BYTES - ring->at % AGENT_RING_BYTES;
        struct agent_record record = {0};
        memcpy(&record, bytes_at(source, ring), MIN(rest, sizeof record));
        if (record.size < AGENT_RECORD_ALIGN || record.size % AGENT_RECORD_ALIGN || record.size > MIN(rest, ring->head - ring->at)) {
            skip_to_head(source, ring);
        } else if (record.type == AGENT_PAD) {
            ring->at += record.size;
        } else {
            ring->time = MIN(MAX(record.time, source->start), source->now);
            ring->has_record = true;
        }
    }
    return ring->has_record;
}

/* ---- the order of the rings: a heap by the time of their next record -------------------------------------------------------------- */

static uint64_t time_of(const struct signal_source *source, uint32_t place) {
    return source->rings[source->heap[place]].time;
}

static void sift_down(struct signal_source *source, uint32_t place) {
    for (;;) {
        uint32_t least = place, left = 2 * place + 1;
        for (uint32_t child = left; child < left + 2 && child < source->heap_count; child++)
            if (time_of(source, child) < time_of(source, least))
                least = child;
        if (least == place)
            return;
        uint32_t index = source->heap[place];
        source->heap[place] = source->heap[least];
        source->heap[least] = index;
        place = least;
    }
}

static void order_rings(struct signal_source *source) {
    source->heap_count = 0;
    for (uint32_t i = 0; i < source->used; i++)
        if (find_record(source, &source->rings[i]))
            source->heap[source->heap_count++] = i;
    for (uint32_t i = source->heap_count / 2; i-- > 0;)
        sift_down(source, i);
}

/* The first ring's record is taken. */
static void order_first(struct signal_source *source) {
    if (!find_record(source, &source->rings[source->heap[0]]))
        source->heap[0] = source->heap[--source->heap_count];
    sift_down(source, 0);
}

static void source_refresh(struct raw_source *base) {
    struct signal_source *source = of(base);
    struct agent_shared *shared = shared_of(source);
    uint64_t before = MAX(source->now, source->start);
    source->now = clock_now();
    if (!signal_figures_refresh(&source->figures, shared, source->now - before))
        put_loss(source, RAW_LOSS_MALFORMED, 1, source->now);
    atomic_store_explicit(&shared->heartbeat, source->now, memory_order_relaxed);
    if (source->now - source->reaped > REAP_NS) {
        source->reaped = source->now;
        look_who_is_gone(source);
        look_who_blocks(source);
    }
    uint32_t used = atomic_load_explicit(&shared->rings_used, memory_order_acquire); /* pairs with raise_rings_used */
    source->used = MAX(source->used, MIN(used, (uint32_t)AGENT_RINGS));
    for (uint32_t i = 0; i < source->used; i++)
        refresh_ring(source, &source->rings[i]);
    order_rings(source);
}

/* ---- records taken --------------------------------------------------------------------------------------------------------------- */

/* A new program in `pid`: the threads of the old one are gone. */
static void abandon_others(struct signal_source *source, uint32_t pid, uint32_t image) {
    for (uint32_t i = 0; i < source->used; i++) {
        struct signal_ring *ring = &source->rings[i];
        if (agent_owner_pid(ring->owner) == pid && agent_owner_image(ring->owner) < image)
            ring->is_abandoned = true;
    }
}

/* What the source itself learns of an event. */
static void hear(struct signal_source *source, const struct raw_event *event) {
    const struct raw_task *task = &event->task;
    bool is_new;
    if (event->type != RAW_TASK)
        return;
    switch (task->change) {
    case RAW_TASK_FORK:
        source->threads_born++;
        (void)map_put(&source->processes, task->pid, &is_new);
        break;
    case RAW_TASK_EXEC:
        source->is_command_seen = source->is_command_seen || task->pid == source->command;
        if (!map_find(&source->processes, task->pid))
            source->threads_born++;
        (void)map_put(&source->processes, task->pid, &is_new);
        break;
    case RAW_TASK_CPU:
        source->cpu_told += task->cpu_time;
        source->threads_told++;
        break;
    case RAW_TASK_COMM:
    case RAW_TASK_EXIT:
        break;
    }
}

/* Whether a thread can have used what is said of it. Generously: the clocks are not the same, and first samples weigh more. */
static bool is_possible(const struct signal_source *source, const struct raw_event *event) {
    enum { SLACK_NS = 1000000000 };
    uint64_t most = 2 * (source->now - source->start) + SLACK_NS;
    return event->type == RAW_SAMPLE ? event->sample.weight <= most
                                     : event->type != RAW_TASK || event->task.change != RAW_TASK_CPU || event->task.cpu_time <= most;
}

static void take_record(struct signal_source *source, struct signal_ring *ring) {
    struct agent_record record;
    uint64_t room = MIN(AGENT_RING_BYTES - ring->at % AGENT_RING_BYTES, ring->head - ring->at);
    memcpy(&record, bytes_at(source, ring), sizeof record); /* again: it may have changed since */
    size_t size = MIN(MIN((uint64_t)record.size, room), (uint64_t)AGENT_RECORD_MAX);
    memcpy(source->copy, bytes_at(source, ring), size);
    struct raw_event events[SIGNAL_EVENTS_MAX];
    struct signal_exec exec = {0};
    size_t count = record.size > room ? 0 : signal_record_decode(source->copy, size, source->event, &source->processes, events, &exec);
    ring->has_record = false;
    if (!count || !is_possible(source, &events[0])) { /* what was used comes first */
        put_loss(source, RAW_LOSS_MALFORMED, 1, ring->time);
        ring->at =
            record.size > room || record.size < AGENT_RECORD_ALIGN || record.size % AGENT_RECORD_ALIGN ? ring->head : ring->at + size;
        return;
    }
    ring->at += size;
    for (size_t i = 0; i < count; i++) {
        events[i].time = ring->time;
        hear(source, &events[i]);
        put_pending(source, &events[i]);
    }
    memcpy(&record, source->copy, sizeof record);
    ring->tid = record.type == AGENT_END ? 0 : record.tid;
    if (exec.pid)
        abandon_others(source, exec.pid, exec.image);
}

/* ---- the source ------------------------------------------------------------------------------------------------------------------ */

static bool has_pending(struct signal_source *source) {
    if (source->pending_taken < source->pending.count)
        return true;
    vec_clear(&source->pending);
    source->pending_taken = 0;
    return false;
}

static bool source_peek(struct raw_source *base, uint64_t *ret_time) {
    struct signal_source *source = of(base);
    if (!has_pending(source) && !source->heap_count)
        return false;
    *ret_time = has_pending(source) ? source->pending.items[source->pending_taken].time : time_of(source, 0);
    return true;
}

static void source_next(struct raw_source *base, struct raw_event *ret) {
    struct signal_source *source = of(base);
    while (!has_pending(source)) {
        if (!source->heap_count) { /* out of memory */
            *ret = (struct raw_event){.type = RAW_LOSS, .time = source->now, .loss = {.kind = RAW_LOSS_MALFORMED, .count = 1}};
            return;
        }
        take_record(source, &source->rings[source->heap[0]]);
        order_first(source);
    }
    *ret = source->pending.items[source->pending_taken++];
}

/* The ring is read to its end, and its thread is gone: it is free for another. */
static void give_up(struct signal_source *source, struct signal_ring *ring) {
    uint32_t pid = agent_owner_pid(ring->owner);
    bool is_process_gone = ring->is_abandoned && !(ring->owner & AGENT_OWNER_ENDED) && is_gone(pid);
    if (ring->tid && (is_process_gone || ring->owner & AGENT_OWNER_ENDED))
        put_pending(source, &(struct raw_event){
                                .type = RAW_TASK, .time = source->now, .task = {.change = RAW_TASK_EXIT, .pid = pid, .tid = ring->tid}});
    if (is_process_gone)
        (void)map_remove(&source->processes, pid);
    ring->is_abandoned = false;
    ring->tid = 0;
    uint64_t owner = ring->owner;
    /* release: whoever takes it (agent_ring_take acquires) sees the tail. If it is another's already, its memory is being scribbled on. */
    (void)atomic_compare_exchange_strong_explicit(&ring->shared->owner, &owner, 0, memory_order_release, memory_order_relaxed);
    ring->owner = 0;
    uint32_t index = (uint32_t)(ring - source->rings);
    if (index < atomic_load_explicit(&shared_of(source)->ring_hint, memory_order_relaxed)) /* the low ones first: few are then looked at */
        atomic_store_explicit(&shared_of(source)->ring_hint, index, memory_order_relaxed);
}

static void source_release(struct raw_source *base) {
    struct signal_source *source = of(base);
    for (uint32_t i = 0; i < source->used; i++) {
        struct signal_ring *ring = &source->rings[i];
        if (!ring->owner)
            continue;
        atomic_store_explicit(&ring->shared->tail, ring->at, memory_order_release); /* acquired by agent_ring_begin */
        if (!(ring->owner & AGENT_OWNER_ENDED) && !ring->is_abandoned)
            continue;
        /* Its last record may be younger than our last look. Pairs with agent_ring_commit. */
        if (atomic_load_explicit(&ring->shared->head, memory_order_acquire) == ring->at)
            give_up(source, ring);
    }
}

bool signal_source_is_urgent(const struct signal_source *source) {
    for (uint32_t i = 0; i < source->used; i++) {
        const struct signal_ring *ring = &source->rings[i];
        if (ring->owner && atomic_load_explicit(&ring->shared->head, memory_order_relaxed) - ring->at > AGENT_RING_BYTES / 4)
            return true;
    }
    return false;
}

int signal_source_init(struct signal_source *source, void *memory, uint16_t event, uint32_t command, int signal) {
    *source = (struct signal_source){.base = {source_refresh, source_peek, source_next, source_release},
                                     .memory = memory,
                                     .event = event,
                                     .command = command,
                                     .period = ((const struct agent_shared *)memory)->period,
                                     .blocking = {.signal = signal},
                                     .start = clock_now()};
    source->rings = calloc(AGENT_RINGS, sizeof *source->rings);
    source->heap = calloc(AGENT_RINGS, sizeof *source->heap);
    source->copy = aligned_alloc(64, ROUND_UP(AGENT_RECORD_MAX, 64));
    if (!source->rings || !source->heap || !source->copy) {
        signal_source_free(source);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < AGENT_RINGS; i++)
        source->rings[i].shared = agent_ring_at(memory, i);
    return 0;
}

void signal_source_free(struct signal_source *source) {
    free(source->rings);
    free(source->heap);
    free(source->copy);
    vec_free(&source->pending);
    map_free(&source->processes);
    blocking_threads_free(&source->blocking);
    source->rings = NULL;
    source->heap = NULL;
    source->copy = NULL;
}
