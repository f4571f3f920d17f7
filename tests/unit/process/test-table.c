/* SPDX-License-Identifier: MIT */
#include "tests/check.h"
#include "tests/unit/process/listener.h"

static const uint64_t SECOND = 1000000000;

static struct process_map_event file_at(uint64_t start, uint64_t length, uint64_t inode, const char *path) {
    return (struct process_map_event){
        .start = start, .length = length, .identity = {.device_major = 8, .inode = inode}, .is_executable = true, .path = path};
}

static struct process_space *space_of(struct process_table *table, uint32_t pid, uint32_t tid) {
    struct process_task *task = NULL;
    return process_task_get(table, 1, pid, tid, &task) < 0 ? NULL : task->space;
}

TEST(command_starts_with_exec) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    struct process_map_event event = file_at(0x1000, 0x1000, 7, "/bin/app");
    process_map(table, 2, 10, &event);
    CHECK_STR(log_take(&log), "space 0 pid 10 parent -1\ntask 0 tid 10 space 0 \"app\"\nspace 0 maps 1000-2000 /bin/app\n");
    CHECK_EQ(log.unknown_spaces, 0);

    process_exit(table, 3, 10, 10);
    CHECK_STR(log_take(&log), "space 0 ends\n");
    process_cpu(table, 4, 10, 10, 500); /* perf tells the exact CPU time after the exit */
    process_retire(table, 3 + SECOND - 1);
    CHECK_STR(log_take(&log), "");
    process_retire(table, 3 + SECOND);
    CHECK_STR(log_take(&log), "task 0 ends cpu 500\n");
    CHECK_EQ(log.tasks_freed, 1);
    process_table_free(table);
    CHECK_STR(log_take(&log), "");
    buffer_free(&log.text);
}

TEST(a_task_that_told_nothing_can_be_told_of_to_the_end) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    process_fork(table, 2, 20, 20, 10, 10);
    process_fork(table, 2, 30, 30, 10, 10);
    process_cpu(table, 4, 30, 30, 7);
    process_exit(table, 5, 20, 20);
    process_exit(table, 5, 30, 30);
    log.text.length = 0;
    process_retire(table, 5 + SECOND);
    CHECK_STR(log_take(&log), "task 2 ends cpu 7\n");
    process_fork(table, 6 + SECOND, 20, 20, 10, 10); /* its tid is another's by now */
    process_cpu(table, 7 + SECOND, 20, 20, 3);
    process_cpu(table, 5, 20, 20, 500);
    process_exit(table, 8 + SECOND, 20, 20);
    log.text.length = 0;
    process_table_end(table);
    CHECK_STR(log_take(&log), "task 3 ends cpu 3\ntask 1 ends cpu 500\ntask 0 ends alive cpu 0\nspace 0 ends\n");
    process_table_free(table);
    CHECK_EQ(log.tasks_freed, 4);
    buffer_free(&log.text);
}

TEST(fork_shares_maps_until_either_changes) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct process_map_event first = file_at(0x1000, 0x1000, 7, "/bin/app"), second = file_at(0x5000, 0x1000, 8, "/lib/a.so");
    process_exec(table, 1, 10, 10, "app");
    process_map(table, 2, 10, &first);
    process_fork(table, 3, 20, 20, 10, 10);
    struct process_space *parent = space_of(table, 10, 10), *child = space_of(table, 20, 20);
    CHECK(parent->maps == child->maps);
    CHECK_EQ(child->parent, parent->id);

    process_map(table, 4, 20, &second);
    CHECK(parent->maps != child->maps);
    CHECK(parent->maps->generation != child->maps->generation);
    CHECK(process_maps_find(child->maps, 0x5800) != NULL);
    CHECK(process_maps_find(child->maps, 0x1800) != NULL);
    CHECK(process_maps_find(parent->maps, 0x5800) == NULL);
    CHECK(process_maps_find(parent->maps, 0x1800)->module == process_maps_find(child->maps, 0x1800)->module);

    /* The same mapping again changes nothing: the pc cache stays valid. */
    uint64_t generation = child->maps->generation;
    process_map(table, 5, 20, &second);
    CHECK_EQ(child->maps->generation, generation);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(maps_held_by_a_waiting_sample_do_not_change) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct process_map_event first = file_at(0x1000, 0x3000, 7, "/lib/a.so"), second = file_at(0x2000, 0x1000, 8, "/lib/b.so");
    process_exec(table, 1, 10, 10, "app");
    process_map(table, 2, 10, &first);
    struct process_space *space = process_space_ref(space_of(table, 10, 10));
    struct process_maps *then = process_maps_ref(space->maps);
    process_map(table, 3, 10, &second);
    CHECK_STR(process_maps_find(then, 0x2000)->module->path, "/lib/a.so");
    CHECK_STR(process_maps_find(space->maps, 0x2000)->module->path, "/lib/b.so");
    /* What is left of the first on both sides still counts from where it was mapped. */
    CHECK_EQ(process_maps_find(space->maps, 0x3000)->start, 0x3000);
    CHECK_EQ(process_maps_find(space->maps, 0x3000)->origin, 0x1000);

    process_exec(table, 4, 10, 10, "other");
    CHECK(space->is_ended);
    CHECK_STR(process_maps_find(then, 0x2000)->module->path, "/lib/a.so");
    CHECK(process_maps_find(space_of(table, 10, 10)->maps, 0x1000) == NULL);
    process_maps_unref(then);
    process_space_unref(space);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(threads_and_exec_by_one_that_is_not_the_leader) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    process_fork(table, 2, 10, 11, 10, 10);
    process_fork(table, 3, 10, 12, 10, 11);
    process_comm(table, 4, 10, 11, "worker");
    log_take(&log);
    /* 12 calls execve: the kernel ends 10 and 11, then 12 becomes 10. */
    process_exit(table, 5, 10, 11);
    process_exit(table, 5, 10, 10);
    CHECK_STR(log_take(&log), "");
    process_exec(table, 6, 10, 10, "new");
    CHECK_STR(log_take(&log),
              "space 0 ends\ntask 2 ends cpu 0\nspace 1 pid 10 parent 0\ntask 0 ends cpu 0\ntask 3 tid 10 space 1 \"new\"\n");
    process_table_free(table);
    CHECK_EQ(log.tasks_freed, 4);
    buffer_free(&log.text);
}

