/* SPDX-License-Identifier: MIT */
/*
 * Small recordings for the tests of the report, made with the writer:
 *
 *     struct make m = make_start();
 *     uint32_t task = make_task(&m, "app", 100, 101);
 *     make_samples(&m, task, 3, STACK_COMPLETE, (const char *[]){"main", "work", NULL});
 *     struct recording *r = make_finish(&m);
 *
 * A frame is named by a string, outermost first: "module!function", or "function" for the module "app". A name that begins with '@' has no
 * function, "k!..." lies in the kernel, "..." stands for elided frames, "?" for no mapping, and "a\1b" is b with a inlined into it.
 */
#pragma once

#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "recording/recording.h"
#include "report/view.h"
#include "tests/check.h"

enum { MAKE_PERIOD = 1000000 };

struct make {
    struct recording_writer *writer;
    struct strings modules, frames;
    VEC(struct recording_node) nodes;
    uint32_t processes;
    uint64_t now;
    bool no_symbols, left_open;
};

static char make_directory[64];

static const char *make_path(void) {
    static char path[128];
    if (!*make_directory) {
        snprintf(make_directory, sizeof make_directory, "/tmp/cprof-report-test-XXXXXX");
        if (!mkdtemp(make_directory))
            abort();
    }
    snprintf(path, sizeof path, "%s/cprof.data", make_directory);
    return path;
}

__attribute__((destructor)) static void make_clean(void) {
    char path[128];
    if (!*make_directory)
        return;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/cprof.data%s", make_directory, i ? ".old" : "");
        unlink(path);
    }
    rmdir(make_directory);
}

static struct make make_start(void) {
    struct make m = {.now = 1000000000};
    if (recording_create(make_path(), &m.writer) < 0)
        abort();
    recording_add_event(
        m.writer,
        &(struct recording_event){
            .name = "cpu-clock", .unit = "ns", .clock = "on-CPU time", .source = "test", .blind = "", .period = MAKE_PERIOD, .weights = 1});
    return m;
}

static uint32_t make_task(struct make *m, const char *comm, uint32_t pid, uint32_t tid) {
    struct recording_process process = {.pid = pid, .parent = RECORDING_NONE, .start = m->now};
    struct recording_thread thread = {.pid = pid, .tid = tid, .start = m->now};
    struct recording_task task = {.comm = comm, .start = m->now};
    task.process = recording_add_process(m->writer, &process);
    task.thread = recording_add_thread(m->writer, &thread);
    return recording_add_task(m->writer, &task);
}

static uint32_t make_module(struct make *m, const char *path) {
    uint32_t id;
    size_t known = m->modules.entries.count;
    if (strings_intern(&m->modules, path, strlen(path), &id) < 0)
        abort();
    if (id == known) {
        bool is_kernel = path[0] == '[';
        id = recording_add_module(m->writer, &(struct recording_module){.kind = is_kernel ? MODULE_KERNEL : MODULE_FILE, .path = path});
    }
    return id;
}

/* One symbol a frame, at the frame's own id as the address. */
static void make_symbol(struct make *m, uint32_t module, uint64_t address, const char *name) {
    struct recording_location locations[2] = {0};
    _cleanup_free_ char *copy = strdup(name);
    uint32_t count = 0;
    char *inlined_into = strchr(copy, '\1');
    if (inlined_into) {
        *inlined_into++ = 0;
        locations[count++] = (struct recording_location){.function = copy, .file = "in.h", .line = 5, .is_inlined = true};
    }
    locations[count++] = (struct recording_location){.function = inlined_into ? inlined_into : copy, .file = "a.c", .line = 7};
    recording_add_symbol(m->writer, &(struct recording_symbol){module, address, *name ? count : 0, locations});
}

