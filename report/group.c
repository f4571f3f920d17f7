/* SPDX-License-Identifier: MIT */
#include "report/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "report/options.h"

/* What tells groups apart, as bytes to intern; ids of the pool are indices of groups. */
struct group_key {
    uint32_t comm, pid, tid;
};

struct builder {
    struct groups groups;
    struct strings comms, keys;
};

static int put_task(struct builder *b, const struct group *group, uint32_t *ret) {
    struct group_key key = {.pid = group->pid, .tid = group->tid};
    int error = strings_intern(&b->comms, group->comm, strlen(group->comm), &key.comm);
    if (error == 0)
        error = strings_intern(&b->keys, (const char *)&key, sizeof key, ret);
    if (error < 0 || *ret < b->groups.items.count)
        return error;
    struct group *new = vec_push(&b->groups.items);
    if (!new)
        return -ENOMEM;
    *new = *group;
    return 0;
}

int groups_build(const struct recording *r, const struct filter *filter, unsigned keys, struct groups *ret) {
    struct builder b = {0};
    b.groups.of_task = calloc(r->tasks.count + 1, sizeof *b.groups.of_task);
    int error = b.groups.of_task ? 0 : -ENOMEM;
    for (size_t i = 0; error == 0 && i < r->tasks.count; i++) {
        const struct recording_task *task = &r->tasks.items[i];
        const struct recording_thread *thread = &r->threads.items[task->thread];
        struct group group = {
            .comm = keys & KEY_COMM ? task->comm : "",
            .pid = keys & KEY_PID ? thread->pid : 0,
            .tid = keys & KEY_TID ? thread->tid : 0,
        };
        b.groups.of_task[i] = RECORDING_NONE;
        if (filter->tasks[i])
            error = put_task(&b, &group, &b.groups.of_task[i]);
    }
    strings_free(&b.comms);
    strings_free(&b.keys);
    if (error < 0)
        groups_free(&b.groups);
    else
        *ret = b.groups;
    return error;
}

void groups_free(struct groups *g) {
    vec_free(&g->items);
    free(g->of_task);
    *g = (struct groups){0};
}
