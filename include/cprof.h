/* SPDX-License-Identifier: MIT */
/*
 * cprof.h: marks parts of a program so that cprof times them exactly, beside its samples. C11 and C++17; nothing but libc.
 *
 *     void parse(struct file *f) {
 *         CPROF_FUNCTION();                     the whole function
 *         ...
 *         {
 *             CPROF_SCOPE("parse header");      the rest of the block
 *             ...
 *         }
 *     }
 *
 *     cprof-record ./app                        cprof-report --scopes, cprof-report --compare
 *
 * Link with libcprof (pkg-config cprof, or the meson dependency cprof). Not recorded, a scope costs one predictable branch; compiled with
 * -DCPROF_DISABLE nothing is left of it and no library is needed.
 *
 * What is kept of each place, exactly: how often, how long with and without what is nested in it, shortest, longest, percentiles, the
 * slowest eight; which place was entered from which. It is kept in memory that outlives the program.
 *
 * Time is elapsed time: a scope that waits for a lock includes the waiting. cprof-report says how much of it was on a CPU.
 *
 * Names are string literals, or strings that live as long as the program; the first 119 bytes count. One place in the source is one site;
 * sites of equal name, file and line are one row in a report.
 *
 * Context. Everything here may be called from any thread and from signal handlers (a place that is reached for the first time in a handler
 * included), before main and after it. Nothing allocates by malloc, locks, or prints; errno is kept. At most 4,096 sites a process and
 * 30,000 threads at a time are told apart; what is beyond is counted, and said.
 *
 * How scopes end:
 *   a block left by return, break, goto     as it should
 *   a C++ exception                         as it should in C++; in C compiled with -fexceptions too
 *   pthread_exit, cancellation              as an exception
 *   longjmp, exceptions through plain C     at a later begin or end in the thread, when the stack shows it: counted as "unwound"
 *   exit, the thread's or program's end     not at all: counted as "unfinished"
 */
#pragma once

#include <stdint.h>

#if !defined(CPROF_DISABLE)

