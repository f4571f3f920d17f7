/* SPDX-License-Identifier: MIT */
#include "agent/private.h"
#include "base/system.h"

static void raise_rings_used(struct agent_shared *shared, uint32_t count) {
    uint32_t used = atomic_load_explicit(&shared->rings_used, memory_order_relaxed);
    while (used < count && !atomic_compare_exchange_weak_explicit(&shared->rings_used, &used, count, memory_order_release,
                                                                  memory_order_relaxed)) /* acquired by the recorder's refresh */
        ;
}

/* compare-and-swap acquires what the recorder released when it freed the ring: its tail is then where the head is. The ring of a thread of
 * this process is not free, whatever its owner says by now: two would write to one place of the table. */
static bool try_take(uint32_t index, uint64_t owner) {
    struct agent_ring *ring = agent_ring_at(agent_process.shared, index);
    uint64_t nobody = 0;
    return !atomic_load_explicit(&agent_threads[index].tid, memory_order_relaxed) &&
           !atomic_load_explicit(&ring->owner, memory_order_relaxed) &&
           atomic_compare_exchange_strong_explicit(&ring->owner, &nobody, owner, memory_order_acquire, memory_order_relaxed);
}

static struct agent_thread *found(uint32_t index, uint32_t tid) {
    struct agent_shared *shared = agent_process.shared;
    struct agent_ring *ring = agent_ring_at(shared, index);
    struct agent_thread *self = &agent_threads[index];
    uint64_t position = atomic_load_explicit(&ring->head, memory_order_relaxed);
    system_clear(self, sizeof *self);
    self->ring = ring;
    self->bytes = agent_ring_bytes(shared, index);
    self->position = position - position % AGENT_RECORD_ALIGN; /* only if somebody scribbled there */
    atomic_store_explicit(&self->tid, tid, memory_order_relaxed);
    atomic_store_explicit(&ring->tid, tid, memory_order_relaxed);
    atomic_store_explicit(&shared->ring_hint, index + 1, memory_order_relaxed);
    raise_rings_used(shared, index + 1);
    return self;
}

struct agent_thread *agent_ring_take(uint32_t tid) {
    struct agent_shared *shared = agent_process.shared;
    uint64_t owner = agent_owner(agent_process.pid, agent_process.image);
    uint32_t first = atomic_load_explicit(&shared->ring_hint, memory_order_relaxed), count = agent_process.rings;
    if (first >= count)
        first = 0;
    for (uint32_t i = first; i < count; i++)
        if (try_take(i, owner))
            return found(i, tid);
    for (uint32_t i = 0; i < first; i++)
        if (try_take(i, owner))
            return found(i, tid);
    return NULL;
}

static void count(_Atomic uint64_t *counter) {
    /* Its only writer is this thread. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/*
 * A ring that is never filled far need not be written all over: memory once written stays. So when the recorder has read everything, and
 * little was ever waiting for it, what is left of the lap is skipped. What is skipped counts as used until the recorder has passed it,
 * which leaves LAP_SHORT bytes of room.
 */
enum { LAP_SHORT = 256 << 10, LITTLE = LAP_SHORT / 2 };

static bool is_lap_over(struct agent_thread *self, uint64_t at, uint64_t used) {
    if (used > self->waiting_most && used < AGENT_RING_BYTES / 2) /* more is a skipped lap, or has passed through less */
        self->waiting_most = used;
    return !used && at >= LAP_SHORT && self->waiting_most < LITTLE;
}

void *agent_ring_begin(struct agent_thread *self, enum agent_record_type type, uint64_t size, uint64_t time) {
    struct agent_ring *ring = self->ring;
    uint64_t at = self->position % AGENT_RING_BYTES;
    size = (size + AGENT_RECORD_ALIGN - 1) & ~(uint64_t)(AGENT_RECORD_ALIGN - 1);
    uint64_t used = self->position - atomic_load_explicit(&ring->tail, memory_order_acquire); /* pairs with the recorder's release */
    uint64_t padding = AGENT_RING_BYTES - at < size || is_lap_over(self, at, used) ? AGENT_RING_BYTES - at : 0;
    uint64_t reserve = type == AGENT_SAMPLE ? AGENT_SIDEBAND_RESERVE : 0;
    if (size > AGENT_RECORD_MAX || used > AGENT_RING_BYTES || padding + size + reserve > AGENT_RING_BYTES - used) {
        count(type == AGENT_SAMPLE ? &ring->lost_samples : &ring->lost_sideband);
        return NULL;
    }
    uint8_t *bytes = self->bytes;
    if (padding) { /* at least AGENT_RECORD_ALIGN bytes: size and type fit */
        struct agent_record *pad = (struct agent_record *)(void *)(bytes + at);
        pad->size = (uint32_t)padding;
        pad->type = AGENT_PAD;
        self->position += padding;
        at = 0;
    }
    struct agent_record *record = (struct agent_record *)(void *)(bytes + at);
    *record = (struct agent_record){.size = (uint32_t)size, .type = (uint16_t)type, .pid = agent_process.pid, .time = time};
    record->tid = atomic_load_explicit(&self->tid, memory_order_relaxed);
    self->position += size;
    return record;
}

void agent_ring_commit(struct agent_thread *self) {
    atomic_store_explicit(&self->ring->head, self->position, memory_order_release); /* acquired by the recorder's refresh */
}

void agent_ring_end(struct agent_thread *self) {
    struct agent_ring *ring = self->ring;
    uint64_t mine = agent_owner(agent_process.pid, agent_process.image);
    self->ring = NULL; /* before the recorder can give it to another thread of this process, who finds its place in the table at once */
    self->stack_low = self->stack_end = 0; /* the last signal of its timer is not to take it for the caller's */
    atomic_store_explicit(&self->tid, 0, memory_order_relaxed);
    /* Released, and acquired by the recorder before its last look at head. If it is not ours any more, somebody scribbles. */
    (void)atomic_compare_exchange_strong_explicit(&ring->owner, &mine, mine | AGENT_OWNER_ENDED, memory_order_release,
                                                  memory_order_relaxed);
}
