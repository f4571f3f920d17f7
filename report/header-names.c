/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "report/header.h"
#include "report/text.h"

enum { NAMED_MAX = 5 }; /* modules told by name in one line */

typedef unsigned long long ull;

static const char *why(enum disk_state state) {
    switch (state) {
    case DISK_GONE:
        return "not here";
    case DISK_DIFFERENT:
        return "another build here";
    default:
        return "nothing to know it by";
    }
}

void header_put_names(const struct recording *r, const struct stacks *stacks, const struct resolver *resolver, struct buffer *out) {
    if (stacks->unnamed_frames)
        buffer_printf(out, "# names: %.2f %% of all frames are in code without a function name (%llu of %llu)\n",
                      100.0 * (double)stacks->unnamed_frames / (double)stacks->frames, (ull)stacks->unnamed_frames, (ull)stacks->frames);
    struct resolver_counts counts = resolver_counts(resolver);
    if (!counts.missing)
        return;
    buffer_printf(
        out, "# names: %llu places have none in the recording; %llu of them are named from this machine's files, checked by build-id\n",
        (ull)counts.missing, (ull)counts.found);
    size_t without = 0;
    for (uint32_t i = 0; i < r->modules.count; i++) {
        enum disk_state state = resolver_module_state(resolver, i);
        if (state == DISK_UNTRIED || state == DISK_USED)
            continue;
        if (without++ >= NAMED_MAX)
            continue;
        buffer_printf(out, without == 1 ? "# modules without names: " : ", ");
        text_put(out, TEXT_TERMINAL, r->modules.items[i].path, strlen(r->modules.items[i].path));
        buffer_printf(out, " (%s)", why(state));
    }
    if (without > NAMED_MAX)
        buffer_printf(out, " and %zu more", without - NAMED_MAX);
    if (without)
        buffer_put_u8(out, '\n');
}