TEST(exec_keeps_the_leader) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "sh");
    process_fork(table, 2, 20, 20, 10, 10);
    CHECK_STR(log_take(&log),
              "space 0 pid 10 parent -1\ntask 0 tid 10 space 0 \"sh\"\nspace 1 pid 20 parent 0\ntask 1 tid 20 space 1 \"sh\"\n");
    process_exec(table, 3, 20, 20, "true");
    CHECK_STR(log_take(&log), "space 1 ends\nspace 2 pid 20 parent 1\ntask 1 is now \"true\" in space 2\n");
    process_exit(table, 4, 20, 20);
    process_exit(table, 4, 20, 20);
    CHECK_STR(log_take(&log), "space 2 ends\n");
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(ids_that_come_back_are_others) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    process_fork(table, 2, 20, 20, 10, 10);
    process_exit(table, 3, 20, 20);
    process_fork(table, 4, 20, 20, 10, 10); /* at once, before it was retired */
    CHECK_STR(log_take(&log),
              "space 0 pid 10 parent -1\ntask 0 tid 10 space 0 \"app\"\nspace 1 pid 20 parent 0\ntask 1 tid 20 space 1 \"app\"\n"
              "space 1 ends\nspace 2 pid 20 parent 0\ntask 1 ends cpu 0\ntask 2 tid 20 space 2 \"app\"\n");
    process_retire(table, 3 * SECOND);
    process_cpu(table, 5, 20, 20, 9);
    process_fork(table, 6, 20, 20, 10, 10); /* its exit was lost */
    CHECK_STR(log_take(&log), "space 2 ends\ntask 2 ends cpu 9\nspace 3 pid 20 parent 0\ntask 3 tid 20 space 3 \"app\"\n");
    process_fork(table, 7, 30, 20, 10, 10); /* as a thread's id, with another pid: cannot be, must not break */
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(a_task_of_another_process_is_another) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    process_fork(table, 2, 10, 11, 10, 10);
    struct process_task *task;
    CHECK_EQ(process_task_get(table, 3, 77, 11, &task), 0);
    CHECK_EQ(task->space->pid, 77);
    CHECK(task->space->is_guessed);
    CHECK_EQ(log.unknown_spaces, 1);
    process_table_free(table);
    CHECK_EQ(log.tasks_freed, 3);
    buffer_free(&log.text);
}

