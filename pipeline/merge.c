/* SPDX-License-Identifier: MIT */
#include "pipeline/merge.h"

#include <errno.h>

void merge_free(struct merge *m) {
    vec_free(&m->sources);
    vec_free(&m->heap);
}

int merge_add(struct merge *m, struct raw_source *source) {
    if (!vec_reserve(&m->heap, m->sources.count + 1))
        return -ENOMEM;
    struct raw_source **slot = vec_push(&m->sources);
    if (!slot)
        return -ENOMEM;
    *slot = source;
    return 0;
}

static bool is_before(struct merge_head a, struct merge_head b) {
    return a.time != b.time ? a.time < b.time : a.source < b.source;
}

/* Puts `head` where the hole at `i` is, or below. */
static void sift_down(struct merge *m, size_t i, struct merge_head head) {
    struct merge_head *heap = m->heap.items;
    for (size_t child; (child = 2 * i + 1) < m->heap.count; i = child) {
        if (child + 1 < m->heap.count && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], head))
            break;
        heap[i] = heap[child];
    }
    heap[i] = head;
}

void merge_begin(struct merge *m) {
    for (size_t i = 0; i < m->sources.count; i++)
        if (m->sources.items[i]->refresh)
            m->sources.items[i]->refresh(m->sources.items[i]);
    vec_clear(&m->heap);
    for (size_t i = 0; i < m->sources.count; i++) {
        struct merge_head head = {.source = (uint32_t)i};
        if (m->sources.items[i]->peek(m->sources.items[i], &head.time))
            m->heap.items[m->heap.count++] = head;
    }
    for (size_t i = m->heap.count / 2; i-- > 0;)
        sift_down(m, i, m->heap.items[i]);
}

bool merge_next(struct merge *m, uint64_t until, struct raw_event *ret) {
    if (!m->heap.count || (m->heap.items[0].time >= until && until != UINT64_MAX))
        return false;
    struct merge_head head = m->heap.items[0];
    struct raw_source *source = m->sources.items[head.source];
    source->next(source, ret);
    if (source->peek(source, &head.time))
        sift_down(m, 0, head);
    else if (--m->heap.count)
        sift_down(m, 0, m->heap.items[m->heap.count]);
    return true;
}

void merge_end(struct merge *m) {
    for (size_t i = 0; i < m->sources.count; i++)
        if (m->sources.items[i]->release)
            m->sources.items[i]->release(m->sources.items[i]);
}
