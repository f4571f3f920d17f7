/* SPDX-License-Identifier: MIT */
#include "pipeline/scopes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "pipeline/private.h"

enum { MEMORIES_MAX = 4096 };
static const uint64_t SNAPSHOT_NS = 1000000000, WAIT_NS = 2000000000, SEARCH_NS = 1000000;

uint64_t scope_line_ns(const struct scope_line *line, uint64_t ticks) {
    return line->origin_ns + (uint64_t)(int64_t)((double)(int64_t)(ticks - line->origin_ticks) * line->ns_per_tick);
}

uint64_t scope_line_ticks(const struct scope_line *line, uint64_t ns) {
    return line->origin_ticks + (uint64_t)(int64_t)((double)(int64_t)(ns - line->origin_ns) / line->ns_per_tick);
}

/* ---- memories and lives ---------------------------------------------------------------------------------------------------------- */

struct scope_memory *pipeline_scopes_memory(const struct scopes *s, uint32_t pid, uint64_t time) {
    uint64_t *latest = s->by_pid.used ? map_find(&s->by_pid, pid) : NULL;
    struct scope_memory *m = latest ? (struct scope_memory *)(uintptr_t)*latest : NULL;
    while (m && m->connected > time)
        m = m->older;
    return m;
}

struct scope_life *scope_life_of(const struct scope_memory *m, uint32_t tid) {
    uint64_t *life = map_find(&m->by_tid, tid);
    return life ? (struct scope_life *)(uintptr_t)*life : NULL;
}

static void life_free(struct scope_life *life) {
    for (size_t i = 0; i < life->measures.count; i++) {
        free(life->measures.items[i].buckets);
        free(life->measures.items[i].hit_elapsed);
        free(life->measures.items[i].elapsed);
    }
    vec_free(&life->measures);
    map_free(&life->by_site);
    vec_free(&life->paths);
    vec_free(&life->gaps);
    free(life);
}

static void memory_free(struct scope_memory *m) {
    for (size_t i = 0; i < m->lives.count; i++)
        life_free(m->lives.items[i]);
    vec_free(&m->lives);
    map_free(&m->by_position);
    map_free(&m->by_tid);
    vec_free(&m->sites);
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}

void pipeline_scopes_free(struct scopes *s) {
    for (size_t i = 0; i < s->memories.count; i++)
        memory_free(s->memories.items[i]);
    vec_free(&s->memories);
    map_free(&s->by_pid);
    map_free(&s->rows);
    map_free(&s->node_rows);
    vec_free(&s->open);
}

int pipeline_add_scopes(struct pipeline *p, uint32_t pid, int fd, uint64_t time) {
    struct scopes *s = &p->scopes;
    bool is_new;
    struct scope_memory *m = s->memories.count < MEMORIES_MAX ? calloc(1, sizeof *m) : NULL;
    struct scope_memory **slot = m ? vec_push(&s->memories) : NULL;
    uint64_t *latest = slot ? map_put(&s->by_pid, pid, &is_new) : NULL;
    if (!latest) {
        s->memories.count -= slot != NULL;
        free(m);
        close(fd);
        s->counts.threads_refused++;
        return -ENOMEM;
    }
    *m = (struct scope_memory){.fd = fd, .pid = pid, .connected = time, .older = (struct scope_memory *)(uintptr_t)*latest};
    *slot = m;
    *latest = (uintptr_t)m;
    s->counts.memories++;
    return 0;
}

static void forget_memory(struct scopes *s, size_t index) {
    struct scope_memory *m = s->memories.items[index];
    uint64_t *latest = map_find(&s->by_pid, m->pid);
    if (latest && *latest == (uintptr_t)m) {
        if (m->older)
            *latest = (uintptr_t)m->older;
        else
            map_remove(&s->by_pid, m->pid);
    }
    for (size_t i = 0; i < s->memories.count; i++)
        if (s->memories.items[i]->older == m)
            s->memories.items[i]->older = m->older;
    s->memories.items[index] = s->memories.items[--s->memories.count];
    memory_free(m);
}

void pipeline_scopes_space_end(struct pipeline *p, uint32_t pid, uint64_t time) {
    for (struct scope_memory *m = pipeline_scopes_memory(&p->scopes, pid, time); m; m = m->older)
        m->is_ending = true;
}

static struct scope_life *life_begin(struct scopes *s, struct scope_memory *m, uint32_t position, const struct scope_block *block) {
    bool is_new;
    struct scope_life *life = calloc(1, sizeof *life), **slot = life ? vec_push(&m->lives) : NULL;
    uint64_t *at = slot ? map_put(&m->by_position, position, &is_new) : NULL, *of_tid;
    if (at)
        *at = (uintptr_t)life;
    of_tid = at ? map_put(&m->by_tid, block->tid, &is_new) : NULL;
    if (!of_tid) {
        if (at)
            map_remove(&m->by_position, position);
        m->lives.count -= slot != NULL;
        free(life);
        return NULL;
    }
    *slot = life;
    *of_tid = (uintptr_t)life;
    life->position = position;
    life->tid = block->tid;
    life->start = block->start;
    life->thread = RECORDING_NONE;
    s->counts.threads++;
    return life;
}