TEST(unknown_process_waits_for_its_maps) {
    struct log log = {.answers_unknown = true};
    struct process_table *table = log_table(&log);
    struct process_space *space = space_of(table, 10, 10);
    CHECK(space->is_guessed);
    CHECK(space->maps->is_pending);
    struct process_maps *asked = process_maps_ref(space->maps);
    struct process_map_event event = file_at(0x9000, 0x1000, 9, "/lib/late.so");
    process_map(table, 2, 10, &event);
    process_fork(table, 3, 20, 20, 10, 10);
    CHECK(space_of(table, 20, 20)->maps == asked);

    static const char text[] = "1000-2000 r-xp 00003000 08:01 42                   /bin/app\n"
                               "2000-3000 rw-p 00004000 08:01 42                   /bin/app\n"
                               "7000-8000 rwxp 00000000 00:00 0 \n"
                               "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
    log_take(&log);
    CHECK_EQ(process_reread_done(table, 4, space, asked, text, sizeof text - 1), 0);
    CHECK_STR(log_take(&log), "space 0 maps 1000-2000 /bin/app\nspace 0 maps 7000-8000 //anon\n");
    CHECK(!asked->is_pending);
    CHECK_EQ(asked->items.count, 2);
    CHECK_EQ(process_maps_find(asked, 0x1fff)->offset, 0x3000);
    CHECK_EQ(process_maps_find(asked, 0x1fff)->module->identity.inode, 42);
    process_maps_unref(asked);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(reread_leaves_alone_what_others_hold) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct process_map_event event = file_at(0x9000, 0x1000, 9, "/lib/a.so");
    process_exec(table, 1, 10, 10, "app");
    process_map(table, 2, 10, &event);
    struct process_space *space = space_of(table, 10, 10);
    struct process_maps *then = process_maps_ref(space->maps);
    CHECK_EQ(process_reread(table, space), 0);
    CHECK(space->maps->is_pending);
    CHECK(!then->is_pending);
    CHECK(process_reread(table, space) < 0); /* it is on its way */
    CHECK_EQ(process_reread_done(table, 3, space, space->maps, NULL, 0), 0);
    CHECK(!space->maps->is_pending);
    CHECK(process_maps_find(space->maps, 0x9000) != NULL);
    process_maps_unref(then);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(modules_are_told_apart_by_identity) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    struct process_identity a = {.device_major = 8, .inode = 5, .inode_generation = 9};
    struct process_identity reread = {.device_major = 8, .inode = 5}, b = {.device_major = 8, .inode = 5, .inode_generation = 1};
    struct process_identity c = {.build_id = {.length = 2, .bytes = {1, 2}}}, none = {0};
    struct process_module *first = process_module_get(table, PROCESS_MODULE_FILE, &a, "/a");
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &a, "/hard-link") == first);
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &reread, "/a") == first); /* /proc knows no generation */
    struct process_module *second = process_module_get(table, PROCESS_MODULE_FILE, &b, "/a");
    CHECK(second != first); /* the inode came back */
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &reread, "/a") == second);
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &a, "/a") == first);
    struct process_module *by_id = process_module_get(table, PROCESS_MODULE_FILE, &c, "/a");
    CHECK(by_id != first);
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &c, "/elsewhere") == by_id);
    struct process_module *by_path = process_module_get(table, PROCESS_MODULE_FILE, &none, "/a");
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &none, "/a") == by_path);
    CHECK(process_module_get(table, PROCESS_MODULE_FILE, &none, "/b") != by_path);
    CHECK(process_module_get(table, PROCESS_MODULE_KERNEL, &none, "/a") != by_path);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(anonymous_memory_belongs_to_its_process) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "jit");
    process_exec(table, 1, 20, 20, "jit");
    struct process_map_event event = {.start = 0x4000, .length = 0x1000, .is_executable = true, .path = "//anon"};
    process_map(table, 2, 10, &event);
    process_map(table, 2, 20, &event);
    struct process_space *one = space_of(table, 10, 10), *other = space_of(table, 20, 20);
    CHECK(process_maps_find(one->maps, 0x4000)->module != process_maps_find(other->maps, 0x4000)->module);
    /* Pages made executable one by one are one mapping. */
    event.start = 0x6000;
    process_map(table, 3, 10, &event);
    CHECK_EQ(one->maps->items.count, 2);
    event.start = 0x5000;
    process_map(table, 4, 10, &event);
    CHECK_EQ(one->maps->items.count, 1);
    CHECK_EQ(one->maps->items.items[0].start, 0x4000);
    CHECK_EQ(one->maps->items.items[0].end, 0x7000);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(senseless_ranges_are_refused) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 10, 10, "app");
    struct process_map_event empty = file_at(0x1000, 0, 1, "/a"), wrapped = file_at(UINT64_MAX - 10, 100, 1, "/a");
    CHECK(process_map(table, 2, 10, &empty) < 0);
    CHECK(process_map(table, 2, 10, &wrapped) < 0);
    CHECK_EQ(space_of(table, 10, 10)->maps->items.count, 0);
    process_table_free(table);
    buffer_free(&log.text);
}

TEST(many_short_lives_leave_nothing_behind) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    process_exec(table, 1, 1, 1, "make");
    uint64_t time = 2;
    for (uint32_t i = 0; i < 5000; i++, time += SECOND / 500) {
        uint32_t pid = 100 + i % 700;
        process_fork(table, time, pid, pid, 1, 1);
        process_exec(table, time + 1, pid, pid, "cc");
        process_exit(table, time + 2, pid, pid);
        process_cpu(table, time + 2, pid, pid, 1);
        process_retire(table, time + 2);
        log.text.length = 0;
    }
    CHECK(log.tasks_freed >= 4400);
    process_retire(table, time + 2 * SECOND);
    CHECK_EQ(log.tasks_freed, 5000);
    process_table_free(table);
    CHECK_EQ(log.tasks_freed, 5001);
    buffer_free(&log.text);
}

TEST(where_nobody_tells_cpu_time_few_are_kept) {
    struct log log = {0};
    struct process_table *table = log_table(&log);
    for (uint32_t i = 0; i < 1000; i++) {
        process_fork(table, 2, 100 + i, 100 + i, 1, 1);
        process_exit(table, 3, 100 + i, 100 + i);
    }
    process_retire(table, 2 * SECOND);
    CHECK(log.tasks_freed >= 900);
    process_table_free(table);
    CHECK(log.tasks_freed >= 1000);
    buffer_free(&log.text);
}

TEST_MAIN()
