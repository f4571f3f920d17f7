/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over its corpus as an ordinary test, in any build: each input as it is, then cut short and with bytes changed. The
 * changes follow from the input alone, so that a failure repeats.
 *
 *     replay-<thing> CORPUS-DIRECTORY      TAP; the last "# input" line names what failed
 *     replay-<thing> FILE                  that input alone
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/map.h"

enum { CUTS = 32, CHANGES = 32, CHANGED_BYTES_MAX = 4, INPUT_MAX = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly this size, so that AddressSanitizer sees the first byte read past its end. */
static void run(const uint8_t *data, size_t size) {
    _cleanup_free_ uint8_t *copy = malloc(size);
    if (size && !copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
}

static void run_changed(struct buffer *input) {
    if (!input->length)
        return;
    for (size_t i = 0; i < CUTS; i++)
        run(input->data, input->length * i / CUTS);
    uint64_t random = input->length;
    for (size_t i = 0; i < CHANGES; i++) {
        uint8_t saved[CHANGED_BYTES_MAX];
        size_t at[CHANGED_BYTES_MAX], count = 1 + i % CHANGED_BYTES_MAX;
        for (size_t k = 0; k < count; k++) {
            random = map_hash(random + 0x9e3779b97f4a7c15u);
            at[k] = random % input->length;
            saved[k] = input->data[at[k]];
            input->data[at[k]] = (uint8_t)(random >> 56);
        }
        run(input->data, input->length);
        for (size_t k = count; k-- > 0;)
            input->data[at[k]] = saved[k];
    }
}

static bool read_file(const char *path, struct buffer *ret) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return false;
    buffer_clear(ret);
    for (size_t got = 1; got && ret->length < INPUT_MAX;) {
        uint8_t *to = buffer_reserve(ret, 65536);
        if (!to)
            return false;
        got = fread(to, 1, 65536, file);
        ret->length += got;
    }
    return !ferror(file);
}

static bool replay(const char *path, bool change) {
    struct buffer input = {0};
    bool good = read_file(path, &input);
    if (good) {
        printf("# input %s\n", path);
        fflush(stdout);
        run(input.data, input.length);
        if (change)
            run_changed(&input);
    }
    buffer_free(&input);
    return good;
}

static int replay_directory(const char *directory) {
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, alphasort), inputs = 0, unread = 0;
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;
        if (entries[i]->d_name[0] != '.' && asprintf(&path, "%s/%s", directory, entries[i]->d_name) > 0) {
            inputs++;
            unread += !replay(path, true);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    run(NULL, 0);
    bool good = inputs && !unread;
    printf("%sok 1 - %d inputs of %s, each cut short %d times and changed %d times\n1..1\n", good ? "" : "not ", inputs, directory, CUTS,
           CHANGES);
    return !good;
}

int main(int argc, char **argv) {
    struct stat status;
    if (argc != 2 || stat(argv[1], &status)) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY | FILE\n", argv[0]);
        return 2;
    }
    return S_ISDIR(status.st_mode) ? replay_directory(argv[1]) : !replay(argv[1], false);
}
