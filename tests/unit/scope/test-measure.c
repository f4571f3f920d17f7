/* SPDX-License-Identifier: MIT */
/* What begin and end measure, against what the program counts for itself. Each case is a process of its own, recorded. */
#include "tests/unit/scope/recorder.h"

enum { PERIOD = 1000000 }; /* ticks, for the variance */

static uint64_t now(void) {
    return __builtin_ia32_rdtsc();
}

static void burn(uint64_t ticks) {
    uint64_t end = now() + ticks;
    while (now() < end)
        ;
}

/* What the child counted, for the parent. */
struct witness {
    uint64_t calls, ticks, least, most;
    uint64_t variance; /* 2^-30 */
    uint64_t longest[SCOPE_SLOWEST];
    uint64_t values[4096];
};
static struct witness *witness;

static bool open_both(struct recorder *recorder, uint64_t event_ticks) {
    witness = mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return witness != MAP_FAILED && recorder_open(recorder, event_ticks, UINT64_MAX / PERIOD);
}

static void close_both(struct recorder *recorder) {
    recorder_close(recorder);
    munmap(witness, sizeof *witness);
}

/* Runs `body` as an annotated program in `shared`. */
#define RECORD(recorder, body, event_ticks)                 \
    struct recorder recorder;                               \
    CHECK(open_both(&recorder, event_ticks));               \
    CHECK_EQ(recorder_run(&recorder, body), 0);             \
    CHECK_EQ(recorder.count, 1);                            \
    struct scope_shared *shared = recorder.memories[0];     \
    CHECK_EQ(shared->pid != 0, 1);                          \
    struct scope_thread *block = recorder_block(shared, 0); \
    CHECK(block &&atomic_load(&block->state) == SCOPE_THREAD_LIVE)

/* ---- counts and sums -------------------------------------------------------------------------------------------------------------- */

static void inner(void) {
    CPROF_FUNCTION();
    burn(20000);
}

static void outer(void) {
    CPROF_FUNCTION();
    burn(10000);
    inner();
    inner();
    {
        CPROF_SCOPE("block");
        burn(5000);
    }
}

static void run_nested(void) {
    for (unsigned i = 0; i < 1000; i++)
        outer();
}

TEST(counts_totals_and_self_add_up) {
    RECORD(recorder, run_nested, UINT64_MAX);
    struct scope_record out = recorder_sum(shared, "outer"), in = recorder_sum(shared, "inner"), part = recorder_sum(shared, "block");
    CHECK_EQ(out.count, 1000);
    CHECK_EQ(in.count, 2000);
    CHECK_EQ(part.count, 1000);
    CHECK_EQ(out.primitive, 1000);
    CHECK_EQ(out.self + in.self + part.self, out.total); /* to the tick */
    CHECK_EQ(in.self, in.total);
    CHECK_EQ(out.total, out.sum);
    CHECK(in.min >= 20000 && in.total >= 2000u * 20000 && out.self >= 1000u * 10000);
    CHECK_EQ(out.active + in.active, 0);
    CHECK_EQ(block->unwound + block->unbalanced + block->unfinished, 0);
    CHECK_EQ(atomic_load(&block->top), 0);
    close_both(&recorder);
}

TEST(sites_say_where_they_are) {
    RECORD(recorder, run_nested, UINT64_MAX);
    struct scope_site *site = recorder_site(shared, recorder_find_site(shared, "block"));
    CHECK_STR(site->name, "block");
    CHECK_STR(site->function, "outer");
    CHECK(strstr(site->file, "test-measure.c") != NULL);
    CHECK_EQ(site->kind, CPROF_KIND_SCOPE);
    CHECK(site->line > 0);
    CHECK_EQ(recorder_site(shared, recorder_find_site(shared, "inner"))->kind, CPROF_KIND_FUNCTION);
    CHECK_EQ(atomic_load(&shared->site_count), 3);
    close_both(&recorder);
}

