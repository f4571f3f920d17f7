/* SPDX-License-Identifier: MIT */
/* Recordings of every version that left the house, kept as they were written, say what they always said. Add one, never replace one. */
#include "tests/unit/recording/specimen.h"

static void check_golden(const char *path, void (*check)(const struct recording *r)) {
    struct recording *r = NULL;
    CHECK_EQ(recording_open(path, &r, NULL), 0);
    CHECK_STR(r->damage, NULL);
    CHECK(r->is_complete);
    check(r);
    recording_free(r);
}

TEST(a_recording_without_scopes_reads_as_it_was_written) {
    check_golden(GOLDEN "/recording-1.data", specimen_check_first);
}

TEST(a_recording_with_scopes_reads_as_it_was_written) {
    check_golden(GOLDEN "/recording-2.data", specimen_check);
}

TEST_MAIN()
