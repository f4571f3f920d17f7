/* SPDX-License-Identifier: MIT */
#include "sampler/perf-record.h"

#include <sys/mman.h>

#include "base/bytes.h"
#include "base/macros.h"

/* perf's number of a register (arch/x86/include/uapi/asm/perf_regs.h) -> DWARF's (psABI figure 3.36). */
static const struct perf_register {
    uint8_t perf;
    uint8_t dwarf;
} registers[] = {
    {0, 0},  {1, 3},  {2, 2},   {3, 1},   {4, 4},   {5, 5},   {6, 6},   {7, 7},   {8, 16}, /* ax bx cx dx si di bp sp ip */
    {16, 8}, {17, 9}, {18, 10}, {19, 11}, {20, 12}, {21, 13}, {22, 14}, {23, 15},
};
static_assert(ARRAY_SIZE(registers) == RAW_REGISTERS, "every register the unwinder knows, and in the order the kernel writes them");

static uint64_t register_mask(void) {
    uint64_t mask = 0;
    for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
        mask |= UINT64_C(1) << registers[i].perf;
    return mask;
}

struct perf_layout perf_layout_live(enum perf_role role, bool has_kernel_chain) {
    struct perf_layout layout = {.role = role, .has_sample_id = true, .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU};
    if (role == PERF_ROLE_SAMPLES) {
        layout.sample_type |= PERF_SAMPLE_PERIOD | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
        layout.sample_type |= has_kernel_chain ? (uint64_t)PERF_SAMPLE_CALLCHAIN : 0;
        layout.user_registers = register_mask();
    }
    return layout;
}

struct perf_layout perf_layout_of(const struct perf_event_attr *attr, uint16_t event) {
    return (struct perf_layout){
        .role = PERF_ROLE_SAMPLES,
        .event = event,
        .has_sample_id = attr->sample_id_all,
        .fixed_weight = attr->freq ? 0 : attr->sample_period,
        .sample_type = attr->sample_type,
        .read_format = attr->read_format,
        .branch_sample_type = attr->branch_sample_type,
        .user_registers = attr->sample_regs_user,
    };
}

/* ---- fields at places of their own --------------------------------------------------------------------------------------------- */

/* The sample_id trailer of records that are no samples: fixed words, so a field's place counts from the end. */
static const uint8_t *trailer_field(const struct perf_layout *layout, const struct perf_event_header *record, uint64_t field) {
    static const uint64_t from_end[] = {PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_CPU,  PERF_SAMPLE_STREAM_ID,
                                        PERF_SAMPLE_ID,         PERF_SAMPLE_TIME, PERF_SAMPLE_TID};
    if (!layout->has_sample_id || !(layout->sample_type & field))
        return NULL;
    size_t back = 0;
    for (size_t i = 0; i < ARRAY_SIZE(from_end); i++) {
        back += layout->sample_type & from_end[i] ? 8 : 0;
        if (from_end[i] == field)
            break;
    }
    if (back + sizeof *record > record->size)
        return NULL;
    return (const uint8_t *)record + record->size - back;
}

/* The same for a sample, where the fields count from the start. */
static const uint8_t *sample_field(const struct perf_layout *layout, const struct perf_event_header *record, uint64_t field) {
    static const uint64_t from_start[] = {PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_IP,   PERF_SAMPLE_TID,
                                          PERF_SAMPLE_TIME,       PERF_SAMPLE_ADDR, PERF_SAMPLE_ID};
    if (!(layout->sample_type & field))
        return NULL;
    size_t offset = sizeof *record;
    for (size_t i = 0; i < ARRAY_SIZE(from_start) && from_start[i] != field; i++)
        offset += layout->sample_type & from_start[i] ? 8 : 0;
    return offset + 8 <= record->size ? (const uint8_t *)record + offset : NULL;
}

static const uint8_t *any_field(const struct perf_layout *layout, const struct perf_event_header *record, uint64_t field) {
    return record->type == PERF_RECORD_SAMPLE ? sample_field(layout, record, field) : trailer_field(layout, record, field);
}

uint64_t perf_record_time(const struct perf_layout *layout, const struct perf_event_header *record) {
    uint64_t time = 0;
    const uint8_t *field = any_field(layout, record, PERF_SAMPLE_TIME);
    if (field)
        memcpy(&time, field, sizeof time);
    return time;
}

