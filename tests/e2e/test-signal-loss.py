#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The signal engine when something goes wrong: a recorder that stands still or dies, a target that dies or writes nonsense over the memory
it shares. What is lost is counted, and the witness of the count is not ours."""

import os
import re
import signal

import harness
from chains import parse_folded
from harness import check, equal, main, test, wait_for

DENIED = 1  # EPERM
OURS = signal.SIGRTMAX - 1
ROUNDS = os.environ.get("CPROF_STILL_ROUNDS", "700000")  # some two seconds of CPU time, three times what fits a ring


def start(run, *command, options=()):
    return run.start(harness.where.record, "-o", "cprof.data", "--engine", "signal", *options, "--", *command,
                     preexec_fn=lambda: harness.deny_perf(DENIED))


def samples(run):
    return sum(count for *_, count in parse_folded(run.folded()))


def number(pattern, text):
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


def child_of(pid):
    def find():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return file.read().split()
    return int(wait_for(find, f"a child of {pid}")[0])


def timers(pid):
    """The timers of a living process, as the kernel lists them; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/timers", encoding="ascii") as file:
            return file.read().count("ID:")
    except (FileNotFoundError, ProcessLookupError):
        return None


def grown(run, size):
    return lambda: os.path.exists(run.path("cprof.data")) and os.path.getsize(run.path("cprof.data")) > size


def is_over(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def stand_still(process, target, command):
    """The recorder stands still from the target's first timers to the end of its command."""
    wait_for(lambda: timers(target), "the target's timers")
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: is_over(command), "the command's end, its recorder standing still", seconds=60)
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=harness.TIMEOUT)
    equal(process.returncode, 0, f"exit status ({err})")
    lost = number(r"(\d+) samples lost", err)
    check(lost > 100, f"{lost} samples lost: {err}")
    return out, lost


@test("the recorder stands still: samples kept, lost and left out are all the signals that a debugger saw delivered")
def _(run):
    for _ in range(3):
        process = start(run, run.program("count-signals"), OURS, run.program("hazard-processes"), "spin", ROUNDS, options=("-F", "10000"))
        debugger = child_of(process.pid)
        out, lost = stand_still(process, child_of(debugger), debugger)
        delivered, kept = int(out.split()[-1]), samples(run)
        late = number(r"signals while waiting for a CPU (\d+)", run.report())
        print(f"# {delivered} signals delivered, {kept} samples, {lost} lost and {late} late")
        # While libc starts, a signal may find the thread in a system call that waits: it is then no sample.
        if kept + lost + late == delivered:
            return
    raise AssertionError(f"{kept} samples, {lost} lost and {late} late are not {delivered} signals")


@test("the recorder stands still: the target never waits for it")
def _(run):
    process = start(run, run.program("hazard-processes"), "spin", ROUNDS, options=("-F", "10000"))
    target = child_of(process.pid)
    equal(stand_still(process, target, target)[0], "0\n", "times that the target gave up the CPU of itself")


@test("the recorder is killed: the agent takes its timers away, the target ends as it would, the file reports")
def _(run):
    process = start(run, "/usr/bin/python3", "-c", "import os\nwhile not os.path.exists('end'): sum(range(10000))\nprint('ended')")
    target = child_of(process.pid)
    wait_for(grown(run, 8000), "a chunk in the file")
    check(timers(target), "no timer before")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: timers(target) == 0, "the target without timers")
    run.write("end", "")
    equal(process.stdout.read(), "ended\n", "what the target says at its end")
    check(samples(run) > 20, "no samples")


@test("target and recorder are killed together: the file holds all up to its last chunk")
def _(run):
    process = start(run, "/usr/bin/python3", "-c", "while True: sum(range(10000))")
    target = child_of(process.pid)
    wait_for(grown(run, 16000), "chunks in the file")
    os.kill(process.pid, signal.SIGKILL)
    os.kill(target, signal.SIGKILL)
    process.wait()
    check(samples(run) > 100, "no samples")


def add_scribble(what, counted):
    @test(f"a target scribbles over {what}: it costs samples, counted, and the recorder goes on")
    def _(run):
        process = start(run, run.program("scribble"), what, "1.5")
        out, err = process.communicate(timeout=harness.TIMEOUT)
        equal((process.returncode, out), (7, "done\n"), f"exit status and output ({err})")
        report = run.report()
        print("#", " ".join(err.split("\n")))
        check(number(r"(\d+) malformed records", err) > 0 or not counted, err)
        check(number(r"(\d+) samples lost", err) < 100000, err)
        check(number(r"(\d+) threads were not sampled", err) < 100000000, err)
        coverage = re.search(r"^# coverage: +([\d.]+) %", report, re.M)
        check(counted or "# samples: 0;" in report or (coverage and float(coverage[1]) < 90), f"nothing says that samples are missing: {report[:1500]}")


for what, counted in {"records": True, "rings": True, "header": False, "all": False}.items():
    add_scribble(what, counted)


@test("one program scribbles over all of it: others keep their output and exit status")
def _(run):
    script = f"{run.program('scribble')} all 1 & {run.program('plain')} 1; echo $?; wait $!; echo $?"
    process = start(run, "sh", "-c", script)
    out, err = process.communicate(timeout=harness.TIMEOUT)
    equal((process.returncode, sorted(out.split())), (0, ["0", "7", "done"]), f"exit status and output ({err})")


main()
