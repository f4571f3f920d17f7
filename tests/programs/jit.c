/* SPDX-License-Identifier: MIT */
/* Machine code made at run time, with frame pointers, as JIT compilers make it, and named in /tmp/perf-PID.map or, with -DDUMP, in
 * /tmp/jit-PID.dump, which is mapped to make it known, and is gone before the program ends. */
#include <sys/mman.h>
#include <unistd.h>

#include "chain.h"

#define CHAINS \
    "main +\n" \
    "main > enters_jit > jit_outer > jit_inner > from_jit\n"

typedef void (*callback)(void);

/*  push %rbp; mov %rsp, %rbp; push %rbx; push %rbx; mov %rdi, %rbx; call ...; pop %rbx; pop %rbx; pop %rbp; ret */
static const uint8_t head[] = {0x55, 0x48, 0x89, 0xe5, 0x53, 0x53, 0x48, 0x89, 0xfb}, tail[] = {0x5b, 0x5b, 0x5d, 0xc3};

LINK static void from_jit(void) {
    for (int i = 0; i < 4; i++)
        chain_work();
}

LINK static void enters_jit(void (*function)(callback)) {
    function(from_jit);
    chain_pause();
}

/* A loop of a hundred thousand would hide the callback; this one gives jit_inner samples of its own: mov $1000, %ecx; 1: dec %ecx; jne 1b
 */
static const uint8_t loop[] = {0xb9, 0xe8, 0x03, 0, 0, 0xff, 0xc9, 0x75, 0xfc};

static uint8_t *put(uint8_t *at, const void *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

#ifdef DUMP

static char dump_path[64];

static void dump_load(FILE *dump, const uint8_t *start, const uint8_t *end, uint64_t index, const char *name) {
    const uint64_t address = (uint64_t)(uintptr_t)start, size = (uint64_t)(end - start);
    const uint32_t record[] = {0, (uint32_t)(16 + 40 + strlen(name) + 1 + size), 1, 0, (uint32_t)getpid(), (uint32_t)getpid()};
    const uint64_t words[] = {address, address, size, index};
    fwrite(record, sizeof record, 1, dump);
    fwrite(words, sizeof words, 1, dump);
    fwrite(name, strlen(name) + 1, 1, dump);
    fwrite(start, size, 1, dump);
}

static void name(const uint8_t *inner, const uint8_t *outer, const uint8_t *end) {
    const uint32_t header[10] = {0x4a695444, 1, 40, 62, 0, (uint32_t)getpid()};
    snprintf(dump_path, sizeof dump_path, "/tmp/jit-%d.dump", getpid());
    FILE *dump = fopen(dump_path, "w+e");
    if (!dump || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(dump), 0) == MAP_FAILED)
        exit(77); /* forbidden here */
    fwrite(header, sizeof header, 1, dump);
    dump_load(dump, inner, outer, 1, "jit_inner");
    dump_load(dump, outer, end, 2, "jit_outer");
    fflush(dump);
}

static void forget(void) {
    if (!getenv("KEEP_DUMP"))
        unlink(dump_path);
}

#else

static void name(const uint8_t *inner, const uint8_t *outer, const uint8_t *end) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "we");
    if (!map)
        exit(1);
    fprintf(map, "%lx %lx jit_inner\n%lx %lx jit_outer\n", (unsigned long)(uintptr_t)inner, (unsigned long)(outer - inner),
            (unsigned long)(uintptr_t)outer, (unsigned long)(end - outer));
    fclose(map);
}

static void forget(void) {
}

#endif

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 77; /* forbidden here */
    uint8_t *at = put(code, head, sizeof head);
    at = put(at, loop, sizeof loop);
    at = put(at, (uint8_t[]){0xff, 0xd3}, 2); /* call *%rbx */
    uint8_t *outer = at = put(at, tail, sizeof tail);
    at = put(at, head, sizeof head);
    int32_t distance = (int32_t)(code - (at + 5));
    at = put(at, (uint8_t[]){0xe8}, 1); /* call jit_inner, with rdi as it was */
    at = put(at, &distance, sizeof distance);
    at = put(at, tail, sizeof tail);
    name(code, outer, at);
    while (chain_goes_on(seconds)) {
        for (int i = 0; i < 20; i++)
            enters_jit((void (*)(callback))(uintptr_t)outer);
    }
    forget();
    return 0;
}
