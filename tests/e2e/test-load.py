#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Load: nothing is lost that is not said, threads and processes that come in thousands are all counted, and memory stays bounded."""

import chains
import harness
import loads
from harness import check, equal, main, need, test

PEAK_MAX_MB = 128
GROWTH_MAX_MB = 16


class Result(loads.Load):
    def __init__(self, run, *command, options=(), status=0, **more):
        super().__init__(lambda words, **keywords: run.start(*words, **keywords), harness.where.record, harness.where.report, command,
                         options=options, cwd=run.directory, **more)
        equal(self.status, status, f"exit status ({self.err})")
        print("#", " ".join(self.err.split("\n")), f"peak {self.memory.peak:.0f} MB")

    def adds_up(self, tolerance=.02):
        return abs(self.told - self.exact) <= tolerance * self.exact

    def hold_together(self, tolerance=.02):
        """The time of single threads adds up to all of it."""
        check(self.adds_up(tolerance), f"{self.told} s of {self.exact} s are known thread by thread")
        check(self.memory.peak < PEAK_MAX_MB, f"{self.memory.peak} MB")

    def hold_count(self, hz):
        """Every sample is there or counted: of the CPU time that they may see, and no more than a sample each period, and one a thread, of all.
        The lower bound is far off, for where a machine has other work it delays the clock's interrupts, and two periods give one sample."""
        count = self.samples + self.lost
        check(.5 * self.visible * hz < count < 1.02 * self.exact * hz + self.threads,
              f"{self.samples} samples and {self.lost} lost in {self.visible} s of {self.exact} s")

    def too_short(self):
        """(tasks, seconds) of tasks without a sample."""
        check(self.short_tasks, f"none too short to sample: {self.report}")
        return self.short_tasks, self.short_seconds


@test("64 busy threads: every sample is there or counted as lost")
def _(run):
    result = Result(run, run.program("load"), "busy", 64, 3)
    result.hold_together(tolerance=.07)  # now and then the kernel tells nobody the time of a second thread; none is told of then
    equal(result.threads, 65, "threads")
    result.hold_count(997)


@test("64 busy threads: nothing lost", root=True)
def _(run):
    # Three times, for a disk that keeps the recorder waiting for longer than a ring lasts (62 ms) is no fault of the rings.
    lost = [Result(run, run.program("load"), "busy", 64, 2).lost for _ in range(3)]
    check(0 in lost, f"samples lost: {lost}")


@test("small rings: what did not fit is counted, as the kernel counts it")
def _(run):
    library = run.program("lost-log.so")
    # An ordinary user gets rings of 256 KiB, which hold three records of 64 KiB: two sets of rings of 520 KiB, from this limit alone, for the
    # other budget, perf_event_mlock_kb, is the user's, and what else runs as this user may have used it up. With it the rings are 512 KiB.
    result = Result(run, run.program("load"), "busy", 8, 1, options=("-F", 10000, "--stack-size", 65528),
                    preexec_fn=loads.limit_memlock(1100 << 10), env=loads.lost_environment(library, run.path("lost")))
    check("engine signal" not in result.err, result.err)
    result.hold_count(10000)
    equal(result.lost, loads.kernel_lost(run.path("lost")), "samples lost, beside the kernel's own count")


@test("10 kHz: the status is the target's, no stack is wrong, and the recorder does not grow")
def _(run):
    program = run.program("plugins")
    result = Result(run, "sh", "-c", f"{program} 4; exit 7", options=("-F", 10000), status=7)
    check(result.samples + result.lost > 1000, f"{result.samples} samples and {result.lost} lost")
    verdict = chains.judge(run.folded("--annotate", "k"), run.run(program, "--chains").out)
    check(not verdict.impossible, f"{verdict}: {verdict.complaints}")
    before, after = result.memory.at(.4), result.memory.at(.8)  # the end is for names
    check(after - before < GROWTH_MAX_MB, f"{before} MB grew to {after} MB")


@test("10,000 short threads: each is counted, and their time is known")
def _(run):
    result = Result(run, run.program("load"), "short", 10000)
    result.hold_together()
    equal(result.threads, 10001, "threads")
    tasks, seconds = result.too_short()
    check(tasks > 8000, f"{tasks} tasks too short to sample")
    check(seconds <= result.exact * 1.02, f"{seconds} s too short to sample of {result.exact} s")


@test("2,000 processes: each is counted, and their time is known")
def _(run):
    result = Result(run, run.program("load"), "forks", 2000)
    result.hold_together()
    equal(result.processes, 2001, "processes")
    tasks, seconds = result.too_short()
    check(tasks > 1500, f"{tasks} tasks too short to sample")
    check(seconds <= result.exact * 1.02, f"{seconds} s too short to sample of {result.exact} s")


@test("500 threads at once: each is counted")
def _(run):
    result = Result(run, run.program("load"), "crowd", 500)
    result.hold_together()
    equal(result.threads, 501, "threads")


@test("make -j2: the compilers' time is known")
def _(run):
    need("make", "gcc")
    sources = range(12)
    for i in sources:
        body = "".join(f"int f{i}_{k}(int x) {{ for (int i = 0; i < x; i++) x ^= x * {k + 3} + i; return x; }}\n" for k in range(60))
        run.write(f"a{i}.c", body)
    run.write("Makefile", "all: " + " ".join(f"a{i}.o" for i in sources) + "\n%.o: %.c\n\tgcc -O2 -c $< -o $@\n")
    # Now and then the kernel tells nobody the time of one process of these 37; how much is missing is in the recording.
    for _ in range(5):
        result = Result(run, "make", "-B", "-j2")
        if result.adds_up():
            break
    result.hold_together()
    check(result.processes >= 1 + 3 * len(sources), f"{result.processes} processes")
    check("cc1" in run.folded(), "no stack of cc1")


main()
