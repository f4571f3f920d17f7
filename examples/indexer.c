/* SPDX-License-Identifier: MIT */
/*
 * Something to profile: makes up a web server's log, and lets two threads do what is done to logs. Each takes a block, counts the words in
 * a hash table, ranks them, and compresses the block.
 *
 *     indexer [BLOCKS]       default 48 blocks of 1 MiB, about 2 s of CPU
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { BLOCK_SIZE = 1 << 20, THREADS = 2, LEVEL = 6, TABLE_SIZE = 1 << 16, RANKED = 1000 };

struct word {
    const char *text;
    uint32_t length, count;
};

struct totals {
    uint64_t bytes, compressed, distinct, checksum;
};

static struct {
    pthread_mutex_t lock;
    unsigned next, count;
    struct totals totals;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t random_below(uint64_t *state, uint32_t limit) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) * limit >> 31);
}

static size_t write_line(char *to, size_t room, uint64_t *state) {
    static const char *const verbs[] = {"GET", "GET", "GET", "POST", "HEAD"}, *const kinds[] = {"users", "orders", "items", "search"};
    int length = snprintf(to, room, "10.%u.%u.%u %s /api/v2/%s/%u %u %u ms\n", random_below(state, 4), random_below(state, 256),
                          random_below(state, 256), verbs[random_below(state, 5)], kinds[random_below(state, 4)],
                          random_below(state, 50000), random_below(state, 50) ? 200 : 503, random_below(state, 400));
    return (size_t)length < room ? (size_t)length : room;
}

static void write_block(char *block, unsigned number) {
    uint64_t state = number + 1;
    for (size_t at = 0; at < BLOCK_SIZE;)
        at += write_line(block + at, BLOCK_SIZE - at, &state);
}

static uint32_t hash_word(const char *text, size_t length) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash;
}

/* False when the table is full: the block has more distinct words than it can hold, and the rest goes uncounted. */
static int count_word(struct word *table, const char *text, size_t length) {
    uint32_t at = hash_word(text, length) & (TABLE_SIZE - 1);
    for (uint32_t tries = 0; tries < TABLE_SIZE; tries++, at = (at + 1) & (TABLE_SIZE - 1)) {
        struct word *word = &table[at];
        if (!word->count)
            *word = (struct word){.text = text, .length = (uint32_t)length};
        if (word->length == length && !memcmp(word->text, text, length)) {
            word->count++;
            return 1;
        }
    }
    return 0;
}

static void count_words(const char *block, struct word *table) {
    memset(table, 0, TABLE_SIZE * sizeof *table);
    for (const char *at = block, *end = block + BLOCK_SIZE; at < end;) {
        size_t length = 0;
        while (at + length < end && !strchr(" /\n.", at[length]))
            length++;
        if (length && !count_word(table, at, length))
            return;
        at += length + 1;
    }
}

static int compare_words(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : 0;
}

static void rank_words(struct word *table, struct totals *totals) {
    qsort(table, TABLE_SIZE, sizeof *table, compare_words);
    for (size_t i = 0; i < TABLE_SIZE && table[i].count; i++) {
        totals->distinct++;
        if (i < RANKED)
            totals->checksum += hash_word(table[i].text, table[i].length) * (uint64_t)table[i].count;
    }
}

static void index_block(unsigned number, char *block, struct word *table, void *compressed, size_t room, struct totals *totals) {
    write_block(block, number);
    count_words(block, table);
    rank_words(table, totals);
    totals->bytes += BLOCK_SIZE;
    totals->compressed += ZSTD_compress(compressed, room, block, BLOCK_SIZE, LEVEL);
}

static void *worker(void *unused) {
    size_t room = ZSTD_compressBound(BLOCK_SIZE);
    char *block = malloc(BLOCK_SIZE);
    void *compressed = malloc(room);
    struct word *table = malloc(TABLE_SIZE * sizeof *table);
    if (!block || !compressed || !table)
        abort();
    for (;;) {
        struct totals totals = {0};
        pthread_mutex_lock(&work.lock);
        unsigned number = work.next++;
        pthread_mutex_unlock(&work.lock);
        if (number >= work.count)
            break;
        index_block(number, block, table, compressed, room, &totals);
        pthread_mutex_lock(&work.lock);
        work.totals.bytes += totals.bytes;
        work.totals.compressed += totals.compressed;
        work.totals.distinct += totals.distinct;
        work.totals.checksum += totals.checksum;
        pthread_mutex_unlock(&work.lock);
    }
    free(block);
    free(compressed);
    free(table);
    return unused;
}

int main(int argc, char **argv) {
    work.count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 48;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, worker, NULL))
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%llu MiB, %llu distinct words, compressed to %.1f %%, checksum %llx\n", (unsigned long long)work.totals.bytes >> 20,
           (unsigned long long)work.totals.distinct,
           100.0 * (double)work.totals.compressed / (double)(work.totals.bytes ? work.totals.bytes : 1),
           (unsigned long long)work.totals.checksum);
    return 0;
}