static void life_end(struct scope_memory *m, struct scope_life *life) {
    uint64_t *of_tid = map_find(&m->by_tid, life->tid);
    if (of_tid && *of_tid == (uintptr_t)life)
        map_remove(&m->by_tid, life->tid);
    map_remove(&m->by_position, life->position);
    for (size_t i = 0; i < m->lives.count; i++)
        if (m->lives.items[i] == life) {
            m->lives.items[i] = m->lives.items[--m->lives.count];
            break;
        }
    life_free(life);
}

/* ---- rounds ---------------------------------------------------------------------------------------------------------------------- */

/* The recording's thread. A block may be seen before the events that made its thread have been applied: then it must wait. */
static bool find_thread(struct pipeline *p, const struct scope_memory *m, struct scope_life *life) {
    if (life->thread != RECORDING_NONE)
        return true;
    const struct process_task *task = process_task_find(p->table, m->pid, life->tid);
    uint64_t start = scope_line_ns(&p->scopes.line, life->start);
    if (!task || !task->owner || (task->is_ended && task->end < start))
        return false;
    life->thread = ((const struct pipeline_thread *)task->owner)->id;
    return true;
}

static bool gives_up(struct scopes *s, struct scope_life *life, bool is_last) {
    uint64_t now = clock_now();
    if (!life->waits_since)
        life->waits_since = now;
    if (!is_last && now - life->waits_since < WAIT_NS)
        return false;
    s->counts.unknown_threads++;
    return true;
}

/* The life that a block is in, begun at first sight; NULL: none. */
static struct scope_life *life_at(struct pipeline *p, struct scope_memory *m, uint32_t position, const struct scope_block *block) {
    uint64_t *known = map_find(&m->by_position, position);
    if (known)
        return (struct scope_life *)(uintptr_t)*known;
    if (block->state != SCOPE_THREAD_LIVE && block->state != SCOPE_THREAD_ENDED)
        return NULL;
    return life_begin(&p->scopes, m, position, block);
}

/* One block, as it is now. `is_last`: its process is gone. */
static void look_at_block(struct pipeline *p, struct scope_memory *m, uint32_t position, bool is_due, bool is_last, uint64_t until) {
    struct scope_block block;
    if (!scope_read_block(m, position, &block))
        return;
    struct scope_life *life = life_at(p, m, position, &block);
    if (!life)
        return;
    bool is_over = is_last || block.state == SCOPE_THREAD_ENDED;
    if (!find_thread(p, m, life)) {
        if (is_over && gives_up(&p->scopes, life, is_last)) {
            scope_free_block(m, position);
            life_end(m, life);
        }
        return;
    }
    scope_take_events(p, m, life, &block, until);
    /* An ended one waits until its last events, and with them the switches within, have been applied. */
    bool is_told = is_over && (is_last || block.tail == block.head);
    if (is_due || is_told)
        scope_write_life(p, m, life, &block, is_told);
    if (is_told) {
        if (!is_last)
            scope_free_block(m, position);
        life_end(m, life);
    }
}

static uint32_t blocks_of(const struct scope_shared *shared) {
    return MIN(atomic_load_explicit(&shared->thread_count, memory_order_relaxed), (uint32_t)SCOPE_THREADS_MAX);
}

void scope_find_lives(struct pipeline *p, struct scope_memory *m, uint64_t time) {
    struct scope_shared shared;
    struct scope_block block;
    if ((m->searched && time - m->searched < SEARCH_NS) || !scope_read_shared(m, &shared))
        return;
    m->searched = time;
    for (uint32_t i = 0, count = blocks_of(&shared), position; i < count; i++)
        if (scope_read_position(m, i, &position) && !map_find(&m->by_position, position) && scope_read_block(m, position, &block)) {
            struct scope_life *life = life_at(p, m, position, &block);
            if (life)
                (void)find_thread(p, m, life);
        }
}

static void look_at_memory(struct pipeline *p, struct scope_memory *m, bool is_due, bool is_last, uint64_t until) {
    struct scope_shared shared;
    if (!scope_read_shared(m, &shared))
        return;
    for (uint32_t i = 0, count = blocks_of(&shared); i < count; i++) {
        uint32_t position;
        if (scope_read_position(m, i, &position) && position)
            look_at_block(p, m, position, is_due, is_last, until);
    }
    struct scope_counts *counts = &p->scopes.counts;
    counts->sites_refused += atomic_load(&shared.sites_refused) - m->sites_refused;
    counts->threads_refused += atomic_load(&shared.threads_refused) - m->threads_refused;
    p->counts.mixed_libraries += atomic_load(&shared.foreign_version) != 0 && !m->is_foreign;
    m->sites_refused = atomic_load(&shared.sites_refused);
    m->threads_refused = atomic_load(&shared.threads_refused);
    m->is_foreign |= atomic_load(&shared.foreign_version) != 0;
}