bool perf_record_id(const struct perf_layout *layout, const struct perf_event_header *record, uint64_t *ret_id) {
    const uint8_t *field = any_field(layout, record, PERF_SAMPLE_IDENTIFIER);
    if (!field)
        field = any_field(layout, record, PERF_SAMPLE_ID);
    if (field)
        memcpy(ret_id, field, sizeof *ret_id);
    return field != NULL;
}

/* ---- samples --------------------------------------------------------------------------------------------------------------------- */

static void skip_read(const struct perf_layout *layout, struct bytes *b) {
    const uint64_t format = layout->read_format;
    uint64_t per_value = 1 + !!(format & PERF_FORMAT_ID) + !!(format & PERF_FORMAT_LOST), values = 1;
    if (format & PERF_FORMAT_GROUP) {
        values = bytes_u64(b);
        if (values > bytes_left(b) / 8) {
            bytes_fail(b);
            return;
        }
    }
    bytes_skip(b, 8 * (uint64_t)(!!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) + !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING)));
    bytes_skip(b, 8 * values * per_value);
}

static void skip_branches(const struct perf_layout *layout, struct bytes *b) {
    enum { BRANCH_SIZE = 24 };
    uint64_t count = bytes_u64(b);
    bytes_skip(b, layout->branch_sample_type & PERF_SAMPLE_BRANCH_HW_INDEX ? 8 : 0);
    bytes_skip(b, count > bytes_left(b) / BRANCH_SIZE ? UINT64_MAX : count * BRANCH_SIZE);
}

/* The chain is one array, cut into parts by context markers: kernel part, then user part. */
static void take_callchain(struct bytes *b, struct raw_sample *s) {
    uint64_t count = bytes_u64(b);
    if (count > bytes_left(b) / 8) {
        bytes_fail(b);
        return;
    }
    const uint64_t *ips = (const uint64_t *)(const void *)bytes_take(b, count * 8);
    for (uint64_t i = 0; ips && i < count;) {
        uint64_t context = ips[i], first = ++i;
        while (i < count && ips[i] < PERF_CONTEXT_MAX)
            i++;
        if (context == PERF_CONTEXT_KERNEL) {
            s->kernel_chain = ips + first;
            s->kernel_chain_length = (uint32_t)(i - first);
        } else if (context == PERF_CONTEXT_USER) {
            s->user_chain = ips + first;
            s->user_chain_length = (uint32_t)(i - first);
        }
    }
}

static void take_registers(const struct perf_layout *layout, struct bytes *b, struct raw_sample *s) {
    uint64_t abi = bytes_u64(b);
    if (abi == PERF_SAMPLE_REGS_ABI_NONE)
        return;
    if (abi != PERF_SAMPLE_REGS_ABI_64 && abi != PERF_SAMPLE_REGS_ABI_32) {
        bytes_fail(b);
        return;
    }
    s->abi = abi == PERF_SAMPLE_REGS_ABI_64 ? RAW_ABI_64 : RAW_ABI_32;
    uint64_t left = layout->user_registers;
    for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
        uint64_t bit = UINT64_C(1) << registers[i].perf;
        bytes_skip(b, 8 * (uint64_t)__builtin_popcountll(left & (bit - 1))); /* those below it that no unwinder needs */
        if (left & bit) {
            s->registers[registers[i].dwarf] = bytes_u64(b);
            s->registers_valid |= 1u << registers[i].dwarf;
        }
        left &= ~(bit | (bit - 1));
    }
    bytes_skip(b, 8 * (uint64_t)__builtin_popcountll(left));
}

static void take_stack(struct bytes *b, struct raw_sample *s) {
    uint64_t room = bytes_u64(b);
    if (!room)
        return;
    const uint8_t *stack = bytes_take(b, room);
    uint64_t copied = bytes_u64(b);
    if (b->failed || copied > room) {
        bytes_fail(b);
        return;
    }
    if (!copied || !(s->registers_valid & 1u << 7))
        return;
    s->stack = stack;
    s->stack_base = s->registers[7];
    s->stack_length = (uint32_t)copied;
    s->stack_limit = copied < room ? RAW_STACK_WHOLE : RAW_STACK_LIMITED;
}

/* Without registers the sampled address is all there is, and the record's mode says whose it is. */
static void take_address_for_registers(uint64_t ip, uint16_t misc, struct raw_sample *s) {
    if ((misc & PERF_RECORD_MISC_CPUMODE_MASK) != PERF_RECORD_MISC_USER)
        return;
    s->abi = RAW_ABI_64;
    s->registers[16] = ip;
    s->registers_valid = 1u << 16;
}

