/* SPDX-License-Identifier: MIT */
/*
 * The executable mappings of this process, told to the recorder as they become known: at the start, after every dlopen of a path, and from
 * the handler when a sample's pc lies in none of them (JITs, libraries found by name).
 *
 * The text of /proc/self/maps is read piece by piece into one buffer; what the last listing found is kept, so that only what is new is
 * told.
 */
#include <fcntl.h>

#include "agent/private.h"
#include "base/system.h"

enum {
    KNOWN_MAX = 1024,      /* the rest is told each time */
    TEXT_BYTES = 64 << 10, /* of /proc/self/maps at once; a line is at most 4,200 */
    SUSPECT_SAMPLES = 32,
    CHECK_NS = 10000000, /* the shortest between two listings for the sake of unknown pcs */
};

struct known {
    uint64_t start, end, offset, inode;
};

static struct known known[KNOWN_MAX]; /* sorted, as the kernel lists them */
static uint32_t known_count;
static char text[TEXT_BYTES + 1];
static _Atomic uint32_t lock; /* over all of the above */
static _Atomic uint32_t suspect;
static _Atomic uint64_t last_check;

/* acquire and release pair with each other: what one listing leaves, the next one sees */
static bool try_lock(void) {
    return !atomic_exchange_explicit(&lock, 1, memory_order_acquire);
}

static void unlock(void) {
    atomic_store_explicit(&lock, 0, memory_order_release);
}

/* ---- one line: "start-end perms offset major:minor inode      path" -------------------------------------------------------------- */

struct line {
    uint64_t start, end, offset, inode;
    uint32_t major, minor;
    bool is_executable;
    const char *path;
    uint64_t path_length;
};

static uint64_t take_number(const char **at, unsigned base) {
    uint64_t value = 0;
    for (;; (*at)++) {
        unsigned c = (unsigned char)**at;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : base;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    *at += **at != '\n' && **at != '\0'; /* the separator */
    return value;
}

/* `at` is a line of the kernel's, that ends in a newline. */
static struct line parse_line(const char *at) {
    struct line line = {.start = take_number(&at, 16)};
    line.end = take_number(&at, 16);
    line.is_executable = at[0] && at[1] && at[2] == 'x';
    while (*at != ' ' && *at != '\n')
        at++;
    at += *at == ' ';
    line.offset = take_number(&at, 16);
    line.major = (uint32_t)take_number(&at, 16);
    line.minor = (uint32_t)take_number(&at, 16);
    line.inode = take_number(&at, 10);
    while (*at == ' ')
        at++;
    line.path = at;
    while (*at != '\n')
        at++;
    line.path_length = (uint64_t)(at - line.path);
    return line;
}

static void tell(struct agent_thread *self, const struct line *line, uint64_t now) {
    struct agent_mapping *mapping = agent_ring_begin(self, AGENT_MAPPING, sizeof *mapping + line->path_length + 1, now);
    if (!mapping)
        return;
    mapping->start = line->start;
    mapping->end = line->end;
    mapping->offset = line->offset;
    mapping->inode = line->inode;
    mapping->device_major = line->major;
    mapping->device_minor = line->minor;
    char *path = (char *)(mapping + 1);
    system_copy(path, line->path, line->path_length);
    path[line->path_length] = '\0';
    agent_ring_commit(self);
}

/* ---- the list -------------------------------------------------------------------------------------------------------------------- */

/* The place of the first mapping that ends behind `address`. */
static uint32_t find(uint64_t address) {
    uint32_t low = 0, high = known_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (known[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * Lines come in order of address, as does what was known: known[0..kept) is of this listing, known[old..known_count) of the last one and
 * not compared yet; kept <= old unless mappings were added, when those compared last are given up and told again next time.
 */
struct listing {
    uint32_t kept, old;
    uint64_t now;
};

static void list_line(struct agent_thread *self, struct listing *listing, const struct line *line) {
    if (!line->is_executable)
        return;
    while (listing->old < known_count && known[listing->old].end <= line->start)
        listing->old++;
    struct known entry = {line->start, line->end, line->offset, line->inode};
    bool is_known = false;
    if (listing->old < known_count) {
        const struct known *old = &known[listing->old];
        is_known = old->start == entry.start && old->end == entry.end && old->offset == entry.offset && old->inode == entry.inode;
    }
    if (is_known)
        listing->old++;
    else
        tell(self, line, listing->now);
    if (listing->kept == listing->old && known_count < KNOWN_MAX) { /* no room before the old ones: move them up */
        for (uint32_t i = known_count++; i > listing->old; i--)
            known[i] = known[i - 1];
        listing->old++;
    }
    if (listing->kept < listing->old)
        known[listing->kept++] = entry;
}

static void list_text(struct agent_thread *self, int fd, struct listing *listing) {
    uint64_t length = 0;
    for (;;) {
        long got = system_call(SYS_read, fd, (long)(text + length), (long)(TEXT_BYTES - length), 0, 0, 0);
        if (got <= 0)
            return;
        length += (uint64_t)got;
        uint64_t at = 0, end = 0;
        for (; end < length; end++) {
            if (text[end] != '\n')
                continue;
            struct line line = parse_line(text + at);
            list_line(self, listing, &line);
            at = end + 1;
        }
        for (uint64_t i = at; i < length; i++) /* the beginning of a line */
            text[i - at] = text[i];
        length -= at;
    }
}

static void list_locked(struct agent_thread *self, uint64_t now) {
    struct listing listing = {.now = now};
    long fd = system_call(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return;
    list_text(self, (int)fd, &listing);
    known_count = listing.kept;
    system_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

void agent_maps_list(struct agent_thread *self, uint64_t now) {
    while (!try_lock()) /* a handler of another thread: soon over */
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    list_locked(self, now);
    unlock();
}

static bool take_suspicion(void) {
    uint32_t left = atomic_load_explicit(&suspect, memory_order_relaxed);
    return left && atomic_compare_exchange_strong_explicit(&suspect, &left, left - 1, memory_order_relaxed, memory_order_relaxed);
}

void agent_maps_check(struct agent_thread *self, uint64_t pc, uint64_t now) {
    if (!try_lock())
        return;
    uint32_t i = find(pc);
    bool is_known = i < known_count && known[i].start <= pc;
    bool is_due = now - atomic_load_explicit(&last_check, memory_order_relaxed) > CHECK_NS;
    if (take_suspicion() || (!is_known && is_due)) {
        atomic_store_explicit(&last_check, now, memory_order_relaxed);
        list_locked(self, now);
    }
    unlock();
}

void agent_maps_suspect(void) {
    atomic_store_explicit(&suspect, SUSPECT_SAMPLES, memory_order_relaxed);
}

void agent_maps_after_fork(void) {
    if (atomic_load_explicit(&lock, memory_order_relaxed)) { /* by a thread that is not here: half of a list is worse than none */
        known_count = 0;
        unlock();
    }
}
