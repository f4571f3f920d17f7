/* SPDX-License-Identifier: MIT */
#include "report/header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "report/stacks.h"
#include "report/text.h"

typedef unsigned long long ull;

static void put_safe(struct buffer *out, const char *text) {
    text_put(out, TEXT_TERMINAL, text, strlen(text));
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static double seconds(uint64_t ns) {
    return (double)ns * 1e-9;
}

/* ---- what was recorded ----------------------------------------------------------------------------------------------------------- */

static void put_fact(const struct recording *r, const char *before, const char *key, const char *after, struct buffer *out) {
    const char *value = recording_fact(r, key);
    if (!value)
        return;
    buffer_printf(out, "%s", before);
    put_safe(out, value);
    buffer_printf(out, "%s", after);
}

static void put_command(const struct recording *r, struct buffer *out) {
    if (recording_fact(r, "command")) {
        put_fact(r, "# command: ", "command", "", out);
        put_fact(r, " (exit status ", "exit status", ")", out);
        buffer_put_u8(out, '\n');
    }
    if (recording_fact(r, "hostname")) {
        put_fact(r, "# host: ", "hostname", "", out);
        put_fact(r, ", kernel ", "kernel", "", out);
        put_fact(r, ", ", "cpus", " CPUs", out);
        put_fact(r, ", ", "cpu model", "", out);
        buffer_put_u8(out, '\n');
    }
}

static void put_time(const struct recording *r, struct buffer *out) {
    uint64_t first = r->first_time, last = r->last_time;
    for (size_t i = 0; i < r->threads.count; i++)
        if (!first || (r->threads.items[i].start && r->threads.items[i].start < first))
            first = r->threads.items[i].start;
    for (size_t i = 0; i < r->thread_ends.count; i++)
        if (r->thread_ends.items[i].thread != RECORDING_NONE)
            last = MAX(last, r->thread_ends.items[i].end);
    if (!first || last < first)
        return;
    buffer_printf(out, "# duration: %.3f s", seconds(last - first));
    if (r->clock_pairs.count) {
        const struct recording_clock_pair *pair = &r->clock_pairs.items[0];
        time_t start = (time_t)((int64_t)(pair->realtime + (first - pair->monotonic_raw)) / 1000000000);
        struct tm tm;
        char text[64];
        if (localtime_r(&start, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &tm))
            buffer_printf(out, ", from %s", text);
    }
    buffer_put_u8(out, '\n');
}

static void put_event(const struct recording *r, const struct recording_event *event, struct buffer *out) {
    buffer_printf(out, "# event: ");
    put_safe(out, event->name);
    if (event->period) {
        buffer_printf(out, ", one sample every %llu ", (ull)event->period);
        put_safe(out, event->unit);
    }
    if (*event->clock) {
        buffer_printf(out, " of ");
        put_safe(out, event->clock);
    }
    if (*event->source) {
        buffer_printf(out, " (");
        put_safe(out, event->source);
        buffer_printf(out, ")");
    }
    buffer_printf(out, "%s\n", event->is_untested ? "; untested: no machine of cprof's authors has this event" : "");
    if (r->events.count > 1) {
        buffer_printf(out, "# other events:");
        for (size_t i = 0; i < r->events.count; i++)
            if (&r->events.items[i] != event) {
                buffer_put_u8(out, ' ');
                put_safe(out, r->events.items[i].name);
            }
        buffer_printf(out, " (see --event)\n");
    }
}

static void put_samples(const struct recording *r, const struct counts *counts, const struct filter *filter,
                        const struct coverage *coverage, struct buffer *out) {
    buffer_printf(out, "# samples: %llu", (ull)counts->event_samples);
    if (filter->is_narrowed)
        buffer_printf(out, ", of which %llu (%.2f %%) pass the filters", (ull)counts->samples,
                      percent(counts->samples, counts->event_samples));
    put_fact(r, "; rate: ", "hz asked", " Hz asked", out);
    if (recording_fact(r, "hz achieved"))
        put_fact(r, ", ", "hz achieved", " Hz of CPU time achieved", out);
    else if (coverage->exact)
        buffer_printf(out, ", %.1f Hz of CPU time achieved", (double)coverage->samples * 1e9 / (double)coverage->exact);
    buffer_put_u8(out, '\n');
}

/* A process row is one address space's life; to people a process goes on through exec. */
static size_t count_processes(const struct recording *r) {
    size_t count = 0;
    for (size_t i = 0; i < r->processes.count; i++) {
        const struct recording_process *process = &r->processes.items[i];
        count += process->parent == RECORDING_NONE || r->processes.items[process->parent].pid != process->pid;
    }
    return count;
}

/* What --in-scope let pass, and what it could not see. */
static void put_scope_filter(const struct filter *filter, struct buffer *out) {
    const struct scope_filter *scope = &filter->scope;
    if (!scope->by_window)
        return;
    buffer_printf(out, "# in scope: during %llu instances of %.3f us or more that held samples", (ull)scope->instances,
                  scope->floor * 1e-3);
    if (scope->floor < (double)scope->unlisted_ns)
        buffer_printf(out, "; shorter than %.3f us they are not told one by one, and are left out", (double)scope->unlisted_ns * 1e-3);
    buffer_put_u8(out, '\n');
}

static void put_tasks(const struct recording *r, struct buffer *out) {
    size_t processes = count_processes(r);
    buffer_printf(out, "# threads: %zu in %zu process%s\n", r->threads.count, processes, processes == 1 ? "" : "es");
}

/* What the recorder worked out when it finished: it knows how much of the CPU time its event could see. */
static bool put_final_coverage(const struct recording *r, struct buffer *out) {
    const char *visible_fact = recording_fact(r, "cpu visible"), *exact_fact = recording_fact(r, "cpu exact");
    const char *sampled_fact = recording_fact(r, "cpu sampled");
    if (!visible_fact || !exact_fact || !sampled_fact)
        return false;
    uint64_t visible = strtoull(visible_fact, NULL, 10), exact = strtoull(exact_fact, NULL, 10);
    uint64_t sampled = strtoull(sampled_fact, NULL, 10);
    if (!visible || !sampled)
        return false;
    buffer_printf(out, "# coverage: %.2f %%: %.3f s sampled of the %.3f s of CPU time that this event can see", percent(sampled, visible),
                  seconds(sampled), seconds(visible));
    if (exact > visible)
        buffer_printf(out, " (of %.3f s in all)", seconds(exact));
    const char *error_fact = recording_fact(r, "cpu visible error");
    if (error_fact) /* as much of the coverage as of the time it is a fraction of */
        buffer_printf(out, ", +- %.2f %%", percent(sampled, visible) * percent(strtoull(error_fact, NULL, 10), visible) / 100);
    buffer_put_u8(out, '\n');
    return true;
}

static void put_coverage(const struct recording *r, const struct coverage *c, const struct recording_event *event, struct buffer *out) {
    bool is_time = !strcmp(event->unit, "ns");
    if (is_time && !put_final_coverage(r, out) && c->exact) {
        buffer_printf(out, "# coverage: %.2f %%: %.3f s sampled of %.3f s exact CPU time", percent(c->sampled, c->exact),
                      seconds(c->sampled), seconds(c->exact));
        if (c->threads < r->threads.count)
            buffer_printf(out, " (%llu of %zu threads; of the others it is not known)", (ull)c->threads, r->threads.count);
        buffer_put_u8(out, '\n');
    }
    if (*event->blind) {
        buffer_printf(out, "# not seen by this event: ");
        put_safe(out, event->blind);
        buffer_put_u8(out, '\n');
    }
    if (recording_fact(r, "signal blocked"))
        put_fact(r, "# not seen while they blocked its signal: ", "signal blocked", "\n", out);
}

/* ---- what is true of it ---------------------------------------------------------------------------------------------------------- */

static void put_stacks(const struct stacks *s, struct buffer *out) {
    if (!s->samples)
        return;
    buffer_printf(out, "# stacks: %.2f %% complete, %.2f %% complete without any guess", percent(s->by_end[STACK_COMPLETE], s->samples),
                  percent(s->proved, s->samples));
    for (unsigned end = STACK_COMPLETE + 1; end < STACK_END_COUNT; end++)
        if (s->by_end[end])
            buffer_printf(out, "; %.2f %% %s (%llu)", percent(s->by_end[end], s->samples), stack_end_name(end), (ull)s->by_end[end]);
    buffer_put_u8(out, '\n');
    if (s->elided)
        buffer_printf(out, "# deep stacks: %llu with frames cut from their middle, shown as [frames cut]\n", (ull)s->elided);
}

/* How frames were found, as far as it was not by the sample itself or an unwind table. */
static void put_frames(const struct recording *r, struct buffer *out) {
    uint64_t frames = recording_counter(r, "user frames"), unknown = recording_counter(r, "user frames unknown");
    if (!frames)
        return;
    buffer_printf(out, "# frames: %llu of user code, %.2f %% in no known module (%llu)", (ull)frames, percent(unknown, frames),
                  (ull)unknown);
    for (unsigned class = FRAME_LIBUNWIND; class < FRAME_CLASS_COUNT; class ++) {
        char name[64];
        snprintf(name, sizeof name, "frames: %s", frame_class_name(class));
        uint64_t count = recording_counter(r, name);
        if (count)
            buffer_printf(out, "; %.2f %% %s (%llu)", percent(count, frames), frame_class_name(class), (ull)count);
    }
    buffer_put_u8(out, '\n');
}

/* Counters that tell the size of things; every other one tells of something lost, late or guessed. */
static bool is_plain_count(const char *name) {
    static const char *const plain[] = {
        "samples",         "weight",        "user frames",      "user frames unknown", "stacks complete and proved",
        "modules",         "processes",     "threads",          "exact CPU ns",        "intern epochs",
        "scope processes", "scope threads", "samples in scopes"};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        if (!strcmp(name, plain[i]))
            return true;
    return !strncmp(name, "frames: ", 8) || !strncmp(name, "stacks: ", 8);
}

static void put_losses(const struct recording *r, struct buffer *out) {
    const char *before = "# lost or bent: ";
    for (size_t i = 0; i < r->counters.count; i++) {
        const struct recording_counter *counter = &r->counters.items[i];
        if (!counter->value || is_plain_count(counter->name))
            continue;
        buffer_printf(out, "%s", before);
        put_safe(out, counter->name);
        buffer_printf(out, " %llu", (ull)counter->value);
        before = ", ";
    }
    if (*before == ',')
        buffer_put_u8(out, '\n');
}

static void put_state(const struct recording *r, struct buffer *out) {
    if (!r->is_complete)
        buffer_printf(out, "# incomplete: the recorder was still running or died; this is everything up to %.3f s after the first sample\n",
                      seconds(r->last_time - r->first_time));
    if (r->damage) {
        buffer_printf(out, "# damaged: ");
        put_safe(out, r->damage);
        buffer_printf(out, "; the first %llu of %llu bytes are shown\n", (ull)r->good_size, (ull)r->file_size);
    }
}

void header_put_origin(const struct recording *r, struct buffer *out) {
    put_command(r, out);
    put_time(r, out);
}

void header_put_state(const struct recording *r, struct buffer *out) {
    put_losses(r, out);
    put_state(r, out);
}

int header_write(const struct recording *r, const struct counts *counts, const struct filter *filter, const struct coverage *coverage,
                 const struct places *places, struct buffer *out) {
    const struct recording_event *event = &r->events.items[filter->event];
    struct stacks stacks;
    int error = stacks_classify(r, counts, places, &stacks);
    if (error < 0)
        return error;
    header_put_origin(r, out);
    put_event(r, event, out);
    put_samples(r, counts, filter, coverage, out);
    put_scope_filter(filter, out);
    put_tasks(r, out);
    put_coverage(r, coverage, event, out);
    put_stacks(&stacks, out);
    put_frames(r, out);
    put_losses(r, out);
    header_put_names(r, &stacks, places->resolver, out);
    put_state(r, out);
    buffer_printf(out, "#\n");
    return out->failed ? -ENOMEM : 0;
}
