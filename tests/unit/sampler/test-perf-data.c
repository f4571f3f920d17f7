/* SPDX-License-Identifier: MIT */
/* perf.data made here byte by byte: order by rounds, compressed records that straddle their pieces, truncation, hostile sizes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/macros.h"
#include "sampler/perf-data-source.h"
#include "tests/check.h"

enum { SAMPLE_TYPE = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME };

static void put_pipe_header(struct buffer *b) {
    buffer_put(b, "PERFILE2", 8);
    buffer_put_u64(b, 16);
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .sample_type = SAMPLE_TYPE, .sample_id_all = 1, .sample_period = 1000};
    struct perf_event_header header = {.type = PERF_DATA_HEADER_ATTR, .size = sizeof header + sizeof attr + 8};
    buffer_put(b, &header, sizeof header);
    buffer_put(b, &attr, sizeof attr);
    buffer_put_u64(b, 77); /* an event's id */
}

static void put_sample(struct buffer *b, uint64_t time, uint32_t tid) {
    struct perf_event_header header = {.type = PERF_RECORD_SAMPLE, .misc = PERF_RECORD_MISC_USER, .size = sizeof header + 24};
    buffer_put(b, &header, sizeof header);
    buffer_put_u64(b, 0x401000 + time);
    buffer_put_u32(b, 1);
    buffer_put_u32(b, tid);
    buffer_put_u64(b, time);
}

static void put_round(struct buffer *b) {
    struct perf_event_header header = {.type = PERF_DATA_FINISHED_ROUND, .size = sizeof header};
    buffer_put(b, &header, sizeof header);
}

static uint16_t event_seven(void *context, const struct perf_data_attr *attr) {
    (void)context;
    return strcmp(attr->name, "cpu-clock") ? 0 : 7;
}

struct outcome {
    int open_error, read_error;
    bool is_truncated;
    uint64_t samples, disordered, first, last;
    struct perf_data_counts counts;
};

static struct outcome read_back(const struct buffer *content) {
    struct outcome o = {0};
    int fd = memfd_create("perf.data", MFD_CLOEXEC);
    if (write(fd, content->data, content->length) != (ssize_t)content->length || lseek(fd, 0, SEEK_SET)) {
        o.open_error = -EIO;
        return o;
    }
    struct perf_data_file *file;
    const char *problem;
    o.open_error = perf_data_open(fd, &file, &problem);
    if (o.open_error)
        return o;
    struct perf_data_source *source;
    if (perf_data_source_new(file, event_seven, NULL, &source) < 0)
        abort();
    struct raw_source *raw = perf_data_source_raw(source);
    uint64_t time;
    while (raw->peek(raw, &time)) {
        struct raw_event event;
        raw->next(raw, &event);
        if (event.type != RAW_SAMPLE)
            continue;
        if (event.sample.event != 7 || event.sample.weight != 1000 || event.sample.registers[16] != 0x401000 + event.time)
            continue; /* not what was written: it will be missing from the count */
        o.first = o.samples++ ? o.first : event.time;
        o.disordered += event.time < o.last;
        o.last = event.time;
    }
    o.read_error = perf_data_source_error(source);
    o.is_truncated = file->is_truncated;
    o.counts = *perf_data_source_counts(source);
    perf_data_source_free(source);
    perf_data_close(file);
    return o;
}

TEST(records_of_several_rings_come_in_order_of_time) {
    struct buffer b = {0};
    put_pipe_header(&b);
    for (uint64_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 20; i++) /* ring 0, whose last records are newer than ring 1's first of the next round */
            put_sample(&b, round * 100 + i * 6 + 1, 1);
        for (uint64_t i = 0; i < 20; i++)
            put_sample(&b, round * 100 + i * 5 + 2, 2);
        put_round(&b);
    }
    struct outcome o = read_back(&b);
    CHECK_EQ(o.open_error, 0);
    CHECK_EQ(o.samples, 2000);
    CHECK_EQ(o.disordered, 0);
    CHECK_EQ(o.first, 1);
    CHECK_EQ(o.is_truncated, false);
    buffer_free(&b);
}

TEST(compressed_records_may_straddle_their_pieces) {
    struct buffer plain = {0}, b = {0};
    for (uint64_t i = 1; i <= 3000; i++)
        put_sample(&plain, i, 1);
    put_pipe_header(&b);
    ZSTD_CStream *stream = ZSTD_createCStream();
    ZSTD_initCStream(stream, 1);
    for (size_t at = 0, piece; at < plain.length; at += piece) {
        piece = MIN((size_t)1003, plain.length - at); /* never a whole number of records */
        uint8_t out[4096];
        ZSTD_inBuffer in = {plain.data + at, piece, 0};
        ZSTD_outBuffer to = {out, sizeof out, 0};
        ZSTD_compressStream(stream, &to, &in);
        ZSTD_flushStream(stream, &to);
        CHECK_EQ(in.pos, piece);
        struct perf_event_header header = {.type = PERF_DATA_COMPRESSED, .size = (uint16_t)(sizeof header + to.pos)};
        buffer_put(&b, &header, sizeof header);
        buffer_put(&b, out, to.pos);
    }
    put_sample(&b, 4000, 1); /* at an odd place */
    ZSTD_freeCStream(stream);
    struct outcome o = read_back(&b);
    CHECK_EQ(o.read_error, 0);
    CHECK_EQ(o.samples, 3001);
    CHECK_EQ(o.last, 4000);
    buffer_free(&plain);
    buffer_free(&b);
}

TEST(a_file_cut_anywhere_gives_what_lies_before_the_cut) {
    struct buffer b = {0};
    put_pipe_header(&b);
    size_t header = b.length;
    for (uint64_t i = 1; i <= 20; i++)
        put_sample(&b, i, 1);
    size_t whole = b.length, record = (whole - header) / 20;
    for (size_t length = header; length <= whole; length++) {
        b.length = length;
        struct outcome o = read_back(&b);
        CHECK_EQ(o.open_error, 0);
        CHECK_EQ(o.samples, (length - header) / record);
        CHECK_EQ(o.is_truncated, (length - header) % record != 0);
    }
    buffer_free(&b);
}

TEST(a_record_smaller_than_its_header_ends_the_reading_with_an_error) {
    struct buffer b = {0};
    put_pipe_header(&b);
    put_sample(&b, 1, 1);
    buffer_put_u64(&b, 9); /* type 9, size 0 */
    put_sample(&b, 2, 1);
    struct outcome o = read_back(&b);
    CHECK_EQ(o.read_error, -EBADMSG);
    CHECK_EQ(o.samples, 1);
    buffer_free(&b);
}

TEST(something_else_is_refused_at_once) {
    struct buffer b = {0};
    buffer_put(&b,
               "\x7f"
               "ELF, not perf at all....",
               24);
    CHECK_EQ(read_back(&b).open_error, -ENOEXEC);
    buffer_free(&b);
}

TEST_MAIN()
