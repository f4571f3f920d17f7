/* SPDX-License-Identifier: MIT */
/* cprof-report: recording -> filter -> aggregate -> view. Status 0: shown; 1: could not be; 2: wrong usage. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "report/options.h"
#include "report/text.h"
#include "report/view.h"

DEFINE_CLEANUP(struct recording *, recording_free)

/* The one place that talks to people. The message may quote hostile names. */
static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct buffer safe = {0};
    text_put(&safe, TEXT_TERMINAL, message, strlen(message));
    fprintf(stderr, "cprof-report: %.*s\n", (int)safe.length, safe.data ? (const char *)safe.data : "");
    buffer_free(&safe);
}

static int open_recording(const char *path, struct recording **ret) {
    const char *damage = NULL;
    int r = recording_open(path, ret, &damage);
    if (r == -ENOENT)
        complain("there is no %s; record one with: cprof-record COMMAND, or name it with -i FILE", path);
    else if (r == -ENOEXEC)
        complain("%s is not a recording of cprof", path);
    else if (r == -EPROTO)
        complain("%s needs a newer cprof: it holds %s", path, damage ? damage : "something unknown");
    else if (r == -ESPIPE)
        complain("%s is no regular file, and a recording is not read in order", path);
    else if (r < 0)
        complain("cannot read %s: %s", path, strerror(-r));
    return r;
}

/* Whatever the file, it is written in as few calls as the system takes. A reader that went away (head) has seen enough. */
static int write_all(int fd, const struct buffer *b) {
    for (size_t at = 0; at < b->length;) {
        ssize_t written = write(fd, b->data + at, b->length - at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EPIPE ? 0 : -errno;
        at += (size_t)written;
    }
    return 0;
}

static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

struct output {
    const char *path; /* NULL: stdout */
    int fd;           /* -1: not opened yet, for a view that fails leaves no file behind */
    int error;
};

/* A folded_drain's write. What went wrong is said here. */
static int output_write(void *context, struct buffer *b) {
    struct output *o = context;
    if (o->fd < 0)
        o->fd = o->path ? open(o->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : STDOUT_FILENO;
    o->error = o->fd < 0 ? -errno : write_all(o->fd, b);
    if (o->error < 0)
        complain("cannot write%s%s: %s", o->path ? " " : "", o->path ? o->path : "", strerror(-o->error));
    buffer_clear(b);
    return o->error;
}

static int output_close(struct output *o) {
    if (o->path && o->fd >= 0 && close(o->fd) < 0 && o->error == 0) { /* where NFS and quotas tell */
        o->error = -errno;
        complain("cannot write %s: %s", o->path, strerror(-o->error));
    }
    return o->error;
}

/* 0: not a terminal, lines may be of any length. */
static size_t terminal_width(const struct report_options *options) {
    struct winsize size;
    return !options->output && isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void show_notes(const struct report_options *options, const struct view_notes *notes) {
    if (notes->is_empty)
        complain("no samples%s", notes->is_filtered ? " pass the filters" : " in this recording");
    if (notes->has_no_scopes)
        complain("no scopes%s: programs mark them with cprof.h", options->scope_match ? " match" : " in this recording");
    if (notes->cut)
        complain("%llu stacks longer than 64 KiB have [...] in their middle", (unsigned long long)notes->cut);
    if (notes->unnamed && options->view != VIEW_TABLE) /* the table's header says more */
        complain(
            "the recording has no names for %llu frames, and this machine's files could not be used; see: cprof-report -i %s | grep '^#'",
            (unsigned long long)notes->unnamed, options->input);
}

static int show(const struct report_options *options) {
    _cleanup_(recording_free_cleanup) struct recording *recording = NULL;
    if (options->output && is_same_file(options->input, options->output)) {
        complain("the output %s is the recording itself", options->output);
        return -EINVAL;
    }
    int r = open_recording(options->input, &recording);
    if (r < 0)
        return r;
    struct buffer out = {0};
    struct view_notes notes = {0};
    struct output output = {.path = options->output, .fd = -1};
    r = view_write(recording, options, terminal_width(options), &out, &(struct folded_drain){output_write, &output}, &notes);
    if (output.error < 0)
        ; /* said there */
    else if (r == -ENOENT && options->event)
        complain("%s has no event '%s'", options->input, options->event);
    else if (r == -ESRCH)
        complain("%s has no scope '%s'; see: cprof-report --scopes -i %s", options->input, options->in_scope, options->input);
    else if (r == -ENODATA)
        complain("%s has too few readings of the clock that its scopes were timed with: the recorder was killed too early", options->input);
    else if (r == -ENOENT)
        complain("%s holds no event: the recorder ended before it began", options->input);
    else if (r < 0)
        complain("cannot show %s: %s", options->input, strerror(-r));
    else
        r = output_write(&output, &out);
    if (output_close(&output) < 0)
        r = output.error;
    if (r == 0)
        show_notes(options, &notes);
    buffer_free(&out);
    return r;
}

int main(int argc, char **argv) {
    struct report_options options;
    char error[256];
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(argc, argv, &options, error) < 0) {
        complain("%s; see cprof-report --help", error);
        return 2;
    }
    int r = 0;
    if (options.view == VIEW_HELP || options.view == VIEW_VERSION) {
        struct buffer out = {0};
        buffer_printf(&out, "%s", options.view == VIEW_HELP ? options_usage : "cprof-report " CPROF_VERSION "\n");
        r = output_write(&(struct output){.fd = -1}, &out);
        buffer_free(&out);
    } else
        r = show(&options);
    options_free(&options);
    return r < 0 ? 1 : 0;
}
