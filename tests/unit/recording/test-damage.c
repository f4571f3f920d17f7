/* SPDX-License-Identifier: MIT */
/* A file that is cut or bent anywhere gives what comes before, says where it ends, and nothing else. */
#include <errno.h>

#include "tests/unit/recording/craft.h"
#include "tests/unit/recording/specimen.h"

static uint8_t *whole;
static size_t whole_length;

static void write_whole(void) {
    struct recording_writer *w = NULL;
    CHECK_EQ(recording_create(specimen_path(), &w), 0);
    specimen_write(w);
    CHECK_EQ(recording_close(w, NULL), 0);
    free(whole);
    whole = specimen_get(specimen_path(), &whole_length);
    CHECK(whole);
    CHECK(whole_length > 500 && whole_length < 10000);
}

/* What can be told of any recording that was opened. */
static void check_sound(const struct recording *r, size_t length) {
    CHECK_EQ(r->file_size, length);
    CHECK(r->good_size <= r->file_size);
    CHECK(r->damage || r->good_size == r->file_size);
    CHECK_EQ(specimen_walk(r), (long long)r->sample_count);
    CHECK_EQ(r->thread_ends.count, r->threads.count);
}

TEST(a_file_cut_at_any_byte_gives_what_is_whole) {
    write_whole();
    uint64_t samples = 0, good = 0, boundaries = 0;
    for (size_t length = 0; length <= whole_length && !check_failed; length++) {
        CHECK(specimen_put(whole, length));
        struct recording *r = NULL;
        int error = recording_open(specimen_path(), &r, NULL);
        if (length < sizeof(struct file_head)) {
            CHECK_EQ(error, -ENOEXEC);
            continue;
        }
        CHECK_EQ(error, 0);
        check_sound(r, length);
        CHECK_EQ(r->is_complete, length == whole_length);
        CHECK(r->sample_count >= samples && r->good_size >= good);
        boundaries += r->damage == NULL;
        samples = r->sample_count;
        good = r->good_size;
        recording_free(r);
    }
    CHECK_EQ(samples, 3);
    CHECK(boundaries > 15);
}

TEST(a_byte_changed_anywhere_is_seen) {
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    write_whole();
    for (size_t at = 0; at < whole_length && !check_failed; at++)
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
            whole[at] ^= changes[i];
            CHECK(specimen_put(whole, whole_length));
            whole[at] ^= changes[i];
            struct recording *r = NULL;
            const char *newer = NULL;
            int error = recording_open(specimen_path(), &r, &newer);
            if (at < sizeof(struct file_head) && error) {
                CHECK_EQ(error, at < 8 ? -ENOEXEC : -EPROTO);
                continue;
            }
            CHECK_EQ(error, 0);
            CHECK(r->damage);
            CHECK(!r->is_complete);
            CHECK(r->good_size <= at);
            check_sound(r, whole_length);
            recording_free(r);
        }
}

TEST(bytes_behind_the_end_are_told) {
    write_whole();
    struct buffer file = {0};
    buffer_put(&file, whole, whole_length);
    craft_plain(&file, CHUNK_STRINGS, "a", 2);
    CHECK(specimen_put(file.data, file.length));
    struct recording *r = NULL;
    CHECK_EQ(recording_open(specimen_path(), &r, NULL), 0);
    CHECK(r->is_complete);
    CHECK(strstr(r->damage, "behind the end"));
    CHECK_EQ(r->good_size, whole_length);
    recording_free(r);
    buffer_free(&file);
    free(whole);
}

TEST_MAIN()
