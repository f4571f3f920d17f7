/* SPDX-License-Identifier: MIT */
#include "sampler/exact-cpu.h"

#define HAS_RUN ((uint64_t)1 << 63)

void exact_cpu_init(struct exact_cpu *exact, unsigned clocks) {
    *exact = (struct exact_cpu){.clocks = clocks, .living = 1};
}

void exact_cpu_free(struct exact_cpu *exact) {
    map_free(&exact->reads);
    map_free(&exact->ended);
}

static uint64_t key_of(const struct raw_task *task) {
    return (uint64_t)task->pid << 32 | task->tid;
}

static uint64_t *note(struct exact_cpu *exact, struct map *map, uint64_t key) {
    bool is_new;
    uint64_t *value = map_put(map, key, &is_new);
    exact->is_unsure = exact->is_unsure || !value;
    return value;
}

static void forget_if_done(struct exact_cpu *exact, uint64_t key) {
    const uint64_t *reads = map_find(&exact->reads, key);
    if (reads && (*reads & ~HAS_RUN) >= exact->clocks && map_find(&exact->ended, key)) {
        (void)map_remove(&exact->reads, key);
        (void)map_remove(&exact->ended, key);
    }
}

static void hear_exit(struct exact_cpu *exact, uint64_t key, uint64_t time) {
    exact->living--;
    uint64_t *exit = note(exact, &exact->ended, key);
    if (exit)
        *exit = time;
    forget_if_done(exact, key);
}

/*
 * A thread that was gone before the events were enabled tells nothing but zeros (a sanitizer's, between fork and exec): it is none of the
 * program's.
 */
static void hear_read(struct exact_cpu *exact, uint64_t key, uint64_t cpu_time) {
    exact->told += cpu_time;
    uint64_t *reads = note(exact, &exact->reads, key);
    if (!reads)
        return;
    ++*reads;
    if (cpu_time && !(*reads & HAS_RUN)) {
        *reads |= HAS_RUN;
        exact->threads++;
    }
    forget_if_done(exact, key);
}

void exact_cpu_hear(struct exact_cpu *exact, const struct raw_task *task, uint64_t time) {
    switch (task->change) {
    case RAW_TASK_FORK:
        exact->living++;
        return;
    case RAW_TASK_EXIT:
        hear_exit(exact, key_of(task), time);
        return;
    case RAW_TASK_CPU:
        hear_read(exact, key_of(task), task->cpu_time);
        return;
    case RAW_TASK_EXEC:
    case RAW_TASK_COMM:
        return;
    }
}

bool exact_cpu_rest(const struct exact_cpu *exact, uint64_t total, struct raw_task *ret, uint64_t *ret_exit) {
    if (exact->is_unsure || exact->living != 0 || total < exact->told)
        return false;
    size_t silent = 0;
    const struct map_slot *who = NULL;
    for (size_t i = map_next(&exact->ended, 0); i < exact->ended.capacity; i = map_next(&exact->ended, i + 1)) {
        if (!map_find(&exact->reads, exact->ended.slots[i].key)) {
            who = &exact->ended.slots[i];
            silent++;
        }
    }
    if (silent != 1)
        return false;
    *ret = (struct raw_task){
        .change = RAW_TASK_CPU, .pid = (uint32_t)(who->key >> 32), .tid = (uint32_t)who->key, .cpu_time = total - exact->told};
    *ret_exit = who->value;
    return true;
}