static uint32_t make_frame(struct make *m, const char *name) {
    uint32_t id;
    size_t known = m->frames.entries.count;
    if (strings_intern(&m->frames, name, strlen(name), &id) < 0)
        abort();
    if (id < known)
        return id;
    struct recording_frame frame = {.kind = FRAME_NATIVE, .class = FRAME_TABLE, .address = 0x1000 + id};
    const char *function = strchr(name, '!');
    _cleanup_free_ char *module = function ? strndup(name, (size_t)(function - name)) : strdup("/usr/bin/app");
    function = function ? function + 1 : name;
    if (!strcmp(name, "...")) {
        frame = (struct recording_frame){.kind = FRAME_ELIDED, .module = RECORDING_NONE, .address = 1234};
    } else if (!strcmp(name, "?")) {
        frame = (struct recording_frame){.kind = FRAME_UNKNOWN, .module = RECORDING_NONE, .address = 0xdead};
    } else {
        if (!strcmp(module, "k"))
            frame.kind = FRAME_KERNEL;
        frame.module = make_module(m, frame.kind == FRAME_KERNEL ? "[kernel]" : module);
        if (!m->no_symbols)
            make_symbol(m, frame.module, frame.address, *function == '@' ? "" : function);
    }
    if (recording_add_frame(m->writer, &frame) != id)
        abort();
    return id;
}

static uint32_t make_node(struct make *m, uint32_t parent, uint32_t frame) {
    for (size_t i = 0; i < m->nodes.count; i++)
        if (m->nodes.items[i].parent == parent && m->nodes.items[i].frame == frame)
            return STACK_END_COUNT + (uint32_t)i;
    struct recording_node *node = vec_push(&m->nodes);
    *node = (struct recording_node){parent, frame};
    return recording_add_node(m->writer, node);
}

static inline void make_samples(struct make *m, uint32_t task, unsigned count, enum stack_end end, const char *const *frames) {
    uint32_t node = end;
    for (; *frames; frames++)
        node = make_node(m, node, make_frame(m, *frames));
    for (unsigned i = 0; i < count; i++)
        recording_add_sample(
            m->writer, &(struct recording_sample){.time = m->now += MAKE_PERIOD, .task = task, .node = node, .weight = {MAKE_PERIOD}});
}

#define MAKE_STACK(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct recording *make_finish(struct make *m) {
    struct recording *r = NULL;
    int error = m->left_open ? recording_flush(m->writer) : 0;
    if (m->left_open)
        error = error ? error : recording_open(make_path(), &r, NULL);
    if (recording_close(m->writer, NULL) < 0 || error < 0 || (!r && recording_open(make_path(), &r, NULL) < 0))
        abort();
    strings_free(&m->modules);
    strings_free(&m->frames);
    vec_free(&m->nodes);
    return r;
}

/* Runs the report with `arguments` (NULL-terminated) over `r`, which is freed; the caller frees the text: what no drain took. */
static inline char *make_report_drained(struct recording *r, const char *const *arguments, const struct folded_drain *drain,
                                        struct view_notes *notes) {
    const char *argv[32] = {"cprof-report"};
    int argc = 1;
    for (; arguments[argc - 1]; argc++)
        argv[argc] = arguments[argc - 1];
    struct report_options options;
    char error[256];
    struct buffer out = {0};
    if (options_parse(argc, (char **)argv, &options, error) < 0) {
        printf("# options: %s\n", error);
        abort();
    }
    int result = view_write(r, &options, 0, &out, drain, notes);
    options_free(&options);
    recording_free(r);
    if (result < 0)
        buffer_printf(&out, "error: %s", strerror(-result));
    buffer_put_u8(&out, 0);
    return (char *)out.data;
}

static inline char *make_report_noting(struct recording *r, const char *const *arguments, struct view_notes *notes) {
    return make_report_drained(r, arguments, NULL, notes);
}

static inline char *make_report(struct recording *r, const char *const *arguments) {
    struct view_notes notes;
    return make_report_noting(r, arguments, &notes);
}

#define REPORT(r, ...) make_report(r, (const char *const[]){__VA_ARGS__, NULL})
