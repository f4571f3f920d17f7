/* SPDX-License-Identifier: MIT */
/*
 * scribble WHAT SECONDS: works, is sampled, and writes nonsense all over the memory that it shares with its recorder, from a second thread:
 *
 *     records    what the ring of any thread holds
 *     rings      the headers of rings: heads, tails, owners, counts
 *     header     the first page: what the recorder told the agents. Not `is stopped` and the like alone: all of it
 *     all        in turn
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "chain.h"

enum { RINGS = 4, CHUNK = 64 };

static uint8_t *memory;
static const char *what;
static _Atomic int is_over;
static uint64_t state = 88172645463325252;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* The mapping of the recorder's memfd. */
static uint8_t *find_memory(void) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start = 0;
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "/memfd:cprof"))
            start = strtoul(line, NULL, 16);
    if (maps)
        fclose(maps);
    return (uint8_t *)start; // NOLINT: an address
}

static void spoil(uint8_t *at, uint64_t length) {
    /* Values that lead astray are small, huge or nearly right, not only random. */
    uint64_t value = draw() % 4 ? draw() >> (draw() % 64) : (uint64_t)0 - draw() % 32;
    for (uint64_t i = 0; i + 8 <= length; i += 8)
        *(volatile uint64_t *)(void *)(at + i) = value;
}

static void *scribble(void *nothing) {
    for (unsigned turn = 0; !atomic_load(&is_over); turn++) {
        uint32_t ring = (uint32_t)(draw() % RINGS);
        bool all = !strcmp(what, "all");
        if (!strcmp(what, "records") || (all && turn % 3 == 0))
            spoil(agent_ring_bytes(memory, ring) + draw() % (AGENT_RING_BYTES / CHUNK) * CHUNK, draw() % 2 ? CHUNK : 8);
        if (!strcmp(what, "rings") || (all && turn % 3 == 1))
            spoil((uint8_t *)agent_ring_at(memory, ring) + draw() % (AGENT_RING_HEADER_BYTES / 8) * 8, 8);
        if (!strcmp(what, "header") || (all && turn % 3 == 2))
            spoil(memory + draw() % (sizeof(struct agent_shared) / 8) * 8, 8);
        if (turn % 64 == 0)
            chain_work();
    }
    return nothing;
}

LINK static void work(double seconds) {
    while (chain_goes_on(seconds))
        chain_work();
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc < 3 || !(memory = find_memory()))
        return 2;
    what = argv[1];
    pthread_create(&thread, NULL, scribble, NULL);
    work(strtod(argv[2], NULL));
    atomic_store(&is_over, 1);
    pthread_join(thread, NULL);
    puts("done");
    return 7;
}
