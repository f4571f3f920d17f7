#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Known chains: not one impossible stack, in every way a program can be built."""

import os
import subprocess

from chains import judge
from harness import check, main, test

# For more samples of each program: CPROF_CHAINS_SECONDS=8 meson test -C build -t 10 -v e2e-chains e2e-chains-as-user
SECONDS, HZ = os.environ.get("CPROF_CHAINS_SECONDS", "0.5"), "4000"

# program -> the least percentage of complete stacks; the largest percentage of unknown frames is .5 throughout.
# handlers: below a handler on an alternate stack, the interrupted stack is in no sample, and is often gone when it is read.
# large-frames: the same, for a frame of 100 KiB; only that no stack is wrong is asked of it. threads: 60 KiB deep, so all depends on how
# much is copied, which an ordinary user's locked memory may make less of; whole copies are asked for below.
# exceptions: while libgcc installs the context of the frame that catches, it overwrites what it had saved of its own caller; no rule leads on
# from there, for about a hundredth of the samples. jit, jit-dump: what its code looks like is read from the process, which is gone when its last samples come. plain-musl: musl has no CFI, and its qsort
# jumps where other functions call.
PROGRAMS = {
    "plain": 99, "plain-no-pie": 99, "plain-static": 99, "plain-static-pie": 99, "plain-debug-frame": 99, "plain-debug-frame-zlib": 99,
    "plain-no-header": 99, "plain-noseparate-code": 99, "plain-large-code": 99, "plain-cet": 99, "plain-lld": 99, "plain-gold": 99,
    "plain-frame-pointers": 99, "process": 99, "plugins": 99, "realign": 99, "handlers": 50, "noreturn": 99, "exceptions": 97,
    "threads": 0, "churn": 99, "fibers": 99, "mapped-twice": 99, "jit": 80, "jit-dump": 80, "plain-musl-static": 75,
    "plain-split-dwarf": 99, "plain-debug-frame-dwarf64": 99, "plain-huge-alignment": 99, "plt": 99, "plt-cet": 99, "deep": 90, "large-frames": 0,
}
UNKNOWN_MAX = .5
# Enough to have met most shapes of a function; a recorder under a sanitizer loses some of an ordinary user's small rings, and counts them.
SAMPLES_MIN = 200


def chains_of(program):
    return subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout


def hold(verdict, complete_min, unknown_max=UNKNOWN_MAX):
    print("#", verdict)
    complaints = "".join(f"\n{count} x {why}" for why, count in sorted(verdict.complaints.items(), key=lambda item: -item[1])[:12])
    check(verdict.samples >= SAMPLES_MIN, f"only {verdict.samples} samples: {verdict}")
    check(verdict.impossible == 0, f"{verdict}{complaints}")
    check(verdict.percent_complete() >= complete_min, f"less than {complete_min} % complete: {verdict}")
    check(verdict.percent_unknown() <= unknown_max, f"unknown frames: {verdict}")


def add(name, complete_min):
    @test(f"{name}: no impossible stack, {complete_min} % complete")
    def _(run):
        program = run.program(name)
        chains = chains_of(program)
        run.record(program, SECONDS, options=("-F", HZ))
        verdict = judge(run.folded("--annotate", "k"), chains)
        hold(verdict, complete_min)
        leaves = {line.split(" > ")[-1] for line in chains.splitlines() if line[-1] not in "+~"}
        missing = sorted(leaves - set(verdict.seen))
        check(not missing, f"never seen: {', '.join(missing)}: {verdict}")


for name, complete_min in PROGRAMS.items():
    add(name, complete_min)


@test("threads, whole stacks copied: 99 % complete")
def _(run):
    program = run.program("threads")
    run.record(program, SECONDS, options=("-F", HZ, "--stack-size", "65528"))
    hold(judge(run.folded("--annotate", "k"), chains_of(program)), 99)


@test("plain-musl: 75 % complete; the functions of a stripped libc without CFI have no names")
def _(run):
    program = run.program("plain-musl")
    run.record(program, SECONDS, options=("-F", HZ))
    hold(judge(run.folded("--annotate", "k"), chains_of(program)), 75, 15)


@test("plain-stripped: functions are named by where their FDEs start")
def _(run):
    program, twin = run.program("plain-stripped"), run.program("plain")
    names = {}
    for line in run.run("nm", twin).out.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "tT":
            names[f"fun_{int(words[0], 16):x}"] = words[2]
    run.record(program, SECONDS, options=("-F", HZ))
    verdict = judge(run.folded("--annotate", "k"), chains_of(program), names)
    hold(verdict, 99)
    check("leaf_plain" in verdict.seen and "compare" in verdict.seen, f"functions seen: {sorted(verdict.seen)}")


@test("plain-32: 32-bit code gives the pc alone, and says so")
def _(run):
    run.record(run.program("plain-32"), SECONDS, options=("-F", HZ))
    verdict = judge(run.folded("--annotate", "k"), chains_of(run.program("plain-32")))
    print("#", verdict)
    check(verdict.samples >= SAMPLES_MIN, f"{verdict}")
    check(verdict.ends.get("pc only", 0) >= verdict.samples * .95, f"{verdict}")
    check(verdict.impossible == 0, f"{verdict} {verdict.complaints}")


@test("a program started through the dynamic linker")
def _(run):
    loader = "/lib64/ld-linux-x86-64.so.2"
    run.record(loader, run.program("plain"), SECONDS, options=("-F", HZ))
    hold(judge(run.folded("--annotate", "k"), chains_of(run.program("plain"))), 99)


@test("an executable that was never a file: memfd")
def _(run):
    script = ("import os, sys; fd = os.memfd_create('plain', os.MFD_CLOEXEC); os.write(fd, open(sys.argv[1], 'rb').read()); "
              "os.execve(fd, ['plain', sys.argv[2]], os.environ)")
    run.record("python3", "-c", script, run.program("plain"), SECONDS, options=("-F", HZ))
    folded = "".join(line + "\n" for line in run.folded("--annotate", "k").splitlines() if not line.startswith("python3;"))
    hold(judge(folded, chains_of(run.program("plain"))), 99)


@test("a deleted executable is still known")
def _(run):
    path = run.path("gone")
    run.run("cp", run.program("plain"), path)
    run.record("sh", "-c", f"(sleep .2; rm {path}) & exec {path} {SECONDS}", options=("-F", HZ))
    hold(judge(run.folded("--annotate", "k", "--comm", "gone"), chains_of(run.program("plain"))), 99)


@test("an executable that another replaces mid-run keeps its names")
def _(run):
    path = run.path("replaced")
    run.run("cp", run.program("plain"), path)
    swap = f"cp {run.program('realign')} {path}.new; mv {path}.new {path}"
    run.record("sh", "-c", f"(sleep .2; {swap}) & exec {path} {SECONDS}", options=("-F", HZ))
    hold(judge(run.folded("--annotate", "k", "--comm", "replaced"), chains_of(run.program("plain"))), 99)


main()