#ifdef __cplusplus
extern "C" {
#endif

/* What a site is of. */
enum cprof_kind {
    CPROF_KIND_SCOPE = 0,    /* nests in a block */
    CPROF_KIND_FUNCTION = 1, /* the same, and its name is the function's */
    CPROF_KIND_SPAN = 2,     /* cprof_begin .. cprof_end */
    CPROF_KIND_VALUE = 3     /* cprof_value */
};

/* One place in the source; static, one for each. Zero but for what CPROF_SITE fills in. */
struct cprof_site {
    const char *name, *file, *function;
    uint32_t line;
    uint32_t kind; /* enum cprof_kind */
    uint32_t id;   /* the library's */
    uint32_t reserved[5];
};

/*
 * An open scope: on the stack of whoever opened it, where the recorder finds it in the sampled bytes. Fields are the library's. An open one
 * has magic == CPROF_SCOPE_MAGIC ^ its own address; end clears it.
 */
struct cprof_scope {
    uint64_t magic;
    uint64_t begin;             /* ticks; 0: it is just being opened */
    uint32_t site, node;        /* ids in the process's scope memory (scope/scope.h in the sources) */
    struct cprof_scope *parent; /* the scope open around it in this thread or fibre, or NULL */
    uint64_t place;             /* an address in the function that opened it */
    uint64_t reserved[3];
};

#define CPROF_SCOPE_MAGIC UINT64_C(0x9d3c6f52706f7263)

/* The scopes of a fibre (coroutine, user-level thread), which has a stack of its own. Zero before its first use. Fields are the library's.
 */
struct cprof_fiber {
    void *top, *below, *outer, *thread;
    uint64_t home;
    uint64_t reserved[3];
};

#define CPROF_ABI_VERSION 1

/*
 * The library, as programs and plugins see it: the one symbol through which all copies in a process meet (the dynamic linker gives every
 * user the first). `recording` is the ABI version while this process is recorded, else 0: code made for another version never calls.
 */
struct cprof_runtime {
    uint32_t size, version;
    uint32_t recording;
    uint32_t reserved;
    void (*begin)(struct cprof_scope *scope, struct cprof_site *site);
    void (*end)(struct cprof_scope *scope);
    void (*span_begin)(struct cprof_site *site);
    void (*span_end)(struct cprof_site *site);
    void (*value)(struct cprof_site *site, uint64_t value);
    void (*thread_name)(const char *name);
    void (*fiber_enter)(struct cprof_fiber *fiber);
    void (*fiber_leave)(struct cprof_fiber *fiber);
};

extern __attribute__((visibility("default"))) struct cprof_runtime cprof_runtime;

/* Inlined even where nothing is optimised: what opens a scope is to be the function in whose frame it lies. */
#define CPROF_INLINE_ static inline __attribute__((always_inline))

CPROF_INLINE_ int cprof_is_recording(void) {
    return __builtin_expect(__atomic_load_n(&cprof_runtime.recording, __ATOMIC_RELAXED) == CPROF_ABI_VERSION, 0);
}

CPROF_INLINE_ void cprof_scope_begin(struct cprof_scope *scope, struct cprof_site *site) {
    scope->magic = 0;
    if (cprof_is_recording())
        cprof_runtime.begin(scope, site);
}

/* One that was not begun, because nothing was recorded then, has no magic and is passed over. */
static inline void cprof_scope_end(struct cprof_scope *scope) {
    if (__builtin_expect(scope->magic != 0, 0))
        cprof_runtime.end(scope);
}

/* What does not nest in a block: from cprof_begin to cprof_end of the same site in the same thread. Up to 64 may be open in a thread; an
 * end goes with the latest open begin of its site. They are told beside the nested scopes: no parents, no children, self = total. */
static inline void cprof_begin(struct cprof_site *site) {
    if (cprof_is_recording())
        cprof_runtime.span_begin(site);
}

static inline void cprof_end(struct cprof_site *site) {
    if (cprof_is_recording())
        cprof_runtime.span_end(site);
}

/* Counts an occurrence and adds up its value (bytes, a queue's length; 1 for a mere mark). */
static inline void cprof_value_at(struct cprof_site *site, uint64_t value) {
    if (cprof_is_recording())
        cprof_runtime.value(site, value);
}

/* Names the calling thread, for the kernel and every tool: the first 15 bytes. */
static inline void cprof_thread_name(const char *name) {
    if (cprof_is_recording())
        cprof_runtime.thread_name(name);
}

/* The calling thread goes on to (comes back from) another stack. Between them begins and ends concern the fibre. A fibre may go on in
 * another thread than it began in; enter and leave pair up in each thread, and are not for signal handlers. */
static inline void cprof_fiber_enter(struct cprof_fiber *fiber) {
    if (cprof_is_recording())
        cprof_runtime.fiber_enter(fiber);
}

static inline void cprof_fiber_leave(struct cprof_fiber *fiber) {
    if (fiber->thread)
        cprof_runtime.fiber_leave(fiber);
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#define CPROF_JOIN_(a, b) a##b
#define CPROF_JOIN(a, b)  CPROF_JOIN_(a, b)

#define CPROF_SITE_(variable, kind_, name_, function_) \
    static struct cprof_site variable = {name_, __FILE__, function_, __LINE__, (uint32_t)(kind_), 0, {0, 0, 0, 0, 0}}

/* Defines the static site `variable` for cprof_begin and cprof_end, in a function or outside: CPROF_SITE(request, CPROF_KIND_SPAN,
 * "request"); */
#define CPROF_SITE(variable, kind, name) CPROF_SITE_(variable, kind, name, 0)

#ifdef __cplusplus
namespace cprof {
class scope {
  public:
    __attribute__((always_inline)) explicit scope(struct cprof_site *site) {
        cprof_scope_begin(&scope_, site);
    }
    ~scope() {
        cprof_scope_end(&scope_);
    }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;

  private:
    struct cprof_scope scope_;
};
} /* namespace cprof */
#define CPROF_OPEN_(site) ::cprof::scope CPROF_JOIN(cprof_open_, __LINE__)(&site)
#else
#define CPROF_OPEN_(site)                                                                                   \
    __attribute__((cleanup(cprof_scope_end), unused)) struct cprof_scope CPROF_JOIN(cprof_open_, __LINE__); \
    cprof_scope_begin(&CPROF_JOIN(cprof_open_, __LINE__), &site)
#endif

/* The rest of the block. */
#define CPROF_SCOPE(name)                                                             \
    CPROF_SITE_(CPROF_JOIN(cprof_site_, __LINE__), CPROF_KIND_SCOPE, name, __func__); \
    CPROF_OPEN_(CPROF_JOIN(cprof_site_, __LINE__))

/* The rest of the function, by its name. */
#define CPROF_FUNCTION()                                                                     \
    CPROF_SITE_(CPROF_JOIN(cprof_site_, __LINE__), CPROF_KIND_FUNCTION, __func__, __func__); \
    CPROF_OPEN_(CPROF_JOIN(cprof_site_, __LINE__))

/* A value at this place. */
#define CPROF_VALUE(name, value)                                        \
    do {                                                                \
        CPROF_SITE_(cprof_site_here, CPROF_KIND_VALUE, name, __func__); \
        cprof_value_at(&cprof_site_here, (uint64_t)(value));            \
    } while (0)

#else /* CPROF_DISABLE: nothing is left, and arguments are not evaluated */

struct cprof_site {
    char unused;
};
struct cprof_fiber {
    char unused;
};
#define CPROF_SITE(variable, kind, name) static struct cprof_site variable __attribute__((unused))
#define CPROF_SCOPE(name)                ((void)0)
#define CPROF_FUNCTION()                 ((void)0)
#define CPROF_VALUE(name, value)         ((void)0)
#define cprof_begin(site)                ((void)0)
#define cprof_end(site)                  ((void)0)
#define cprof_value_at(site, value)      ((void)0)
#define cprof_thread_name(name)          ((void)0)
#define cprof_fiber_enter(fiber)         ((void)0)
#define cprof_fiber_leave(fiber)         ((void)0)

#endif
