/* SPDX-License-Identifier: MIT */
#include "report/coverage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"

/* By thread id: the task it was last, or RECORDING_NONE. */
static uint32_t *last_tasks(const struct recording *r) {
    uint32_t *last = malloc((r->threads.count + 1) * sizeof *last);
    if (!last)
        return NULL;
    memset(last, 0xff, (r->threads.count + 1) * sizeof *last);
    for (uint32_t i = 0; i < r->tasks.count; i++)
        last[r->tasks.items[i].thread] = i;
    return last;
}

static int add_short(struct coverage *c, struct strings *comms, const char *comm, uint64_t cpu) {
    uint32_t id;
    if (strings_intern(comms, comm, strlen(comm), &id) < 0)
        return -ENOMEM;
    if (id == c->shorts.count) {
        struct coverage_short *new = vec_push(&c->shorts);
        if (!new)
            return -ENOMEM;
        new->comm = comm;
    }
    c->shorts.items[id].tasks++;
    c->shorts.items[id].cpu += cpu;
    return 0;
}

static int compare_shorts(const void *left, const void *right) {
    const struct coverage_short *a = left, *b = right;
    return a->cpu != b->cpu ? (a->cpu < b->cpu ? 1 : -1) : strcmp(a->comm, b->comm);
}

int coverage_measure(const struct recording *r, const struct counts *counts, const struct filter *filter, struct coverage *ret) {
    struct coverage c = {0};
    struct strings comms = {0};
    uint32_t *last = last_tasks(r);
    int error = last ? 0 : -ENOMEM;
    for (uint32_t thread = 0; error == 0 && thread < r->thread_ends.count && thread < r->threads.count; thread++) {
        const struct recording_thread_end *end = &r->thread_ends.items[thread];
        if (end->thread == RECORDING_NONE || !end->has_exact_cpu)
            continue;
        c.threads++;
        c.samples += counts->thread_samples[thread];
        c.sampled += counts->thread_weight[thread];
        c.exact += end->exact_cpu;
        uint32_t task = last[thread];
        if (!counts->thread_samples[thread] && end->exact_cpu && task != RECORDING_NONE && filter->tasks[task])
            error = add_short(&c, &comms, r->tasks.items[task].comm, end->exact_cpu);
    }
    if (c.shorts.count)
        qsort(c.shorts.items, c.shorts.count, sizeof *c.shorts.items, compare_shorts);
    free(last);
    strings_free(&comms);
    if (error < 0)
        coverage_free(&c);
    else
        *ret = c;
    return error;
}

void coverage_free(struct coverage *c) {
    vec_free(&c->shorts);
}
