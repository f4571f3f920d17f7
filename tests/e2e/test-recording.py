#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a recording is worth: copied away from its programs, cut short, still growing, left by a killed recorder; and what is made of it."""

import os
import re
import shutil
import signal
import time

from chains import judge, parse_folded
from harness import check, equal, main, test, wait_for, where

FOLDED_LINE = re.compile(r"[^;\t\r]+(;[^;\t\r]+)+ [1-9][0-9]*")


def samples_of(table):
    match = re.search(r"^# samples: (\d+)", table, re.M)
    check(match, f"no number of samples in the header: {table[:500]}")
    return int(match[1])


def one_line_of_error(process, what):
    check(process.returncode != 0, f"{what}: exit status 0")
    check(process.err.count("\n") == 1 and process.err.strip(), f"{what}: not one line on stderr: {process.err!r}")


@test("names are in the recording: the programs may be gone")
def _(run):
    path = run.path("app")
    shutil.copy(run.program("plain"), path)
    run.record(path, ".3")
    here = run.report()
    os.remove(path)
    os.mkdir(run.path("elsewhere"))
    shutil.move(run.path("cprof.data"), run.path("elsewhere/copy"))
    there = run.report(data=run.path("elsewhere/copy"), cwd="/")
    equal(there, here, "the report from a copy")
    check("leaf_plain" in there and "outer" in there, f"names: {there}")


@test("folded stacks are in the one grammar that every viewer takes, and sum up to the samples")
def _(run):
    run.record(run.program("exceptions"), ".4")
    lines = run.folded().splitlines()
    wrong = [line for line in lines if not FOLDED_LINE.fullmatch(line)]
    check(not wrong, f"{len(wrong)} lines, the first: {wrong[:1]}")
    stacks = [line.rpartition(" ")[0] for line in lines]
    equal(stacks, sorted(stacks, key=lambda stack: stack.encode()), "the order of lines")
    equal(len(stacks), len(set(stacks)), "distinct stacks")
    equal(sum(count for *_, count in parse_folded("\n".join(lines))), samples_of(run.report()), "samples")


@test("the table's self percentages sum up to 100")
def _(run):
    run.record(run.program("plain"), ".4")
    shares = [float(match[1]) for match in re.finditer(r"^ *([\d.]+)% ", run.report("--percent-limit", "0"), re.M)]
    check(len(shares) > 5 and abs(sum(shares) - 100) < .01 * len(shares) + .01, f"{sum(shares)} of {len(shares)} rows")


@test("filters: a process by name, its samples and no others")
def _(run):
    run.record(run.program("process"), "1")
    parts = [judge(run.folded("--comm", comm, "--annotate", "k"), "").samples for comm in ("process", "process-child")]
    check(all(part > 50 for part in parts), f"samples of parent and child: {parts}")
    check(sum(parts) <= samples_of(run.report()), f"more than there are: {parts}")


@test("a recorder that is killed leaves everything up to the last second")
def _(run):
    target = run.program("plain")
    recorder = run.start(where.record, "-o", "cprof.data", "--", target, "30")
    # Its own clock: three seconds of samples have been taken when the file says so.
    wait_for(lambda: os.path.exists(run.path("cprof.data")) and os.path.getsize(run.path("cprof.data")) > 1000, "a first chunk")
    started = time.monotonic()
    wait_for(lambda: time.monotonic() - started > 2.5, "time to pass")
    before = samples_of(run.report())
    recorder.kill()
    recorder.wait()
    table = run.report()
    check(samples_of(table) >= before > 0, f"{samples_of(table)} samples after, {before} before")
    check("incomplete" in table, f"the header does not say that the recorder died: {table[:800]}")
    check("leaf_plain" in table and "outer" in table, f"names: {table}")
    os.killpg(recorder.pid, signal.SIGKILL)  # the target, which went on


@test("a recording that is still being written reports what it has")
def _(run):
    recorder = run.start(where.record, "-o", "cprof.data", "--", run.program("plain"), "3")
    wait_for(lambda: os.path.exists(run.path("cprof.data")) and os.path.getsize(run.path("cprof.data")) > 1000, "a first chunk")
    early = samples_of(run.report())
    recorder.communicate(timeout=60)
    equal(recorder.returncode, 0, "exit status")
    check(0 < early < samples_of(run.report()), f"{early} early, {samples_of(run.report())} at the end")


@test("cut anywhere, a recording is read up to its last good chunk, or refused in one line")
def _(run):
    run.record(run.program("plain"), "2.2")
    whole = open(run.path("cprof.data"), "rb").read()
    total, partial = samples_of(run.report()), 0
    for step in range(40):
        with open(run.path("cut"), "wb") as file:
            file.write(whole[:len(whole) * step // 40])
        process = run.run(where.report, "-i", "cut", status=None)
        if process.returncode == 0 and "# samples" in process.out:
            check(samples_of(process.out) <= total, "more samples than there were")
            partial += samples_of(process.out) > 0
        else:
            one_line_of_error(process, f"cut at {step}/40")
    check(partial > 0, "no cut recording gave any sample")


@test("flipped bits are found by the checksums")
def _(run):
    run.record(run.program("plain"), "1.2")
    whole = bytearray(open(run.path("cprof.data"), "rb").read())
    total = samples_of(run.report())
    for step in range(40):
        damaged = bytearray(whole)
        damaged[len(whole) * step // 40] ^= 0x10
        with open(run.path("damaged"), "wb") as file:
            file.write(damaged)
        process = run.run(where.report, "-i", "damaged", status=None)
        check(process.returncode >= 0, f"died of signal {-process.returncode}")
        if process.returncode == 0 and "# samples" in process.out:
            check(samples_of(process.out) <= total, "more samples than there were")


@test("what is no recording is refused in one line")
def _(run):
    for name, content in (("empty", ""), ("text", "hello\n" * 1000)):
        run.write(name, content)
        one_line_of_error(run.run(where.report, "-i", name, status=None), name)
    one_line_of_error(run.run(where.report, "-i", "missing", status=None), "a missing file")
    one_line_of_error(run.run(where.report, "-i", ".", status=None), "a directory")


@test("a reader that closes the pipe ends the report quietly")
def _(run):
    run.record(run.program("exceptions"), ".3")
    process = run.run("sh", "-c", f"{where.report} --folded | head -n 1", status=0)
    equal(process.out.count("\n"), 1, "lines")
    check(process.err.count("\n") <= 1, f"stderr: {process.err!r}")


@test("every thread and process is there, by its exact number")
def _(run):
    run.record(run.program("threads"), ".5")
    table = run.report()
    match = re.search(r"^# threads: (\d+) in (\d+) process", table, re.M)
    check(match, f"no threads in the header: {table[:600]}")
    equal((int(match[1]), int(match[2])), (9, 1), "threads, processes")


main()
