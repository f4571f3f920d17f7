/* SPDX-License-Identifier: MIT */
/*
 * A random walk through forks, execs, exits and mappings, beside a model that is too simple to be wrong: for each process, an array with a
 * cell a page. Snapshots are kept of both, and must still agree when all is over.
 */
#include "tests/check.h"
#include "tests/unit/process/listener.h"

enum { PAGES = 64, PIDS = 8, STEPS = 40000, SNAPSHOTS = 512, MODULES = 5 };

struct page {
    char path[16]; /* "" : not mapped */
    uint64_t offset;
};

struct model {
    bool is_alive;
    struct page pages[PAGES];
};

struct snapshot {
    struct process_maps *maps;
    struct page pages[PAGES];
};

static uint64_t seed = 12345;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % limit;
}

/* NULL, or what is wrong. */
static const char *disagreement(const struct process_maps *maps, const struct page pages[PAGES]) {
    for (size_t i = 0; i < maps->items.count; i++) {
        const struct process_mapping *mapping = &maps->items.items[i];
        if (mapping->start >= mapping->end || (i && mapping[-1].end > mapping->start))
            return "order";
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        const struct process_mapping *mapping = process_maps_find(maps, page << 12 | 0xabc);
        if (!mapping != !*pages[page].path)
            return "mapped or not";
        if (!mapping)
            continue;
        if (strcmp(mapping->module->path, pages[page].path))
            return "module";
        if (mapping->module->kind == PROCESS_MODULE_FILE && (page << 12) - mapping->origin + mapping->offset != pages[page].offset)
            return "offset";
    }
    return NULL;
}

static struct process_space *space_of(struct process_table *table, uint32_t pid) {
    struct process_task *task = NULL;
    (void)process_task_get(table, 1, pid, pid, &task);
    return task->space;
}

static void map_both(struct process_table *table, struct model *model, uint64_t time, uint32_t pid) {
    uint64_t first = random_below(PAGES), count = 1 + random_below(random_below(4) ? 6 : PAGES);
    if (first + count > PAGES)
        count = PAGES - first;
    uint32_t which = random_below(MODULES);
    bool is_executable = random_below(8) != 0, is_anonymous = !which;
    uint64_t offset = is_anonymous ? 0 : (uint64_t)random_below(4) << 12;
    char path[16];
    snprintf(path, sizeof path, is_anonymous ? "//anon" : "/lib/%u.so", which);
    struct process_map_event event = {.start = first << 12,
                                      .length = count << 12,
                                      .offset = offset,
                                      .identity = {.inode = is_anonymous ? 0 : which},
                                      .is_executable = is_executable,
                                      .path = path};
    process_map(table, time, pid, &event);
    for (uint64_t page = first; page < first + count; page++) {
        struct page *cell = &model->pages[page];
        memset(cell, 0, sizeof *cell);
        if (!is_executable)
            continue;
        memcpy(cell->path, path, sizeof path);
        cell->offset = offset + ((page - first) << 12);
    }
}

TEST(agrees_with_a_naive_model) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    static struct model models[PIDS];
    static struct snapshot snapshots[SNAPSHOTS];
    size_t taken = 0;
    for (uint64_t step = 1; step <= STEPS; step++, log.text.length = 0) {
        uint32_t i = random_below(PIDS), pid = i + 1, action = random_below(100);
        struct model *model = &models[i];
        if (!model->is_alive && action >= 50) { /* most are born by fork, if there is anybody */
            uint32_t parent = random_below(PIDS);
            if (!models[parent].is_alive)
                continue;
            process_fork(table, step, pid, pid, parent + 1, parent + 1);
            *model = models[parent];
        } else if (!model->is_alive || action < 3) {
            process_exec(table, step, pid, pid, "exec");
            *model = (struct model){.is_alive = true};
        } else if (action < 6) {
            process_exit(table, step, pid, pid);
            model->is_alive = false;
        } else {
            map_both(table, model, step, pid);
        }
        if (!model->is_alive)
            continue;
        const struct process_space *space = space_of(table, pid);
        const char *wrong = disagreement(space->maps, model->pages);
        if (wrong)
            CHECK_FAIL("step %llu: %s", (unsigned long long)step, wrong);
        if (random_below(40) == 0) {
            struct snapshot *snapshot = &snapshots[taken++ % SNAPSHOTS];
            process_maps_unref(snapshot->maps);
            snapshot->maps = process_maps_ref(space->maps);
            memcpy(snapshot->pages, model->pages, sizeof snapshot->pages);
        }
    }
    CHECK(taken > SNAPSHOTS);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        const char *wrong = disagreement(snapshots[i].maps, snapshots[i].pages);
        if (wrong)
            CHECK_FAIL("snapshot %zu: %s", i, wrong);
        for (size_t j = 0; j < i; j++) /* one generation, one content */
            if (snapshots[j].maps->generation == snapshots[i].maps->generation)
                CHECK_EQ(memcmp(snapshots[j].pages, snapshots[i].pages, sizeof snapshots[i].pages), 0);
    }
    for (size_t i = 0; i < SNAPSHOTS; i++)
        process_maps_unref(snapshots[i].maps);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST_MAIN()
