#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real programs, Debian's own and without frame pointers: how many stacks reach their root, how many frames have a name."""

import re

import workloads
from chains import CUTS, KERNEL, parse_folded
from harness import check, main, need, test

COMPLETE_MIN, UNKNOWN_MAX, SAMPLES_MIN = 99, .5, 200


def measure(folded):
    """samples, % complete, % of user frames unknown, and how the others ended."""
    samples = complete = frames = unknown = 0
    ends = {}
    for _, end, stack, count in parse_folded(folded):
        user = [frame for frame in stack if not frame.endswith(KERNEL)]
        samples += count
        complete += count * (end is None)
        frames += count * len(user)
        unknown += count * sum(frame.startswith("[") and frame not in CUTS for frame in user)
        if end:
            ends[end] = ends.get(end, 0) + count
    return samples, 100 * complete / max(samples, 1), 100 * unknown / max(frames, 1), ends


def hold(run, command, options, complete_min):
    """Three tries: stacks deeper than the copies are continued in the program as it runs, where a recorder that had to wait comes too late."""
    said = []
    for _ in range(3):
        run.record(*command, options=options)
        samples, complete, unknown, ends = measure(run.folded("--annotate", "k"))
        said.append(f"{samples} samples, {complete:.2f} % complete, {unknown:.2f} % of frames unknown {ends or ''}")
        print("#", said[-1])
        check(unknown <= UNKNOWN_MAX, f"more than {UNKNOWN_MAX} % unknown: {said[-1]}")
        if samples >= SAMPLES_MIN and complete >= complete_min:
            return
    raise AssertionError("\n".join([f"fewer than {SAMPLES_MIN} samples, or less than {complete_min} % complete:", *said]))


# cc1 has functions with frames of 16 KiB and more: its stacks fit no smaller copy.
LARGEST_STACK = ("--stack-size", "65528")


def add(name, options=(), complete_min=COMPLETE_MIN):
    @test(f"{name}{' '.join(('', *options))}: {complete_min} % of stacks complete, at most {UNKNOWN_MAX} % of frames unknown")
    def _(run):
        need(name)
        hold(run, workloads.command(name, run.directory), options, complete_min)


# One FDE covers LuaJIT's whole interpreter; where that calls a subroutine of its own (for %, say) it is off by the return address.
for name in workloads.WORKLOADS:
    add(name, LARGEST_STACK if name == "gcc" else (), 80 if name == "luajit" else COMPLETE_MIN)


@test("gcc: its grandchild cc1 is in the recording by its own name")
def _(run):
    need("gcc")
    run.record(*workloads.command("gcc", run.directory, .3), options=LARGEST_STACK)
    samples, complete, _, ends = measure(run.folded("--comm", "cc1"))
    check(samples > 50 and complete >= 90, f"{samples} samples of cc1, {complete:.2f} % complete {ends}")


@test("luajit's machine code is named or counted, and nothing is invented below it")
def _(run):
    need("luajit")
    command = workloads.command("luajit", run.directory)
    command.remove("-joff")
    run.record(*command)
    samples, complete, unknown, ends = measure(run.folded("--annotate", "k"))
    check(samples > 50, f"{samples} samples")
    check(complete + 100 * sum(ends.values()) / samples > 99.9, f"every stack is complete or says why not: {ends}")
    print(f"# {samples} samples, {complete:.2f} % complete, {unknown:.2f} % of frames unknown {ends}")


@test("the sampled CPU time is what the kernel says was spent, to 2 %")
def _(run):
    said = []
    # Five tries: where a hypervisor or other work takes a CPU away for more than a period, time runs on, and no sample is made of it.
    for _ in range(5):
        run.record(run.program("plain"), "2")
        match = re.search(r"^# coverage: +([\d.]+) %.*?(?:, \+- ([\d.]+) %)?$", run.report(), re.M)
        check(match, f"no coverage in the header: {run.report()[:800]}")
        # An ordinary user's is against the time in user mode, which the kernel knows by its ticks: three standard deviations.
        coverage, allowed = float(match[1]), 2 + 3 * float(match[2] or 0)
        said.append(match[0])
        if abs(coverage - 100) <= allowed:
            print("#", match[0])
            return
    raise AssertionError("\n".join(said))


main()
