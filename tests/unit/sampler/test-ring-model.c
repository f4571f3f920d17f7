/* SPDX-License-Identifier: MIT */
/*
 * The agent's ring and the recorder's reader of it against a model: a list of what was written and not read yet.
 *
 * Once in one thread, through every order of writing, looking, reading and giving back that chance makes of a seed, so that each place of
 * the ring's end, a skipped lap and a full ring are met with every size; once with threads that take rings, fill them and end while the
 * reader is at work, for ThreadSanitizer to watch. Whatever is lost is lost by a refused begin, and told as often as it was refused.
 */
#include <pthread.h>
#include <sched.h>

#include "base/clock.h"
#include "tests/check.h"
#include "tests/unit/sampler/ring.h"

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Small ones, usual ones, the largest that there are. */
static uint32_t draw_stack(uint64_t *state) {
    static const uint32_t largest[] = {64, 2000, 17000, AGENT_RECORD_MAX - sizeof(struct agent_sample) - AGENT_RECORD_ALIGN};
    return (uint32_t)(draw(state) % (largest[draw(state) % 4] + 1));
}

/* Every byte of the stack is told by the number, so that one record cannot pass for another. */
static uint8_t byte_of(uint64_t number, uint32_t i) {
    return (uint8_t)(number * 131 + i * 7);
}

static bool write_numbered(struct agent_thread *self, uint64_t number, uint32_t stack) {
    struct agent_sample *sample = agent_ring_begin(self, AGENT_SAMPLE, sizeof *sample + stack, clock_now());
    if (!sample)
        return false;
    sample->weight = number;
    sample->stack_length = stack;
    for (uint32_t i = 0; i < stack; i++)
        ((uint8_t *)(sample + 1))[i] = byte_of(number, i);
    agent_ring_commit(self);
    return true;
}

static bool is_numbered(const struct raw_sample *sample, uint64_t number, uint32_t stack) {
    if (sample->weight != number || sample->stack_length != stack)
        return false;
    for (uint32_t i = 0; i < stack; i++)
        if (sample->stack[i] != byte_of(number, i))
            return false;
    return true;
}

/* ---- one thread ------------------------------------------------------------------------------------------------------------------ */

struct model {
    uint32_t sizes[AGENT_RING_BYTES / sizeof(struct agent_sample)]; /* stack of record `number`, at number % the array's length */
    uint64_t written, seen, read, refused, told;                    /* numbers of records: read <= seen <= written */
};

enum { PLACES = sizeof((struct model *)0)->sizes / sizeof(uint32_t) };

static struct model model;

static bool next_event(struct raw_event *ret) {
    uint64_t time;
    if (!source.base.peek(&source.base, &time))
        return false;
    source.base.next(&source.base, ret);
    return true;
}

static void step_write(struct agent_thread *self, uint64_t *random) {
    uint32_t stack = draw_stack(random);
    if (write_numbered(self, model.written, stack))
        model.sizes[model.written++ % PLACES] = stack;
    else
        model.refused++;
    CHECK(model.written - model.read <= PLACES);
}

static void step_look(void) {
    source.base.refresh(&source.base);
    model.seen = model.written;
}

static void step_read(uint64_t count) {
    struct raw_event event;
    while (count-- && next_event(&event)) {
        if (event.type == RAW_LOSS) {
            CHECK_EQ(event.loss.kind, RAW_LOSS_SAMPLES);
            model.told += event.loss.count;
            continue;
        }
        CHECK_EQ(event.type, RAW_SAMPLE);
        CHECK(model.read < model.seen);
        CHECK(is_numbered(&event.sample, model.read, model.sizes[model.read % PLACES]));
        model.read++;
    }
}

static void read_all(struct agent_thread *self) {
    step_look();
    step_read(UINT64_MAX);
    source.base.release(&source.base);
    CHECK_EQ(model.read, model.written);
    CHECK_EQ(model.told, model.refused);
    CHECK_EQ(atomic_load(&self->ring->tail), atomic_load(&self->ring->head));
}

static void run_model(uint64_t seed) {
    ring_set_up(0);
    model = (struct model){0};
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct agent_thread *self = agent_ring_take(77);
    CHECK(self != NULL);
    for (int step = 0; step < 1200 && !check_failed; step++) {
        uint64_t chance = draw(&random) % 100, writes = 55 + seed % 40; /* some readers are slow */
        if (chance < writes)
            step_write(self, &random);
        else if (chance < writes + 2)
            step_look();
        else if (chance < writes + 4)
            step_read(draw(&random) % 200);
        else if (chance < writes + 5)
            source.base.release(&source.base);
        if (draw(&random) % 512 == 0) {
            read_all(self);
            uint64_t refused = model.refused;
            step_write(self, &random); /* into an empty ring anything goes */
            CHECK_EQ(model.refused, refused);
        }
        uint64_t head = atomic_load(&self->ring->head), tail = atomic_load(&self->ring->tail);
        CHECK(tail <= head && head <= tail + AGENT_RING_BYTES);
    }
    read_all(self);
    CHECK(model.written > 100);
    ring_tear_down();
}

TEST(any_order_of_writing_and_reading) {
    bool was_full = false;
    for (uint64_t seed = 1; seed <= 40 && !check_failed; seed++) {
        run_model(seed);
        was_full = was_full || model.refused;
        if (check_failed)
            printf("# seed %" PRIu64 "\n", seed);
    }
    if (!check_failed)
        CHECK(was_full);
}