static void decode_sample(const struct perf_layout *layout, struct bytes *b, uint16_t misc, struct raw_event *ret) {
    const uint64_t type = layout->sample_type;
    *ret = (struct raw_event){.type = RAW_SAMPLE, .sample = {.event = layout->event}};
    struct raw_sample *s = &ret->sample;
    uint64_t ip = 0, period = 1;
    bytes_skip(b, type & PERF_SAMPLE_IDENTIFIER ? 8 : 0);
    if (type & PERF_SAMPLE_IP)
        ip = bytes_u64(b);
    if (type & PERF_SAMPLE_TID) {
        s->pid = bytes_u32(b);
        s->tid = bytes_u32(b);
    }
    if (type & PERF_SAMPLE_TIME)
        ret->time = bytes_u64(b);
    bytes_skip(b, 8 * (uint64_t)(!!(type & PERF_SAMPLE_ADDR) + !!(type & PERF_SAMPLE_ID) + !!(type & PERF_SAMPLE_STREAM_ID)));
    if (type & PERF_SAMPLE_CPU) {
        s->cpu = bytes_u32(b);
        bytes_skip(b, 4);
    }
    if (type & PERF_SAMPLE_PERIOD)
        period = bytes_u64(b);
    if (type & PERF_SAMPLE_READ)
        skip_read(layout, b);
    if (type & PERF_SAMPLE_CALLCHAIN)
        take_callchain(b, s);
    if (type & PERF_SAMPLE_RAW)
        bytes_skip(b, bytes_u32(b));
    if (type & PERF_SAMPLE_BRANCH_STACK)
        skip_branches(layout, b);
    if (type & PERF_SAMPLE_REGS_USER)
        take_registers(layout, b, s);
    else if (type & PERF_SAMPLE_IP)
        take_address_for_registers(ip, misc, s);
    if (type & PERF_SAMPLE_STACK_USER)
        take_stack(b, s);
    s->weight = layout->fixed_weight ? layout->fixed_weight : period;
}

/* ---- mappings and tasks ---------------------------------------------------------------------------------------------------------- */

static void decode_mapping(struct bytes *b, uint32_t type, uint16_t misc, struct raw_mapping *mapping) {
    mapping->pid = bytes_u32(b);
    mapping->tid = bytes_u32(b);
    mapping->start = bytes_u64(b);
    mapping->length = bytes_u64(b);
    mapping->offset = bytes_u64(b);
    mapping->is_executable = !(misc & PERF_RECORD_MISC_MMAP_DATA);
    if (type == PERF_RECORD_MMAP2) {
        struct bytes identity = bytes_sub(b, 24);
        if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
            uint8_t length = bytes_u8(&identity);
            bytes_skip(&identity, 3);
            const uint8_t *build_id = bytes_take(&identity, sizeof mapping->build_id);
            if (!build_id || length > sizeof mapping->build_id) {
                bytes_fail(b);
                return;
            }
            mapping->build_id_length = length;
            memcpy(mapping->build_id, build_id, length);
        } else {
            mapping->device_major = bytes_u32(&identity);
            mapping->device_minor = bytes_u32(&identity);
            mapping->inode = bytes_u64(&identity);
            mapping->inode_generation = bytes_u64(&identity);
        }
        mapping->is_executable = bytes_u32(b) & PROT_EXEC;
        bytes_skip(b, 4); /* flags: MAP_SHARED and the like */
    }
    mapping->path = bytes_string(b);
}

static void decode_task(struct bytes *b, enum raw_task_change change, struct raw_task *task) {
    task->change = change;
    task->pid = bytes_u32(b);
    task->parent_pid = bytes_u32(b);
    task->tid = bytes_u32(b);
    task->parent_tid = bytes_u32(b);
    bytes_skip(b, 8); /* the time, which sample_id has too */
}

static void decode_comm(struct bytes *b, uint16_t misc, struct raw_task *task) {
    task->change = misc & PERF_RECORD_MISC_COMM_EXEC ? RAW_TASK_EXEC : RAW_TASK_COMM;
    task->pid = bytes_u32(b);
    task->tid = bytes_u32(b);
    task->comm = bytes_string(b);
}

static void decode_read(struct bytes *b, struct raw_task *task) {
    task->change = RAW_TASK_CPU;
    task->pid = bytes_u32(b);
    task->tid = bytes_u32(b);
    task->cpu_time = bytes_u64(b);
}

