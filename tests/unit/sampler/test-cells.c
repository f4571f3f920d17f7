/* SPDX-License-Identifier: MIT */
/* agent/cells.h, on threads made up here: where their samples fall and what they weigh, beside what is known of them. */
#include "agent/cells.h"
#include "tests/check.h"

enum { PERIOD = 1000000, USUAL = 2000, BINS = 10 };

static uint64_t state = 88172645463325252;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* A thread that is on a CPU for `on` and then off it for up to twice `off`, and so on, for `life` of CPU time. */
struct thread {
    uint64_t on, off, life;
};

struct result {
    uint64_t samples, weight, late;
    uint64_t by_place[BINS]; /* samples by where in a time on the CPU they fall */
};

/* As the handler does it: a signal comes when its timer expires, or when the thread is back on a CPU. */
static void live(const struct thread *thread, struct result *result) {
    struct cells cells = {0};
    uint64_t now = draw() % PERIOD + PERIOD, started = now, cpu = 0, sampled = 0, seen = now, cpu_seen = 0;
    uint64_t expected = cells_next(&cells, now, PERIOD, draw(), draw());
    while (cpu < thread->life) {
        for (uint64_t left = thread->on < thread->life - cpu ? thread->on : thread->life - cpu, length = left;;) {
            uint64_t until = expected > now ? expected - now : 0;
            if (until >= left) {
                now += left;
                cpu += left;
                break;
            }
            now += until;
            cpu += until;
            left -= until;
            if (cells_was_waiting(now - expected, USUAL, now - seen, cpu - cpu_seen)) {
                result->late++;
            } else {
                result->samples++;
                result->weight += sampled ? cpu - sampled : cells_first_weight(cpu, now - started + 1, PERIOD);
                result->by_place[(length - left) * BINS / length]++;
                sampled = cpu;
            }
            seen = now;
            cpu_seen = cpu;
            expected = cells_next(&cells, now, PERIOD, draw(), draw());
        }
        if (thread->off)
            now += draw() % (2 * thread->off);
    }
}

static struct result live_often(const struct thread *thread, unsigned lives) {
    struct result result = {0};
    for (unsigned i = 0; i < lives; i++)
        live(thread, &result);
    return result;
}

static bool is_near(uint64_t value, double wanted, double share) {
    return (double)value >= wanted * (1 - share) && (double)value <= wanted * (1 + share);
}

static void check_even(const struct result *result, double share) {
    for (unsigned i = 0; i < BINS; i++)
        CHECK(is_near(result->by_place[i], (double)result->samples / BINS, share));
}

TEST(a_thread_that_always_runs) {
    const struct thread thread = {.on = 3 * PERIOD, .life = 3000ull * PERIOD};
    struct result result = live_often(&thread, 20);
    CHECK(is_near(result.samples, 60000, .001));
    CHECK(is_near(result.weight, 60000.0 * PERIOD, .001));
    CHECK(result.late == 0);
    check_even(&result, .05);
}

/* It waits three times as long as it runs: a signal for each cell, a sample for each period of CPU time, and none more likely where it
 * got its CPU back. */
TEST(a_thread_that_mostly_waits) {
    const struct thread thread = {.on = 3 * PERIOD / 10, .off = 9 * PERIOD / 10, .life = 3000ull * PERIOD};
    struct result result = live_often(&thread, 20);
    CHECK(is_near(result.samples, 60000, .06)); /* those that waited for less than USUAL are not told from those that ran */
    CHECK(is_near(result.weight, 60000.0 * PERIOD, .001));
    CHECK(result.late > result.samples);
    for (unsigned i = 1; i < BINS; i++)
        CHECK(is_near(result.by_place[i], (double)result.by_place[1], .06));
    CHECK(is_near(result.by_place[0], (double)result.by_place[1], .5));
}

TEST(a_thread_that_waits_for_long) {
    const struct thread thread = {.on = 3 * PERIOD, .off = 20 * PERIOD, .life = 3000ull * PERIOD};
    struct result result = live_often(&thread, 20);
    CHECK(is_near(result.samples, 60000, .02));
    CHECK(is_near(result.weight, 60000.0 * PERIOD, .001));
    check_even(&result, .05);
}

TEST(short_lives_show_all_their_time) {
    static const uint64_t lives[] = {PERIOD / 10, PERIOD / 2, PERIOD, 2 * PERIOD, 5 * PERIOD};
    for (unsigned i = 0; i < sizeof lives / sizeof lives[0]; i++)
        for (unsigned off = 0; off < 2; off++) {
            const struct thread thread = {.on = PERIOD / 20, .off = off ? PERIOD : 0, .life = lives[i]};
            struct result result = live_often(&thread, 100000);
            printf("# lives of %llu us, %s: %.3f of their time\n", (unsigned long long)lives[i] / 1000, off ? "waiting" : "running",
                   (double)result.weight / (100000.0 * (double)lives[i]));
            CHECK(is_near(result.weight, 100000.0 * (double)lives[i], off ? .08 : .05));
        }
}

TEST(a_long_call_of_the_kernel_is_no_waiting) {
    CHECK(!cells_was_waiting(USUAL, USUAL, PERIOD, 0));
    CHECK(!cells_was_waiting(700000, USUAL, PERIOD, PERIOD - 3000));
    CHECK(cells_was_waiting(700000, USUAL, PERIOD, PERIOD - 700000));
    CHECK(!cells_was_waiting(700000, USUAL, PERIOD, PERIOD + 5000)); /* the clocks are not read at once */
}

TEST_MAIN()
