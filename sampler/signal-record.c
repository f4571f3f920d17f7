/* SPDX-License-Identifier: MIT */
#include "sampler/signal-record.h"

#include <limits.h>
#include <string.h>

#include "agent/agent.h"
#include "base/macros.h"

static_assert((int)AGENT_REGISTERS == (int)RAW_REGISTERS, "one numbering");

static bool is_id(uint32_t id) {
    return id > 0 && id <= INT_MAX;
}

static size_t decode_sample(const uint8_t *bytes, size_t size, uint16_t event, struct raw_event *ret) {
    const struct agent_sample *sample = (const void *)bytes;
    if (size < sizeof *sample || sample->stack_length > size - sizeof *sample)
        return 0;
    ret->type = RAW_SAMPLE;
    ret->sample = (struct raw_sample){
        .pid = sample->record.pid,
        .tid = sample->record.tid,
        .cpu = sample->cpu,
        .event = event,
        .weight = sample->weight,
        .abi = RAW_ABI_64,
        .registers_valid = (1u << RAW_REGISTERS) - 1,
    };
    memcpy(ret->sample.registers, sample->registers, sizeof sample->registers);
    if (sample->stack_length) {
        ret->sample.stack = bytes + sizeof *sample;
        ret->sample.stack_base = sample->registers[7];
        ret->sample.stack_length = sample->stack_length;
        ret->sample.stack_limit = sample->record.flags & AGENT_STACK_IS_WHOLE ? RAW_STACK_WHOLE : RAW_STACK_LIMITED;
    }
    return 1;
}

static size_t decode_mapping(const uint8_t *bytes, size_t size, struct raw_event *ret) {
    const struct agent_mapping *mapping = (const void *)bytes;
    const char *path = (const char *)bytes + sizeof *mapping;
    if (size <= sizeof *mapping || !memchr(path, 0, size - sizeof *mapping) || mapping->end <= mapping->start)
        return 0;
    ret->type = RAW_MAPPING;
    ret->mapping = (struct raw_mapping){.pid = mapping->record.pid,
                                        .tid = mapping->record.tid,
                                        .start = mapping->start,
                                        .length = mapping->end - mapping->start,
                                        .offset = mapping->offset,
                                        .device_major = mapping->device_major,
                                        .device_minor = mapping->device_minor,
                                        .inode = mapping->inode,
                                        .is_executable = true,
                                        .path = path};
    return 1;
}

static void put_task(struct raw_event *ret, enum raw_task_change change, const struct agent_task *task, uint32_t parent_pid) {
    ret->type = RAW_TASK;
    ret->task = (struct raw_task){.change = change,
                                  .pid = task->record.pid,
                                  .tid = task->record.tid,
                                  .parent_pid = parent_pid,
                                  .parent_tid = task->parent_tid,
                                  .comm = task->comm};
}

static size_t decode_task(const uint8_t *bytes, size_t size, const struct map *processes, struct raw_event *ret,
                          struct signal_exec *ret_exec) {
    const struct agent_task *task = (const void *)bytes;
    const struct agent_record *record = &task->record;
    size_t count = 0;
    if (size < sizeof *task || !memchr(task->comm, 0, sizeof task->comm))
        return 0;
    switch (record->type) {
    case AGENT_EXEC:
        if (record->pid != record->tid)
            return 0;
        if (!map_find(processes, record->pid) && is_id(task->parent_pid) && map_find(processes, task->parent_pid) &&
            task->parent_pid != record->pid)
            put_task(&ret[count++], RAW_TASK_FORK, task, task->parent_pid);
        put_task(&ret[count++], RAW_TASK_EXEC, task, 0);
        *ret_exec = (struct signal_exec){record->pid, task->image};
        return count;
    case AGENT_FORK:
        if (!is_id(task->parent_pid) || !is_id(task->parent_tid) || task->parent_pid == record->pid)
            return 0;
        put_task(&ret[count++], RAW_TASK_FORK, task, task->parent_pid);
        return count;
    case AGENT_THREAD:
        if (record->pid == record->tid)
            return 0;
        put_task(&ret[count++], RAW_TASK_FORK, task, record->pid);
        break;
    }
    put_task(&ret[count++], RAW_TASK_COMM, task, 0);
    return count;
}

static size_t decode_end(const uint8_t *bytes, size_t size, struct raw_event *ret) {
    const struct agent_end *end = (const void *)bytes;
    if (size < sizeof *end)
        return 0;
    const struct raw_task task = {.pid = end->record.pid, .tid = end->record.tid};
    for (size_t i = 0; i < 2; i++) {
        ret[i].type = RAW_TASK;
        ret[i].task = task;
    }
    ret[0].task.change = RAW_TASK_CPU;
    ret[0].task.cpu_time = end->cpu_time;
    ret[1].task.change = RAW_TASK_EXIT;
    return 2;
}

size_t signal_record_decode(const uint8_t *bytes, size_t size, uint16_t event, const struct map *processes, struct raw_event *ret,
                            struct signal_exec *ret_exec) {
    const struct agent_record *record = (const void *)bytes;
    if (size < sizeof *record || !is_id(record->pid) || !is_id(record->tid))
        return 0;
    switch (record->type) {
    case AGENT_SAMPLE:
        return decode_sample(bytes, size, event, ret);
    case AGENT_MAPPING:
        return decode_mapping(bytes, size, ret);
    case AGENT_EXEC:
    case AGENT_FORK:
    case AGENT_THREAD:
    case AGENT_COMM:
        return decode_task(bytes, size, processes, ret, ret_exec);
    case AGENT_END:
        return decode_end(bytes, size, ret);
    }
    return 0;
}