static void decode_loss(const struct perf_layout *layout, uint64_t count, struct raw_loss *loss) {
    static const enum raw_loss_kind kinds[] = {
        [PERF_ROLE_SAMPLES] = RAW_LOSS_SAMPLES,
        [PERF_ROLE_SIDEBAND] = RAW_LOSS_SIDEBAND,
        [PERF_ROLE_CLOCK] = RAW_LOSS_MALFORMED,
        [PERF_ROLE_SWITCHES] = RAW_LOSS_SWITCHES,
    };
    *loss = (struct raw_loss){.kind = kinds[layout->role], .count = count};
}

/* The same as the record's trailer says, for events of contexts (perf record's --switch-events). */
static bool decode_switch(const struct perf_layout *layout, const uint8_t *record, uint16_t misc, struct raw_switch *ret) {
    const struct perf_event_header *header = (const void *)record;
    const uint8_t *task = trailer_field(layout, header, PERF_SAMPLE_TID), *cpu = trailer_field(layout, header, PERF_SAMPLE_CPU);
    if (!task)
        return false; /* nobody knows whose it was */
    *ret = (struct raw_switch){.is_out = misc & PERF_RECORD_MISC_SWITCH_OUT};
    memcpy(&ret->pid, task, 4);
    memcpy(&ret->tid, task + 4, 4);
    if (cpu)
        memcpy(&ret->cpu, cpu, 4);
    return true;
}

static size_t trailer_size(const struct perf_layout *layout) {
    uint64_t fields =
        PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER;
    return layout->has_sample_id ? 8 * (size_t)__builtin_popcountll(layout->sample_type & fields) : 0;
}

/* False: nothing to us. */
static bool decode_other(const struct perf_layout *layout, uint32_t type, uint16_t misc, struct bytes *b, struct raw_event *ret) {
    const uint8_t *record = b->at - sizeof(struct perf_event_header);
    if (bytes_left(b) < trailer_size(layout)) {
        bytes_fail(b);
        return true;
    }
    b->end -= trailer_size(layout);
    *ret = (struct raw_event){.time = perf_record_time(layout, (const void *)record)};

    switch (type) {
    case PERF_RECORD_MMAP:
    case PERF_RECORD_MMAP2:
        ret->type = RAW_MAPPING;
        decode_mapping(b, type, misc, &ret->mapping);
        return true;
    case PERF_RECORD_COMM:
        ret->type = RAW_TASK;
        decode_comm(b, misc, &ret->task);
        return true;
    case PERF_RECORD_FORK:
    case PERF_RECORD_EXIT:
        ret->type = RAW_TASK;
        decode_task(b, type == PERF_RECORD_FORK ? RAW_TASK_FORK : RAW_TASK_EXIT, &ret->task);
        return true;
    case PERF_RECORD_READ:
        ret->type = RAW_TASK;
        decode_read(b, &ret->task);
        return true;
    case PERF_RECORD_LOST:
        bytes_skip(b, 8); /* the event's id */
        ret->type = RAW_LOSS;
        decode_loss(layout, bytes_u64(b), &ret->loss);
        return true;
    case PERF_RECORD_LOST_SAMPLES:
        ret->type = RAW_LOSS;
        decode_loss(layout, bytes_u64(b), &ret->loss);
        return true;
    case PERF_RECORD_SWITCH:
        ret->type = RAW_SWITCH;
        return decode_switch(layout, record, misc, &ret->switched);
    case PERF_RECORD_THROTTLE:
        ret->type = RAW_LOSS;
        ret->loss = (struct raw_loss){.kind = RAW_LOSS_THROTTLED, .count = 1};
        return true;
    default:
        return false;
    }
}

enum perf_verdict perf_record_decode(const struct perf_layout *layout, const uint8_t *record, size_t length, struct raw_event *ret) {
    struct bytes b = bytes_of(record, length);
    uint32_t type = bytes_u32(&b);
    uint16_t misc = bytes_u16(&b);
    bytes_skip(&b, 2); /* the length, which the ring has used */
    bool is_event = true;
    if (type == PERF_RECORD_SAMPLE)
        decode_sample(layout, &b, misc, ret);
    else
        is_event = decode_other(layout, type, misc, &b, ret);
    if (b.failed) {
        *ret = (struct raw_event){.type = RAW_LOSS, .loss = {.kind = RAW_LOSS_MALFORMED, .count = 1}};
        return PERF_RECORD_IS_MALFORMED;
    }
    return is_event ? PERF_RECORD_IS_EVENT : PERF_RECORD_IS_NOTHING;
}