/* ---- against the program's own clock ---------------------------------------------------------------------------------------------- */

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Lengths over four decades; the scope knows no more than the burn, but for the reading of two clocks. */
static void run_lengths(void) {
    uint64_t random = 88172645463325252u;
    for (unsigned i = 0; i < ARRAY_SIZE(witness->values); i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t begin, end, ticks = UINT64_C(100) << random % 13;
        {
            CPROF_SCOPE("length");
            begin = now();
            burn(ticks + random / 65536 % ticks);
            end = now();
        }
        witness->values[i] = end - begin;
        witness->ticks += end - begin;
    }
    qsort(witness->values, ARRAY_SIZE(witness->values), sizeof witness->values[0], descending);
}

static uint64_t percentile_of(const struct scope_record *record, double part) {
    uint64_t rank = (uint64_t)(part * (double)record->count), seen = 0;
    for (uint32_t b = 0; b < LOGLINEAR_BUCKETS; b++) {
        seen += record->histogram[b];
        if (seen > rank)
            return (loglinear_low(b) + loglinear_low(b + 1)) / 2;
    }
    return 0;
}

/* The scope's clock readings take 200 ticks at most where nothing interrupts; what does interrupt, between the two pairs of readings, is
 * seldom, so a percentile is off by the bucket's error and a rank or two. */
TEST(lengths_agree_with_the_programs_own_clock) {
    RECORD(recorder, run_lengths, UINT64_MAX);
    struct scope_record length = recorder_sum(shared, "length");
    uint64_t count = ARRAY_SIZE(witness->values);
    CHECK_EQ(length.count, count);
    CHECK(length.total >= witness->ticks);
    CHECK(length.max >= witness->values[0] && length.min >= witness->values[count - 1]);
    static const double parts[] = {0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        uint64_t rank = (uint64_t)((1 - parts[i]) * (double)count), slack = 12;
        double low = 0.93 * (double)witness->values[MIN(rank + slack, count - 1)], got = (double)percentile_of(&length, parts[i]);
        double high = 1.07 * ((double)witness->values[rank > slack ? rank - slack : 0] + 400);
        if (got < low || got > high)
            printf("# p%g: %g, not in %g..%g\n", 100 * parts[i], got, low, high);
        CHECK(got >= low * 0.999 && (got <= high * 1.001 || rank <= slack));
    }
    for (size_t i = 0; i < SCOPE_SLOWEST; i++)
        CHECK(length.slowest[i].ticks >= witness->values[SCOPE_SLOWEST - 1]);
    close_both(&recorder);
}

static uint64_t histogram_sum(const struct scope_record *record, uint64_t *ret_least, uint64_t *ret_most) {
    uint64_t count = 0;
    *ret_least = *ret_most = 0;
    for (uint32_t b = 0; b < LOGLINEAR_BUCKETS; b++) {
        count += record->histogram[b];
        *ret_least += record->histogram[b] * loglinear_low(b);
        *ret_most += record->histogram[b] * (loglinear_low(b + 1) - 1);
    }
    return count;
}

TEST(histogram_holds_every_instance_in_its_bucket) {
    RECORD(recorder, run_lengths, UINT64_MAX);
    struct scope_record length = recorder_sum(shared, "length");
    uint64_t least, most;
    CHECK_EQ(histogram_sum(&length, &least, &most), length.count);
    CHECK(least <= length.sum && length.sum <= most);
    CHECK(length.histogram[loglinear_bucket(length.min)] && length.histogram[loglinear_bucket(length.max)]);
    close_both(&recorder);
}

/* Every instance is told in the ring too, with both ends: sums can be made again from there. */
static void run_few(void) {
    for (unsigned i = 0; i < 4000; i++) {
        CPROF_SCOPE("few");
        burn(100 + i % 7 * 900 + (i % 997 == 0) * 3 * (uint64_t)PERIOD);
    }
}

