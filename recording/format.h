/* SPDX-License-Identifier: MIT */
/*
 * What the bytes of a recording are: the constants and fixed structs of docs/FORMAT.md, shared by the writer and the reader. Private to the
 * room.
 *
 *     file     file_head | chunk | chunk | ...
 *     chunk    chunk_head | stored payload (`length` bytes; zstd if CHUNK_ZSTD, then `raw_length` bytes when decompressed)
 *
 * Little endian. A change that an old reader would misread takes a new chunk version or a new type; one it may ignore takes an optional
 * type.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* A byte above 127 and a line end in the magic, as PNG has: a file sent through a text-mode transfer is told from a recording. */
#define FORMAT_MAGIC \
    "\x89"           \
    "cprof\r\n"

enum {
    FORMAT_VERSION = 1,
    CHUNK_OPTIONAL = 1 << 0, /* a reader that does not know the type may skip it */
    CHUNK_ZSTD = 1 << 1,

    CHUNK_RAW_MAX = 16 << 20,     /* no payload is longer, decompressed */
    SAMPLE_ROWS_MAX = UINT16_MAX, /* no sample chunk has more rows */
    STRING_LENGTH_MAX = 1 << 20,
    SYMBOL_LOCATIONS_MAX = 1024,
};

/* The four letters as they stand in the file. */
#define CHUNK_TYPE(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define CHUNK_STRINGS       CHUNK_TYPE('S', 'T', 'R', 'S')
#define CHUNK_FACTS         CHUNK_TYPE('F', 'A', 'C', 'T')
#define CHUNK_CLOCKS        CHUNK_TYPE('C', 'L', 'C', 'K')
#define CHUNK_EVENTS        CHUNK_TYPE('E', 'V', 'N', 'T')
#define CHUNK_MODULES       CHUNK_TYPE('M', 'O', 'D', 'L')
#define CHUNK_MODULE_UPDATE CHUNK_TYPE('M', 'O', 'D', 'U')
#define CHUNK_PROCESSES     CHUNK_TYPE('P', 'R', 'O', 'C')
#define CHUNK_MAPPINGS      CHUNK_TYPE('M', 'A', 'P', 'S')
#define CHUNK_THREADS       CHUNK_TYPE('T', 'H', 'R', 'D')
#define CHUNK_TASKS         CHUNK_TYPE('T', 'A', 'S', 'K')
#define CHUNK_THREAD_ENDS   CHUNK_TYPE('T', 'E', 'N', 'D')
#define CHUNK_FRAMES        CHUNK_TYPE('F', 'R', 'A', 'M')
#define CHUNK_NODES         CHUNK_TYPE('N', 'O', 'D', 'E')
#define CHUNK_SAMPLES       CHUNK_TYPE('S', 'M', 'P', 'L')
#define CHUNK_SYMBOLS       CHUNK_TYPE('S', 'Y', 'M', 'B')
#define CHUNK_COUNTERS      CHUNK_TYPE('C', 'N', 'T', 'R')
#define CHUNK_SITES         CHUNK_TYPE('S', 'I', 'T', 'E')
#define CHUNK_SCOPES        CHUNK_TYPE('S', 'C', 'O', 'P')
#define CHUNK_SCOPE_NODES   CHUNK_TYPE('S', 'C', 'N', 'D')
#define CHUNK_SCOPE_PATHS   CHUNK_TYPE('S', 'C', 'P', 'A')
#define CHUNK_INSTANCES     CHUNK_TYPE('I', 'N', 'S', 'T')
#define CHUNK_EPOCH         CHUNK_TYPE('E', 'P', 'O', 'C')
#define CHUNK_END           CHUNK_TYPE('D', 'O', 'N', 'E')

/* The newest version of a type that this code reads, and the one it writes. Older ones are subsets. */
static inline uint8_t format_chunk_version(uint32_t type) {
    return type == CHUNK_FRAMES ? 2 : 1;
}

/* A reader that does not know them misses no more than what they say. */
static inline bool format_is_optional(uint32_t type) {
    return type == CHUNK_SCOPES || type == CHUNK_SCOPE_NODES || type == CHUNK_SCOPE_PATHS || type == CHUNK_INSTANCES;
}

struct file_head {
    uint8_t magic[8];
    uint16_t version;
    uint16_t length;   /* of this head: the first chunk starts there */
    uint32_t roots;    /* stack ends known to the writer: node ids below are roots */
    uint32_t checksum; /* CRC-32 of the bytes before it */
};
static_assert(sizeof(struct file_head) == 20, "wire layout");
static_assert(offsetof(struct file_head, version) == 8, "wire layout");
static_assert(offsetof(struct file_head, roots) == 12, "wire layout");

struct chunk_head {
    uint32_t type;
    uint8_t version;
    uint8_t flags;
    uint16_t zero;
    uint32_t length;
    uint32_t raw_length;
    uint32_t checksum; /* CRC-32 (zlib's) of the bytes of this head before it, then of the stored payload */
};
static_assert(sizeof(struct chunk_head) == 20, "wire layout");
static_assert(offsetof(struct chunk_head, flags) == 5, "wire layout");
static_assert(offsetof(struct chunk_head, length) == 8, "wire layout");
static_assert(offsetof(struct chunk_head, checksum) == 16, "wire layout");

enum { CHUNK_HEAD_SUMMED = offsetof(struct chunk_head, checksum) };

enum { EVENT_JITTERED = 1 << 0, EVENT_UNTESTED = 1 << 1, EVENT_AT_TICKS = 1 << 2 };
enum { THREAD_END_EXITED = 1 << 0, THREAD_END_EXACT_CPU = 1 << 1 };
enum { LOCATION_INLINED = 1 << 0 };
enum { LANE_WEIGHTS = 1 << 0 }; /* its samples' weights are in the weight column; else each is the event's period */

static inline uint64_t zigzag_encode(int64_t value) {
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t zigzag_decode(uint64_t value) {
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}