static void look_at_all(struct pipeline *p, bool is_due, bool is_last, uint64_t until) {
    struct scopes *s = &p->scopes;
    for (size_t i = s->memories.count; i-- > 0;) {
        struct scope_memory *m = s->memories.items[i];
        bool is_over = is_last || m->is_ending;
        look_at_memory(p, m, is_due, is_over, is_over ? UINT64_MAX : until);
        if (is_over)
            forget_memory(s, i);
    }
}

void pipeline_scopes_round(struct pipeline *p, uint64_t until) {
    struct scopes *s = &p->scopes;
    if (!s->memories.count)
        return;
    uint64_t now = clock_now();
    bool is_due = now - s->last_snapshot >= SNAPSHOT_NS;
    if (is_due)
        s->last_snapshot = now;
    look_at_all(p, is_due, false, until);
}

void pipeline_scopes_finish(struct pipeline *p) {
    look_at_all(p, true, true, UINT64_MAX);
    pipeline_scopes_count(p);
}

/* ---- samples --------------------------------------------------------------------------------------------------------------------- */

static void note_hit(struct scope_measure *measure, uint64_t begin, uint64_t now) {
    if (!measure->hit_elapsed) {
        measure->hit_elapsed = calloc(LOGLINEAR_BUCKETS, sizeof *measure->hit_elapsed);
        measure->elapsed = calloc(LOGLINEAR_BUCKETS, sizeof *measure->elapsed);
        if (!measure->hit_elapsed || !measure->elapsed) {
            free(measure->hit_elapsed);
            measure->hit_elapsed = NULL;
            return;
        }
    }
    if (measure->hit_begin && measure->hit_begin != begin)
        scope_hit_over(measure);
    measure->hit_begin = begin;
    measure->hit_samples++;
    measure->hit_elapsed[loglinear_bucket(now > begin ? now - begin : 0)]++;
}

void scope_note_sample(struct pipeline *p, struct scope_life *life, uint64_t time) {
    struct scopes *s = &p->scopes;
    life->samples[life->sample_count++ % SCOPE_SAMPLES_REMEMBERED] = time;
    s->counts.samples += s->open.count != 0;
    uint64_t now = scope_line_ticks(&s->line, time);
    for (size_t i = 0; i < s->open.count; i++) {
        const struct scope_open *open = &s->open.items[i];
        bool is_outermost = open->begin != 0;
        for (size_t k = i + 1; k < s->open.count && is_outermost; k++)
            is_outermost = s->open.items[k].site != open->site;
        struct scope_measure *measure = is_outermost ? scope_measure_of(life, open->site) : NULL;
        if (measure)
            note_hit(measure, open->begin, now);
    }
}

/* ---- the clock, the counters ----------------------------------------------------------------------------------------------------- */

void pipeline_set_scope_clock(struct pipeline *p, const struct pipeline_scope_clock *clock) {
    p->scopes.line = (struct scope_line){clock->origin_ticks, clock->origin_ns, clock->ns_per_tick};
    p->scopes.inverse_period = clock->inverse_period;
}

void pipeline_scopes_count(struct pipeline *p) {
    const struct scope_counts *c = &p->scopes.counts;
    if (!c->memories)
        return;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"scope processes", c->memories},
        {"scope threads", c->threads},
        {"samples in scopes", c->samples},
        {"samples in scopes beyond the copied stack", c->beyond},
        {"scope records left on the stack", c->rejected},
        {"scopes unwound", c->unwound},
        {"scopes unfinished", c->unfinished},
        {"scope ends without a begin", c->unbalanced},
        {"scope sites refused", c->sites_refused},
        {"scope threads refused", c->threads_refused},
        {"scope spans refused", c->spans_refused},
        {"scope paths refused", c->nodes_refused},
        {"scope events lost", c->events_lost},
        {"span events lost", c->spans_lost},
        {"scope threads unknown", c->unknown_threads},
        {"scope libraries of another version", p->counts.mixed_libraries},
        {"context switches lost", c->switches_lost},
    };
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        recording_set_counter(p->writer, counters[i].name, counters[i].value);
    p->counts.scope_places = p->scopes.rows.used;
    p->counts.scope_events_lost = c->events_lost + c->spans_lost;
    p->counts.switches_lost = c->switches_lost;
    p->counts.scopes_refused = c->sites_refused + c->threads_refused + c->spans_refused + c->nodes_refused;
}
