/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>

#include "records.h"
#include "sampler/perf-record.h"
#include "tests/check.h"

static struct perf_layout samples, sideband;

__attribute__((constructor)) static void make_layouts(void) {
    samples = perf_layout_live(PERF_ROLE_SAMPLES, true);
    samples.event = 3;
    samples.fixed_weight = 1000;
    sideband = perf_layout_live(PERF_ROLE_SIDEBAND, false);
}

static void put_sample(struct buffer *b, const uint64_t *chain, uint64_t chain_length, uint64_t abi, uint64_t stack_size, uint64_t copied) {
    record_begin(b, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
    record_id(b, 10, 11, 12345, 2);
    buffer_put_u64(b, 77); /* period */
    buffer_put_u64(b, chain_length);
    buffer_put(b, chain, chain_length * 8);
    buffer_put_u64(b, abi);
    for (uint64_t i = 0; abi && i < 17; i++)
        buffer_put_u64(b, 100 + i);
    buffer_put_u64(b, stack_size);
    for (uint64_t i = 0; i < stack_size; i++)
        buffer_put_u8(b, (uint8_t)i);
    if (stack_size)
        buffer_put_u64(b, copied);
    record_end(b, 0);
}

TEST(a_sample_with_everything) {
    struct buffer b = {0};
    uint64_t chain[] = {(uint64_t)PERF_CONTEXT_KERNEL, 0xffffffff81000001, 0xffffffff81000002, (uint64_t)PERF_CONTEXT_USER, 0x4000};
    put_sample(&b, chain, 5, PERF_SAMPLE_REGS_ABI_64, 64, 64);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&samples, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.type, RAW_SAMPLE);
    CHECK_EQ(event.time, 12345);
    CHECK_EQ(event.sample.pid, 10);
    CHECK_EQ(event.sample.tid, 11);
    CHECK_EQ(event.sample.cpu, 2);
    CHECK_EQ(event.sample.event, 3);
    CHECK_EQ(event.sample.weight, 1000);
    CHECK_EQ(event.sample.kernel_chain_length, 2);
    CHECK_EQ(event.sample.kernel_chain[1], 0xffffffff81000002);
    CHECK_EQ(event.sample.abi, RAW_ABI_64);
    CHECK_EQ(event.sample.registers_valid, 0x1ffff);
    /* perf's order: ax bx cx dx si di bp sp ip r8 .. r15 */
    static const int perf_order[17] = {0, 3, 2, 1, 4, 5, 6, 7, 16, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 17; i++)
        CHECK_EQ(event.sample.registers[perf_order[i]], 100 + i);
    CHECK_EQ(event.sample.stack_base, 107);
    CHECK_EQ(event.sample.stack_length, 64);
    CHECK_EQ(event.sample.stack[63], 63);
    CHECK_EQ(event.sample.stack_limit, RAW_STACK_LIMITED);
    buffer_free(&b);
}

TEST(a_short_copy_is_the_whole_stack) {
    struct buffer b = {0};
    put_sample(&b, NULL, 0, PERF_SAMPLE_REGS_ABI_64, 64, 24);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&samples, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.sample.stack_length, 24);
    CHECK_EQ(event.sample.stack_limit, RAW_STACK_WHOLE);
    CHECK_EQ(event.sample.kernel_chain_length, 0);
    buffer_free(&b);
}

TEST(a_thread_without_user_registers) {
    struct buffer b = {0};
    put_sample(&b, NULL, 0, PERF_SAMPLE_REGS_ABI_NONE, 0, 0);
    struct raw_event event;
    struct perf_layout by_period = samples;
    by_period.fixed_weight = 0;
    CHECK_EQ(perf_record_decode(&by_period, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.sample.abi, RAW_ABI_NONE);
    CHECK_EQ(event.sample.registers_valid, 0);
    CHECK_EQ(event.sample.stack_limit, RAW_STACK_NONE);
    CHECK_EQ(event.sample.weight, 77);
    buffer_free(&b);
}

TEST(thirty_two_bit_code) {
    struct buffer b = {0};
    put_sample(&b, NULL, 0, PERF_SAMPLE_REGS_ABI_32, 8, 8);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&samples, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.sample.abi, RAW_ABI_32);
    buffer_free(&b);
}

TEST(every_cut_of_a_sample_is_malformed) {
    struct buffer b = {0};
    uint64_t chain[] = {(uint64_t)PERF_CONTEXT_KERNEL, 1};
    put_sample(&b, chain, 2, PERF_SAMPLE_REGS_ABI_64, 16, 16);
    for (size_t length = 0; length < b.length; length += 8) {
        struct raw_event event;
        CHECK_EQ(perf_record_decode(&samples, b.data, length, &event), PERF_RECORD_IS_MALFORMED);
        CHECK_EQ(event.type, RAW_LOSS);
        CHECK_EQ(event.loss.kind, RAW_LOSS_MALFORMED);
    }
    buffer_free(&b);
}

TEST(a_stack_longer_than_asked_is_malformed) {
    struct buffer b = {0};
    put_sample(&b, NULL, 0, PERF_SAMPLE_REGS_ABI_64, 16, 17);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&samples, b.data, b.length, &event), PERF_RECORD_IS_MALFORMED);
    buffer_free(&b);
}

