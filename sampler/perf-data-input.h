/* SPDX-License-Identifier: MIT */
/*
 * The bytes of perf.data as a stream of records in counted blocks; private to sampler/perf-data-*.
 *
 *     descriptor --read--> block of raw records --PERF_RECORD_COMPRESSED--> zstd --> block of inner records
 *
 * A record never straddles blocks: what is left over of one is copied to the front of the next. Reading and not mapping costs a copy, and
 * saves the SIGBUS when somebody truncates the file under us.
 */
#pragma once

#include "sampler/perf-data-file.h"

struct perf_data_stream {
    struct perf_data_block *block;
    size_t at, filled;
};

struct perf_data_input {
    int fd;
    uint64_t left; /* bytes of the data section still unread; UINT64_MAX: to the end of the pipe */
    bool is_at_end;
    struct perf_data_stream raw, inner;
    struct perf_data_block *compressed_block; /* holds what zstd has not eaten yet */
    const uint8_t *compressed;
    size_t compressed_left;
    void *zstd; /* ZSTD_DStream, made when the first compressed record comes */
};

int perf_data_input_init(struct perf_data_input *input, int fd, uint64_t length);
void perf_data_input_free(struct perf_data_input *input);

/* 1 and the next record, aligned to 8 and whole; 0 at the end; -ENODATA: the bytes end within a record; -EBADMSG; -errno. */
int perf_data_input_next(struct perf_data_input *input, const struct perf_event_header **ret_record, struct perf_data_block **ret_block,
                         const char **ret_problem);

/* Passes over bytes that lie between records (traces). */
int perf_data_input_skip(struct perf_data_input *input, uint64_t length);