/* ---- many threads ---------------------------------------------------------------------------------------------------------------- */

enum { WRITERS = 4, LIVES = 25, RECORDS = 60 };

static _Atomic uint64_t refused_in_all;
static _Atomic uint32_t writers_left;

static uint64_t number_of(uint64_t writer, uint64_t life, uint64_t i) {
    return (writer * LIVES + life) * RECORDS + i;
}

static uint32_t stack_of(uint64_t number) {
    uint64_t state = number * 77 + 1;
    return (uint32_t)(draw(&state) % 9000);
}

/* Takes a ring, fills it, ends, again and again: as threads that come and go. */
static void *live_many_times(void *argument) {
    uint64_t writer = (uint64_t)(uintptr_t)argument;
    for (uint64_t life = 0; life < LIVES; life++) {
        struct agent_thread *self;
        while (!(self = agent_ring_take((uint32_t)(100 + writer))))
            sched_yield();
        for (uint64_t i = 0; i < RECORDS;) {
            uint64_t number = number_of(writer, life, i);
            if (write_numbered(self, number, stack_of(number))) {
                i++;
            } else {
                atomic_fetch_add(&refused_in_all, 1);
                sched_yield();
            }
        }
        agent_ring_end(self);
    }
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

/* Within the life of a writer in its order; lives of one writer are read in any, for each has a ring of its own. */
static uint64_t next_of[WRITERS * LIVES];

static void take_sample_of(const struct raw_sample *sample) {
    uint64_t life = sample->weight / RECORDS;
    CHECK(life < WRITERS * LIVES);
    CHECK_EQ(sample->weight % RECORDS, next_of[life]);
    CHECK(is_numbered(sample, sample->weight, stack_of(sample->weight)));
    next_of[life]++;
}

static uint64_t drain_once(uint64_t *lost) {
    struct raw_event event;
    uint64_t taken = 0;
    source.base.refresh(&source.base);
    while (!check_failed && next_event(&event)) {
        if (event.type == RAW_SAMPLE) {
            take_sample_of(&event.sample);
            taken++;
        } else if (event.type == RAW_LOSS && event.loss.kind == RAW_LOSS_SAMPLES) {
            *lost += event.loss.count;
        }
    }
    source.base.release(&source.base);
    return taken;
}

TEST(threads_that_come_and_go_while_the_reader_reads) {
    ring_set_up(0);
    pthread_t threads[WRITERS];
    uint64_t taken = 0, lost = 0;
    memset(next_of, 0, sizeof next_of);
    atomic_store(&writers_left, WRITERS);
    for (uintptr_t i = 0; i < WRITERS; i++)
        if (pthread_create(&threads[i], NULL, live_many_times, (void *)i) != 0)
            abort();
    bool is_last = false;
    while (!is_last) {
        is_last = !atomic_load(&writers_left);
        taken += drain_once(&lost);
        sched_yield();
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    taken += drain_once(&lost);
    CHECK_EQ(taken, WRITERS * LIVES * RECORDS);
    CHECK_EQ(lost, atomic_load(&refused_in_all));
    ring_tear_down();
}

/* ---- scribble while it reads ------------------------------------------------------------------------------------------------------ */

#if defined(__SANITIZE_THREAD__)
#define IS_RACE_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_RACE_WATCHED 1
#endif
#endif

#ifndef IS_RACE_WATCHED /* the race is the point */
static _Atomic bool is_over;

static void spoil(uint64_t *random) {
    uint64_t value = draw(random) % 4 ? draw(random) >> (draw(random) % 64) : (uint64_t)0 - draw(random) % 32;
    uint32_t ring = (uint32_t)(draw(random) % 4);
    uint8_t *header = (uint8_t *)agent_ring_at(memory, ring), *bytes = agent_ring_bytes(memory, ring);
    uint8_t *at = draw(random) % 2 ? header + draw(random) % (AGENT_RING_HEADER_BYTES / 8) * 8 : bytes + draw(random) % 8192 * 8;
    *(volatile uint64_t *)(void *)at = value;
}

static void *scribble(void *argument) {
    uint64_t random = (uintptr_t)argument | 1;
    while (!atomic_load(&is_over))
        spoil(&random);
    return NULL;
}

static uint64_t touch(const struct raw_event *event) {
    uint64_t sum = 0;
    if (event->type == RAW_SAMPLE)
        for (uint32_t i = 0; i < event->sample.stack_length; i++)
            sum += event->sample.stack[i];
    if (event->type == RAW_MAPPING)
        sum += strlen(event->mapping.path);
    return sum;
}

TEST(somebody_scribbles_while_the_reader_reads) {
    ring_set_up(0);
    pthread_t thread;
    uint64_t malformed = 0, random = 5;
    static volatile uint64_t sink;
    atomic_store(&is_over, false);
    atomic_store(&((struct agent_shared *)memory)->rings_used, 4);
    if (pthread_create(&thread, NULL, scribble, (void *)(uintptr_t)clock_now()) != 0)
        abort();
    for (int round = 0; round < 300; round++) {
        struct raw_event event;
        for (int i = 0; i < 50; i++)
            spoil(&random);
        source.base.refresh(&source.base);
        while (next_event(&event)) { /* ends, for the heads are those of the refresh */
            sink = sink + touch(&event);
            malformed += event.type == RAW_LOSS && event.loss.kind == RAW_LOSS_MALFORMED;
        }
        source.base.release(&source.base);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    CHECK(malformed > 0);
    ring_tear_down();
}
#endif

TEST_MAIN()