TEST(variance_slowest_and_extremes_agree_with_the_instances) {
    struct recorder recorder;
    CHECK(open_both(&recorder, 0));
    recorder.keeps_events = true;
    CHECK_EQ(recorder_run(&recorder, run_few), 0);
    struct scope_shared *shared = recorder.memories[0];
    struct scope_thread *block = recorder_block(shared, 0);
    struct scope_record few = recorder_sum(shared, "few");
    CHECK_EQ(atomic_load(&block->head), 4000);
    CHECK_EQ(block->lost, 0);
    uint64_t total = 0, most = 0, least = UINT64_MAX;
    long double variance = 0;
    for (unsigned i = 0; i < 4000; i++) {
        const struct scope_event *event = &block->events[i];
        CHECK_EQ(event->number, i + 1);
        CHECK_EQ(event->site, few.site);
        uint64_t ticks = event->end - event->begin;
        long double fraction = (long double)(ticks % PERIOD) / PERIOD;
        total += ticks, most = MAX(most, ticks), least = MIN(least, ticks);
        variance += fraction * (1 - fraction);
        witness->values[i] = ticks;
    }
    CHECK_EQ(total, few.total);
    CHECK_EQ(most, few.max);
    CHECK_EQ(least, few.min);
    long double got = (long double)few.variance / (1 << 30);
    CHECK(got > variance * 0.9999L && got < variance * 1.0001L);
    qsort(witness->values, 4000, sizeof witness->values[0], descending);
    uint64_t slowest[SCOPE_SLOWEST];
    for (size_t i = 0; i < SCOPE_SLOWEST; i++)
        slowest[i] = few.slowest[i].ticks;
    qsort(slowest, SCOPE_SLOWEST, sizeof slowest[0], descending);
    for (size_t i = 0; i < SCOPE_SLOWEST; i++)
        CHECK_EQ(slowest[i], witness->values[i]);
    close_both(&recorder);
}

static void run_twenty_thousand(void) {
    for (unsigned i = 0; i < 20000; i++) {
        CPROF_SCOPE("many");
    }
}

TEST(full_ring_is_counted_and_costs_nothing_else) {
    struct recorder recorder;
    CHECK(open_both(&recorder, 0));
    recorder.keeps_events = true;
    CHECK_EQ(recorder_run(&recorder, run_twenty_thousand), 0);
    struct scope_thread *block = recorder_block(recorder.memories[0], 0);
    CHECK_EQ(atomic_load(&block->head), SCOPE_EVENTS);
    CHECK_EQ(block->lost, 20000 - SCOPE_EVENTS);
    CHECK_EQ(recorder_sum(recorder.memories[0], "many").count, 20000);
    close_both(&recorder);
}

/* ---- recursion and paths ----------------------------------------------------------------------------------------------------------- */

static void recur(unsigned depth) {
    CPROF_FUNCTION();
    burn(1000);
    if (depth > 1)
        recur(depth - 1);
}

static void odd(unsigned depth);

static void even(unsigned depth) {
    CPROF_FUNCTION();
    burn(500);
    if (depth)
        odd(depth - 1);
}

static void odd(unsigned depth) {
    CPROF_FUNCTION();
    if (depth)
        even(depth - 1);
}

static void run_recursion(void) {
    for (unsigned i = 0; i < 100; i++) {
        recur(10);
        even(5); /* even odd even odd even odd */
    }
}

TEST(recursion_is_counted_once_in_totals) {
    RECORD(recorder, run_recursion, UINT64_MAX);
    struct scope_record deep = recorder_sum(shared, "recur"), even_sum = recorder_sum(shared, "even"),
                        odd_sum = recorder_sum(shared, "odd");
    CHECK_EQ(deep.count, 1000);
    CHECK_EQ(deep.primitive, 100);
    CHECK_EQ(deep.self, deep.total); /* nothing else inside */
    CHECK(deep.sum > 3 * deep.total);
    CHECK_EQ(even_sum.count, 300);
    CHECK_EQ(even_sum.primitive, 100);
    CHECK_EQ(odd_sum.count, 300);
    CHECK_EQ(odd_sum.primitive, 100);
    CHECK_EQ(even_sum.self + odd_sum.self, even_sum.total);
    struct scope_node *node = recorder_node(shared, block, (const char *const[]){"recur", NULL});
    CHECK(node != NULL);
    CHECK_EQ(node->count, 1000);
    CHECK_EQ(node->recursed, 900);
    CHECK_EQ(node->total, deep.total);
    node = recorder_node(shared, block, (const char *const[]){"even", "odd", "even", "odd", "even", "odd", NULL});
    CHECK(node != NULL);
    CHECK_EQ(node->count, 100);
    CHECK_EQ(node->recursed, 0);
    close_both(&recorder);
}

