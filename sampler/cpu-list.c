/* SPDX-License-Identifier: MIT */
#include "sampler/cpu-list.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

enum { CPUS_MAX = 1 << 16 };

/* A number of decimal digits alone, or -1. */
static long parse_cpu(const char **text) {
    long cpu = -1;
    while (**text >= '0' && **text <= '9' && cpu < CPUS_MAX)
        cpu = (cpu < 0 ? 0 : cpu * 10) + (*(*text)++ - '0');
    return cpu < CPUS_MAX ? cpu : -1;
}

int cpu_list_parse(const char *text, cpu_list *ret) {
    for (;;) {
        long first = parse_cpu(&text), last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = parse_cpu(&text);
        }
        if (first < 0 || last < first)
            return -EINVAL;
        for (long cpu = first; cpu <= last; cpu++) {
            int *added = ret->count < CPUS_MAX ? vec_push(ret) : NULL;
            if (!added)
                return -ENOMEM;
            *added = (int)cpu;
        }
        if (*text != ',')
            return *text == '\0' || *text == '\n' ? 0 : -EINVAL;
        text++;
    }
}

int cpu_list_online(cpu_list *ret) {
    _cleanup_fclose_ FILE *file = fopen("/sys/devices/system/cpu/online", "re");
    if (!file)
        return -errno;
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    if (getline(&line, &capacity, file) < 0)
        return -EIO;
    return cpu_list_parse(line, ret);
}