static void put_mapping(struct buffer *b, uint16_t misc, const void *identity) {
    record_begin(b, PERF_RECORD_MMAP2, misc);
    buffer_put_u32(b, 10);
    buffer_put_u32(b, 11);
    buffer_put_u64(b, 0x7f0000000000);
    buffer_put_u64(b, 0x2000);
    buffer_put_u64(b, 0x1000);
    buffer_put(b, identity, 24);
    buffer_put_u32(b, PROT_READ | PROT_EXEC);
    buffer_put_u32(b, 2);
    record_string(b, "/usr/lib/libx.so");
    record_id(b, 10, 11, 500, 0);
    record_end(b, 0);
}

TEST(a_mapping_by_inode) {
    struct buffer b = {0};
    struct {
        uint32_t major, minor;
        uint64_t inode, generation;
    } identity = {8, 1, 4242, 7};
    put_mapping(&b, 0, &identity);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.type, RAW_MAPPING);
    CHECK_EQ(event.time, 500);
    CHECK_EQ(event.mapping.start, 0x7f0000000000);
    CHECK_EQ(event.mapping.length, 0x2000);
    CHECK_EQ(event.mapping.offset, 0x1000);
    CHECK_EQ(event.mapping.device_major, 8);
    CHECK_EQ(event.mapping.device_minor, 1);
    CHECK_EQ(event.mapping.inode, 4242);
    CHECK_EQ(event.mapping.inode_generation, 7);
    CHECK_EQ(event.mapping.build_id_length, 0);
    CHECK(event.mapping.is_executable);
    CHECK_STR(event.mapping.path, "/usr/lib/libx.so");
    buffer_free(&b);
}

TEST(a_mapping_by_build_id) {
    struct buffer b = {0};
    uint8_t identity[24] = {20, 0, 0, 0, 0xab, [23] = 0xcd};
    put_mapping(&b, PERF_RECORD_MISC_MMAP_BUILD_ID, identity);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.mapping.build_id_length, 20);
    CHECK_EQ(event.mapping.build_id[0], 0xab);
    CHECK_EQ(event.mapping.build_id[19], 0xcd);
    CHECK_EQ(event.mapping.inode, 0);

    identity[0] = 21;
    buffer_clear(&b);
    put_mapping(&b, PERF_RECORD_MISC_MMAP_BUILD_ID, identity);
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_MALFORMED);
    buffer_free(&b);
}

TEST(a_path_without_end_is_malformed) {
    struct buffer b = {0};
    record_begin(&b, PERF_RECORD_COMM, 0);
    buffer_put_u64(&b, 0);
    buffer_put(&b, "no end!!", 8);
    record_id(&b, 1, 1, 1, 0xffffffff); /* a NUL in the trailer is none of the name's */
    record_end(&b, 0);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_MALFORMED);
    buffer_free(&b);
}

TEST(names_forks_and_exits) {
    struct buffer b = {0};
    struct raw_event event;
    record_begin(&b, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
    buffer_put_u32(&b, 5);
    buffer_put_u32(&b, 6);
    record_string(&b, "ls");
    record_id(&b, 5, 6, 1, 0);
    record_end(&b, 0);
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.task.change, RAW_TASK_EXEC);
    CHECK_STR(event.task.comm, "ls");

    buffer_clear(&b);
    record_task(&b, PERF_RECORD_FORK, 7, 8, 5, 6, 33);
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
    CHECK_EQ(event.task.change, RAW_TASK_FORK);
    CHECK_EQ(event.task.pid, 7);
    CHECK_EQ(event.task.tid, 8);
    CHECK_EQ(event.task.parent_pid, 5);
    CHECK_EQ(event.task.parent_tid, 6);
    CHECK_EQ(event.time, 33);
    buffer_free(&b);
}

TEST(what_was_lost_depends_on_the_ring) {
    struct buffer b = {0};
    record_lost(&b, 9, 44);
    static const enum raw_loss_kind kinds[] = {RAW_LOSS_SAMPLES, RAW_LOSS_SIDEBAND, RAW_LOSS_MALFORMED};
    for (int role = 0; role < 3; role++) {
        struct perf_layout layout = perf_layout_live((enum perf_role)role, false);
        struct raw_event event;
        CHECK_EQ(perf_record_decode(&layout, b.data, b.length, &event), PERF_RECORD_IS_EVENT);
        CHECK_EQ(event.type, RAW_LOSS);
        CHECK_EQ(event.loss.kind, kinds[role]);
        CHECK_EQ(event.loss.count, 9);
        CHECK_EQ(event.time, 44);
    }
    buffer_free(&b);
}

TEST(unknown_records_say_nothing) {
    struct buffer b = {0};
    record_begin(&b, 4000, 0);
    record_id(&b, 1, 1, 1, 0);
    record_end(&b, 0);
    struct raw_event event;
    CHECK_EQ(perf_record_decode(&sideband, b.data, b.length, &event), PERF_RECORD_IS_NOTHING);
    buffer_free(&b);
}

TEST_MAIN()