static void leaf(void) {
    CPROF_FUNCTION();
    burn(200);
}

static void left(void) {
    CPROF_FUNCTION();
    leaf();
}

static void right(void) {
    CPROF_FUNCTION();
    leaf();
    leaf();
}

static void run_callers(void) {
    for (unsigned i = 0; i < 500; i++) {
        left();
        right();
    }
    leaf();
}

TEST(paths_tell_callers_apart) {
    RECORD(recorder, run_callers, UINT64_MAX);
    struct scope_record sum = recorder_sum(shared, "leaf");
    struct scope_node *by_left = recorder_node(shared, block, (const char *const[]){"left", "leaf", NULL});
    struct scope_node *by_right = recorder_node(shared, block, (const char *const[]){"right", "leaf", NULL});
    struct scope_node *alone = recorder_node(shared, block, (const char *const[]){"leaf", NULL});
    CHECK(by_left && by_right && alone);
    CHECK_EQ(by_left->count, 500);
    CHECK_EQ(by_right->count, 1000);
    CHECK_EQ(alone->count, 1);
    CHECK_EQ(by_left->total + by_right->total + alone->total, sum.total);
    CHECK_EQ(by_left->self + by_right->self + alone->self, sum.self);
    CHECK_EQ(atomic_load(&block->node_count), 6);
    close_both(&recorder);
}

/* ---- what is more than there is room for ------------------------------------------------------------------------------------------- */

/* Sites made at run time, as a generator of code would. */
static struct cprof_site *make_sites(unsigned count) {
    struct cprof_site *sites = calloc(count, sizeof *sites);
    for (unsigned i = 0; sites && i < count; i++)
        sites[i] = (struct cprof_site){.name = "made", .file = "made.c", .function = "f", .line = i + 1, .kind = CPROF_KIND_SCOPE};
    return sites;
}

static void run_sites(void) {
    struct cprof_site *sites = make_sites(SCOPE_SITES_MAX + 100);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < SCOPE_SITES_MAX + 100; i++) {
            struct cprof_scope scope;
            cprof_scope_begin(&scope, &sites[i]);
            cprof_scope_end(&scope);
        }
}

TEST(sites_beyond_the_table_are_counted) {
    RECORD(recorder, run_sites, UINT64_MAX);
    CHECK_EQ(atomic_load(&shared->site_count), SCOPE_SITES_MAX);
    CHECK_EQ(atomic_load(&shared->sites_refused), 300);
    for (uint32_t id = 1; id <= SCOPE_SITES_MAX; id += 97) {
        const struct scope_record *record = recorder_record_of(shared, block, id);
        CHECK(record != NULL);
        CHECK_EQ(record->count, 3);
    }
    close_both(&recorder);
}

/* A chain of ever new sites under each of many: more paths than rows. */
static void run_paths(void) {
    struct cprof_site *sites = make_sites(100);
    struct cprof_scope scopes[100];
    for (unsigned first = 0; first < 100; first++) {
        for (unsigned i = 0; i < 100; i++)
            cprof_scope_begin(&scopes[i], &sites[(first + i) % 100]);
        burn(1000);
        for (unsigned i = 100; i-- > 0;)
            cprof_scope_end(&scopes[i]);
    }
}

