/* SPDX-License-Identifier: MIT */
/* The program's own text, mapped a second time at another address: one file, one offset, two biases. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chain.h"

#define CHAINS                                              \
    "main +\n"                                              \
    "main > around_original > calls_back > original_leaf\n" \
    "main > around_copy > calls_back > copy_leaf\n"

typedef void (*callback)(void);

/* Asks nothing of where it lies: it uses its argument alone. A page of its own, so that only its copy is mapped. */
LINK __attribute__((section(".text.copied"), aligned(4096))) static void calls_back(callback function) {
    for (int i = 0; i < 8; i++)
        function();
    for (volatile int i = 0; i < 2000; i++)
        ;
}

LINK static void original_leaf(void) {
    chain_work();
}

LINK static void copy_leaf(void) {
    chain_work();
}

LINK static void around_original(void) {
    calls_back(original_leaf);
    chain_pause();
}

LINK static void around_copy(void (*copy)(callback)) {
    copy(copy_leaf);
    chain_pause();
}

/* The file offset of an address of ours, from /proc/self/maps. */
static off_t file_offset(uintptr_t address) {
    char line[512];
    unsigned long start, end, offset;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && address >= start && address < end) {
            fclose(maps);
            return (off_t)(address - start + offset);
        }
    }
    exit(1);
}

int main(int argc, char **argv) {
    double seconds = chain_seconds(argc, argv, CHAINS);
    uintptr_t page = (uintptr_t)calls_back & ~(uintptr_t)4095;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, file_offset(page));
    if (copy == MAP_FAILED)
        return 1;
    void (*copied)(callback) = (void (*)(callback))(uintptr_t)(copy + ((uintptr_t)calls_back - page));
    while (chain_goes_on(seconds)) {
        for (int i = 0; i < 20; i++) {
            around_original();
            around_copy(copied);
        }
    }
    return 0;
}
