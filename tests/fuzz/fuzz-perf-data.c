/* SPDX-License-Identifier: MIT */
/* A whole perf.data, file or pipe, through the queue that orders its records. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sampler/perf-data-source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t event_id(void *context, const struct perf_data_attr *attr) {
    (void)context;
    return (uint16_t)attr->attr.type;
}

/* Reads what an event points to. */
static void touch(const struct raw_event *event) {
    static volatile uint8_t sink;
    if (event->type != RAW_SAMPLE)
        return;
    const struct raw_sample *sample = &event->sample;
    for (uint64_t i = 0; sample->stack && i < sample->stack_length; i++)
        sink = sink + sample->stack[i];
    for (size_t i = 0; i < sample->kernel_chain_length; i++)
        sink = sink + (uint8_t)sample->kernel_chain[i];
    for (size_t i = 0; i < sample->user_chain_length; i++)
        sink = sink + (uint8_t)sample->user_chain[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("perf.data", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    struct perf_data_file *file;
    struct perf_data_source *source;
    const char *problem;
    if (perf_data_open(fd, &file, &problem) < 0) {
        if (!problem)
            abort();
        return 0;
    }
    if (perf_data_source_new(file, event_id, NULL, &source) < 0)
        abort();
    struct raw_source *raw = perf_data_source_raw(source);
    uint64_t time;
    while (raw->peek(raw, &time)) {
        struct raw_event event;
        raw->next(raw, &event);
        if (event.time != time)
            abort();
        touch(&event);
    }
    perf_data_source_free(source);
    perf_data_close(file);
    return 0;
}
