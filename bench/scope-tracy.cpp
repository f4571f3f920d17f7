/* SPDX-License-Identifier: MIT */
/* What a zone of Tracy costs, as bench/scope-calls.c measures a scope; nobody is connected. Built by scripts/install-peers --bench. */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <tracy/Tracy.hpp>
#include <vector>

static double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv) {
    unsigned rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 41, calls = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 20000;
    std::vector<double> times;
    for (unsigned round = 0; round < rounds; round++) {
        double start = now();
        for (unsigned i = 0; i < calls; i++) {
            ZoneScopedN("one");
            asm volatile("" ::: "memory");
        }
        times.push_back((now() - start) / calls);
    }
    std::sort(times.begin(), times.end());
    std::printf("%.2f\n", times[rounds / 2]);
}
