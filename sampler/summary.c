/* SPDX-License-Identifier: MIT */
#include "sampler/summary.h"

#include <inttypes.h>
#include <string.h>

#include "sampler/message.h"

/* "512 bytes", "118 KiB", "3.4 MiB" */
static void put_size(struct buffer *b, uint64_t size) {
    if (size < 1024)
        buffer_printf(b, "%" PRIu64 " bytes", size);
    else if (size < 1024 * 1024)
        buffer_printf(b, "%.0f KiB", (double)size / 1024);
    else
        buffer_printf(b, "%.1f MiB", (double)size / (1024 * 1024));
}

static void put_samples(const struct summary *s, struct buffer *b) {
    buffer_printf(b, "%" PRIu64 " sample%s", s->counts->samples, s->counts->samples == 1 ? "" : "s");
    if (s->coverage->visible > 0)
        buffer_printf(b, ", %.0f a second of CPU time (%u asked)", s->coverage->hz_achieved, s->options->hz);
    uint64_t places = s->counts->scope_places;
    if (places)
        buffer_printf(b, ", scopes of %" PRIu64 " place%s", places, places == 1 ? "" : "s");
    buffer_printf(b, ", ");
    put_size(b, s->file_size);
    bool is_default = strcmp(s->options->output, "cprof.data") == 0;
    buffer_printf(b, "; look at it with: cprof-report%s%s%s\n", is_default ? "" : " -i ", is_default ? "" : s->options->output,
                  !places          ? ""
                  : s->options->hz ? " [--scopes | --compare]"
                                   : " --scopes");
}

/* One item of the line of losses: "lost: 12 samples (ring full), 3 ..." */
static void put_item(struct buffer *b, size_t start, uint64_t count, const char *what) {
    if (count > 0)
        buffer_printf(b, "%s%" PRIu64 " %s", b->length == start ? "not whole: " : ", ", count, what);
}

static void put_losses(const struct summary *s, struct buffer *b) {
    const struct pipeline_counts *c = s->counts;
    size_t start = b->length;
    put_item(b, start, c->lost_samples, "samples lost (ring full)");
    put_item(b, start, c->lost_sideband, "records of mappings and tasks lost");
    put_item(b, start, c->throttled, "times throttled by the kernel");
    put_item(b, start, c->malformed, "malformed records");
    for (unsigned end = 0; end < STACK_END_COUNT; end++)
        if (end != STACK_COMPLETE && end != STACK_KERNEL_ONLY && c->stacks_by_end[end] > 0)
            buffer_printf(b, "%s%" PRIu64 " stacks %s", b->length == start ? "not whole: " : ", ", c->stacks_by_end[end],
                          stack_end_name(end));
    uint64_t guessed = c->frames_by_class[FRAME_INFERRED] + c->frames_by_class[FRAME_FRAME_POINTER] + c->frames_by_class[FRAME_GUESSED];
    put_item(b, start, guessed, "frames without proof");
    put_item(b, start, c->continued_stacks, "stacks continued from live memory");
    put_item(b, start, c->elided_frames, "frames cut from deep stacks");
    put_item(b, start, c->unknown_frames, "frames in no known module");
    put_item(b, start, c->modules_not_opened, "modules not opened");
    put_item(b, start, c->given_up, "files that did not answer");
    put_item(b, start, c->reread_processes, "processes read again");
    put_item(b, start, s->engine->skipped_cpus, "CPUs not recorded");
    put_item(b, start, c->switches_lost, "context switches lost");
    put_item(b, start, c->scope_events_lost, "scopes not told one by one");
    put_item(b, start, c->scopes_refused, "scopes without room");
    if (s->is_unsymbolised)
        buffer_printf(b, "%snames not looked up", b->length == start ? "not whole: " : ", ");
    if (b->length > start)
        buffer_printf(b, "\n");
}

/* Whoever marked scopes and finds none has to be told why. */
static void put_libraries(const struct summary *s, struct buffer *b) {
    if (s->other_libraries)
        buffer_printf(b, "%" PRIu32 " process%s of which no scope is recorded: their libcprof is of another version than this program\n",
                      s->other_libraries, s->other_libraries == 1 ? "" : "es");
    uint64_t mixed = s->counts->mixed_libraries;
    if (mixed)
        buffer_printf(b, "%" PRIu64 " process%s with libcprof in two versions: what was built with the one loaded later is not recorded\n",
                      mixed, mixed == 1 ? "" : "es");
}

static void put_details(const struct summary *s, struct buffer *b) {
    const struct pipeline_counts *c = s->counts;
    buffer_printf(b, "CPU time %.3f s, of which %.3f s known thread by thread", (double)s->coverage->exact / 1e9,
                  (double)s->coverage->told / 1e9);
    if (s->coverage->coverage > 0)
        buffer_printf(b, ", samples cover %.1f %% of what they may see", 100 * s->coverage->coverage);
    buffer_printf(b, "\n");
    buffer_printf(b,
                  "%" PRIu64 " processes, %" PRIu64 " threads, %" PRIu64 " modules; stacks complete: %" PRIu64
                  ", without any guess: %" PRIu64 "\n",
                  c->processes, c->threads, c->modules, c->stacks_by_end[STACK_COMPLETE], c->complete_proved);
    buffer_printf(b, "engine %s, %u CPUs, a ring of ", s->engine->name, s->engine->cpus);
    put_size(b, s->engine->ring_size);
    buffer_printf(b, " each, kernel samples: %s\n", s->engine->has_kernel ? "yes" : "no");
}

void summary_write(const struct summary *s, struct buffer *ret) {
    put_samples(s, ret);
    put_losses(s, ret);
    put_libraries(s, ret);
    if (s->engine->remark)
        buffer_printf(ret, "%s\n", s->engine->remark);
    if (s->totals->remark)
        buffer_printf(ret, "%s\n", s->totals->remark);
    if (s->options->verbose)
        put_details(s, ret);
}

void summary_say(const struct summary *summary) {
    struct buffer text = {0};
    summary_write(summary, &text);
    buffer_put_u8(&text, 0);
    char *rest = text.failed ? NULL : (char *)text.data;
    for (const char *line; rest && (line = strsep(&rest, "\n")) && *line;)
        message("%s", line);
    buffer_free(&text);
}
