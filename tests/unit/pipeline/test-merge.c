/* SPDX-License-Identifier: MIT */
#include "pipeline/merge.h"
#include "tests/check.h"
#include "tests/unit/pipeline/script.h"

TEST(takes_the_oldest_first) {
    enum { SOURCES = 5, EVENTS = 200 };
    struct merge merge = {0};
    struct script scripts[SOURCES];
    unsigned seed = 7;
    for (size_t i = 0; i < SOURCES; i++) {
        script_begin(&scripts[i]);
        uint64_t time = 0;
        for (size_t j = 0; j < EVENTS * i; j++) { /* the first has none */
            seed = seed * 1103515245 + 12345;
            time += seed >> 16 & 3;
            script_add(&scripts[i], loss_event(time, RAW_LOSS_SAMPLES, i));
        }
        CHECK_EQ(merge_add(&merge, &scripts[i].source), 0);
    }
    size_t count = 0;
    uint64_t last = 0, last_source = 0;
    for (uint64_t until = 50;; until += 50) {
        struct raw_event event;
        merge_begin(&merge);
        while (merge_next(&merge, until, &event)) {
            CHECK(event.time < until);
            CHECK(event.time > last || (event.time == last && event.loss.count >= last_source));
            last = event.time;
            last_source = event.loss.count;
            count++;
        }
        merge_end(&merge);
        if (until > 3 * SOURCES * EVENTS)
            break;
    }
    CHECK_EQ(count, EVENTS * (0 + 1 + 2 + 3 + 4));
    for (size_t i = 0; i < SOURCES; i++)
        vec_free(&scripts[i].events);
    merge_free(&merge);
}

TEST(an_event_out_of_order_comes_at_once) {
    struct merge merge = {0};
    struct script one, other;
    script_begin(&one);
    script_begin(&other);
    script_add(&one, loss_event(10, RAW_LOSS_SAMPLES, 1));
    script_add(&one, loss_event(5, RAW_LOSS_SAMPLES, 2));
    script_add(&other, loss_event(7, RAW_LOSS_SAMPLES, 3));
    merge_add(&merge, &one.source);
    merge_add(&merge, &other.source);
    merge_begin(&merge);
    static const uint64_t wanted[] = {3, 1, 2};
    struct raw_event event;
    for (size_t i = 0; i < 3; i++) {
        CHECK(merge_next(&merge, UINT64_MAX, &event));
        CHECK_EQ(event.loss.count, wanted[i]);
    }
    CHECK(!merge_next(&merge, UINT64_MAX, &event));
    vec_free(&one.events);
    vec_free(&other.events);
    merge_free(&merge);
}

TEST(what_comes_after_the_look_waits_for_the_next) {
    struct merge merge = {0};
    struct script script;
    struct raw_event event;
    script_begin(&script);
    merge_add(&merge, &script.source);
    script_add(&script, loss_event(UINT64_MAX, RAW_LOSS_SAMPLES, 1));
    merge_begin(&merge);
    script_add(&script, loss_event(2, RAW_LOSS_SAMPLES, 2));
    CHECK(!merge_next(&merge, UINT64_MAX - 1, &event));
    CHECK(merge_next(&merge, UINT64_MAX, &event));
    CHECK(!merge_next(&merge, UINT64_MAX, &event));
    merge_begin(&merge);
    CHECK(merge_next(&merge, 3, &event));
    CHECK_EQ(event.loss.count, 2);
    vec_free(&script.events);
    merge_free(&merge);
}

TEST_MAIN()
