/* SPDX-License-Identifier: MIT */
/*
 * An annotated program to copy from: one thread makes requests, the other counts their words and writes the result. What is of interest is
 * marked with cprof.h, and then
 *
 *     cprof-record examples/wordcount
 *     cprof-report --scopes                            exact figures of each scope
 *     cprof-report --compare                           the same beside what the samples say
 *     cprof-report --svg --in-scope request --slowest 5 -o slow.svg
 *
 *     wordcount [REQUESTS]       default 4,000 requests of 16 to 112 KiB, about 2 s of CPU; one in fifty is slow
 */
#include <cprof.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LEAST = 16 << 10, TEXT_MOST = 112 << 10, QUEUE = 4, TABLE_SIZE = 1 << 12, SLOW_ONE_IN = 50 };

struct request {
    char text[TEXT_MOST];
    size_t length;
    uint64_t number;
};

struct word {
    const char *text;
    size_t length, count;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *items[QUEUE];
    unsigned count;
    int is_ended;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- one thread ------------------------------------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t state) {
    return state * 6364136223846793005u + 1442695040888963407u;
}

static struct request *make_request(uint64_t number) {
    CPROF_SCOPE("make request");
    static const char letters[] = "etaoinshrdlucmfw";
    struct request *request = malloc(sizeof *request);
    uint64_t state = next_random(next_random(number + 1));
    if (!request)
        abort();
    request->number = number;
    request->length = TEXT_LEAST + (state >> 33) % (TEXT_MOST - TEXT_LEAST);
    for (size_t at = 0; at < request->length; at++) {
        state = next_random(state);
        request->text[at] = (state >> 33) % 5 ? letters[state >> 40 & 15] : ' ';
    }
    return request;
}

static void put_request(struct request *request) {
    CPROF_SCOPE("wait for room");
    pthread_mutex_lock(&queue.lock);
    while (queue.count == QUEUE)
        pthread_cond_wait(&queue.changed, &queue.lock);
    if (request)
        queue.items[queue.count++] = request;
    else
        queue.is_ended = 1;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

/* ---- the other ------------------------------------------------------------------------------------------------------------------- */

static struct request *take_request(void) {
    CPROF_SCOPE("wait for request");
    struct request *request = NULL;
    pthread_mutex_lock(&queue.lock);
    while (!queue.count && !queue.is_ended)
        pthread_cond_wait(&queue.changed, &queue.lock);
    if (queue.count) {
        request = queue.items[0];
        memmove(queue.items, queue.items + 1, --queue.count * sizeof *queue.items);
    }
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return request;
}

static size_t hash_word(const char *text, size_t length) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash & (TABLE_SIZE - 1);
}

/* Words that find no room count at the last one looked at: it is an example. */
static size_t count_words(const struct request *request, struct word *table) {
    CPROF_FUNCTION();
    size_t words = 0;
    for (const char *at = request->text, *end = at + request->length; at < end; words++) {
        while (at < end && *at == ' ')
            at++;
        const char *start = at;
        while (at < end && *at != ' ')
            at++;
        size_t length = (size_t)(at - start), slot = hash_word(start, length);
        for (unsigned tries = 0; tries < 8 && table[slot].count; tries++, slot = (slot + 1) & (TABLE_SIZE - 1))
            if (table[slot].length == length && !memcmp(table[slot].text, start, length))
                break;
        table[slot] = (struct word){start, length, table[slot].count + 1};
    }
    CPROF_VALUE("words", words);
    return words;
}

static int compare_words(const void *left, const void *right) {
    const struct word *a = left, *b = right;
    return a->count < b->count ? 1 : -(a->count > b->count);
}

static void write_words(struct word *table, FILE *to) {
    CPROF_SCOPE("write");
    for (size_t i = 0; i < 100 && table[i].count; i++)
        fprintf(to, "%.*s %zu\n", (int)table[i].length, table[i].text, table[i].count);
}

static void answer(const struct request *request, struct word *table, FILE *to) {
    CPROF_SCOPE("request");
    memset(table, 0, TABLE_SIZE * sizeof *table);
    count_words(request, table);
    for (unsigned i = request->number % SLOW_ONE_IN ? 1 : 8; i; i--) {
        CPROF_SCOPE("sort");
        qsort(table, TABLE_SIZE, sizeof *table, compare_words);
    }
    write_words(table, to);
}

static void *work(void *to) {
    struct word *table = malloc(TABLE_SIZE * sizeof *table);
    if (!table)
        abort();
    cprof_thread_name("worker");
    for (struct request *request; (request = take_request());) {
        answer(request, table, to);
        free(request);
    }
    free(table);
    return NULL;
}

int main(int argc, char **argv) {
    unsigned long requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000;
    pthread_t worker;
    FILE *to = fopen("/dev/null", "w");
    if (!to || pthread_create(&worker, NULL, work, to) != 0)
        return 1;
    for (unsigned long i = 0; i < requests; i++)
        put_request(make_request(i));
    put_request(NULL);
    pthread_join(worker, NULL);
    fclose(to);
    printf("%lu requests\n", requests);
    return 0;
}