TEST(paths_beyond_the_table_are_counted_apart) {
    RECORD(recorder, run_paths, UINT64_MAX);
    uint64_t count = 0, self = 0;
    for (uint32_t i = 1; i < atomic_load(&block->node_count); i++) {
        CHECK(block->nodes[i].site != 0);
        count += block->nodes[i].count;
        self += block->nodes[i].self;
    }
    const struct scope_node *rest = &block->nodes[SCOPE_NODE_OVERFLOW];
    CHECK_EQ(rest->site, 0);
    CHECK_EQ(count + rest->count, 100 * 100);
    CHECK_EQ(rest->count, block->nodes_refused);
    CHECK(rest->count > 5000);
    uint64_t records = 0, sum = 0, primitive = 0;
    for (uint32_t id = 1; id <= 100; id++) {
        records += recorder_record_of(shared, block, id)->self;
        sum += recorder_record_of(shared, block, id)->count;
        primitive += recorder_record_of(shared, block, id)->primitive;
    }
    CHECK_EQ(sum, 10000);
    CHECK_EQ(primitive, 10000); /* no site is in itself */
    CHECK_EQ(self + rest->self, records);
    close_both(&recorder);
}

/* ---- spans and values ---------------------------------------------------------------------------------------------------------------- */

CPROF_SITE(first_span, CPROF_KIND_SPAN, "first");
CPROF_SITE(second_span, CPROF_KIND_SPAN, "second");

static void run_spans(void) {
    for (unsigned i = 0; i < 100; i++) {
        cprof_begin(&first_span);
        cprof_begin(&second_span);
        burn(1000);
        cprof_end(&first_span); /* they overlap */
        burn(1000);
        cprof_end(&second_span);
    }
    cprof_end(&second_span); /* nobody began it */
    for (unsigned i = 0; i < SCOPE_SPANS_MAX + 5; i++)
        cprof_begin(&first_span);
    cprof_end(&first_span);
    for (unsigned i = 0; i < 100; i++)
        CPROF_VALUE("bytes", i);
}

TEST(spans_overlap_and_values_add_up) {
    RECORD(recorder, run_spans, UINT64_MAX);
    struct scope_record first = recorder_sum(shared, "first"), second = recorder_sum(shared, "second"),
                        bytes = recorder_sum(shared, "bytes");
    CHECK_EQ(first.count, 101);
    CHECK_EQ(second.count, 100);
    CHECK(second.total >= 100u * 2000);
    CHECK_EQ(second.self, second.total);
    CHECK_EQ(first.active, SCOPE_SPANS_MAX - 1);
    CHECK_EQ(block->unbalanced, 1);
    CHECK_EQ(block->spans_refused, 5);
    CHECK_EQ(recorder.events[0], 201);
    CHECK_EQ(bytes.count, 100);
    CHECK_EQ(bytes.sum, 4950);
    CHECK_EQ(bytes.min, 0);
    CHECK_EQ(bytes.max, 99);
    CHECK_EQ(bytes.total, 0);
    close_both(&recorder);
}

static void run_clocked(void) {
    char name[16];
    cprof_thread_name("renamed-thread");
    for (unsigned i = 0; i < 10; i++) {
        CPROF_SCOPE("clocked");
        burn(30000);
    }
    FILE *file = fopen("/proc/self/comm", "r");
    _exit(!file || !fgets(name, sizeof name, file) || strcmp(name, "renamed-thread\n") != 0);
}

TEST(without_a_cycle_counter_ticks_are_nanoseconds) {
    struct recorder recorder;
    CHECK(open_both(&recorder, UINT64_MAX));
    recorder.clock = SCOPE_CLOCK_MONOTONIC_RAW;
    uint64_t begin = clock_now();
    CHECK_EQ(recorder_run(&recorder, run_clocked), 0);
    struct scope_record clocked = recorder_sum(recorder.memories[0], "clocked");
    CHECK_EQ(clocked.count, 10);
    CHECK(clocked.total > 10u * 1000 && clocked.total < clock_now() - begin);
    CHECK(clocked.slowest[0].begin > begin && clocked.slowest[0].begin < clock_now());
    close_both(&recorder);
}

TEST_MAIN()
