#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What profilers that send signals have broken in the programs they profiled, or in what they said of them: a test for each hazard, named
after it. Others of the same hazards are tested where they belong:

    loader lock, malloc in handler      also tests/lint/handler.py: what the handler's objects call
    TLS not ready                       here, and "threads made by raw" in test-signal.py
    foreign signal/handler              here, and "our signal belongs to us", "a program's own SIGPROF handler" in test-signal.py
    thread churn                        here, and "1,500 threads" in test-signal.py
    loss accounting                     here, in test-signal-loss.py, and tests/unit/sampler/test-ring-model.c
    kernel bug (6.16/6.17)              cannot befall: the agent opens no perf event that it could arm again
"""

import os
import re
import signal

import harness
from chains import parse_folded
from harness import Skip, check, equal, main, test

DENIED = 1  # EPERM
OURS = signal.SIGRTMAX - 1


def record(run, *command, options=(), **more):
    return run.record(*command, options=("--engine", "signal", *options), preexec_fn=lambda: harness.deny_perf(DENIED), **more)


def fast(run, *command, options=(), **more):
    """As often as anybody asks for: whatever a signal can hit, it hits."""
    return record(run, *command, options=("-F", "10000", *options), **more)


def same_as_alone(run, *command, **more):
    alone = run.run(*command, status=None)
    recorded = fast(run, *command, options=("-q",), status=alone.returncode, **more)
    equal(recorded.out, alone.out, "standard output")
    return recorded


def samples(run, *options):
    """{function: samples with it anywhere}, and all"""
    functions, total = {}, 0
    for _, _, stack, count in parse_folded(run.folded(*options)):
        total += count
        for function in set(stack):
            functions[function] = functions.get(function, 0) + count
    return functions, total


def header(run, pattern):
    text = run.report()
    match = re.search(pattern, text, re.M)
    check(match, f"{pattern!r} is not in the header: {text[:1500]}")
    return match


def coverage(run):
    return float(header(run, r"^# coverage: +([\d.]+) %")[1])


@test("loader lock: a thread is sampled while another holds it, and so is the holder")
def _(run):
    fast(run, run.program("hazard-locks"), "loader")
    functions, _ = samples(run)
    check(functions.get("work_while_held", 0) > 100 and functions.get("hold_lock", 0) > 20, f"{functions}")


@test("malloc in handler: not one call, beginning and end of threads included")
def _(run):
    same_as_alone(run, run.program("hazard-locks"), "malloc")
    check(samples(run)[0].get("work_without", 0) > 100, "hardly sampled")


@test("TLS not ready: threads without thread-local storage are sampled")
def _(run):
    record(run, run.program("foreign-threads"), "no-tls", ".3")
    functions, _ = samples(run)
    check(all(functions.get(f"foreign_{i}", 0) > 20 for i in range(4)), f"{functions}")


@test("altstack: room for the kernel's frame and 1 KiB is enough")
def _(run):
    done = fast(run, run.program("hazard-signals"), "altstack")
    check(int(done.out.split()[0]) > 0, f"not on it: {done.out}")
    check(samples(run)[1] > 100, "hardly sampled")


@test("crash overlap: a handler of SIGSEGV has its stack to itself, says its word and dies of the signal")
def _(run):
    program = run.program("hazard-signals")
    equal(run.run(program, "crash", status=None).out, "caught\n", "what it says alone")
    for _ in range(5):
        same_as_alone(run, program, "crash")
    check(samples(run)[1] > 50, "hardly sampled")


@test("EINTR/SA_RESTART: what can be restarted is not interrupted, nor are the sleeps that no kernel restarts")
def _(run):
    done = record(run, run.program("hazard-signals"), "eintr")
    reads, sleeps = map(int, re.match(r"(\d+) reads, (\d+) sleeps", done.out).groups())
    equal((reads, sleeps), (0, 0), "reads and sleeps interrupted")
    check(samples(run)[1] > 50, "hardly sampled")
    for call in ("nanosleep", "clock_nanosleep", "clock_nanosleep-until", "usleep", "sem_timedwait", "poll", "epoll_wait", "select"):
        done = fast(run, run.program("naps"), call, 1000, 10)
        equal(done.out, "0 interrupted, 0 early of 10\n", call)


@test("EINTR/SA_RESTART: a program's own signals interrupt its sleeps as ever")
def _(run):
    for call in ("nanosleep", "clock_nanosleep", "clock_nanosleep-until", "usleep", "sleep", "sem_timedwait", "poll", "epoll_wait", "select"):
        done = fast(run, run.program("naps"), call, "alarm", 10)
        equal(done.out, "10 of 10\n", call)


@test("clone/fork livelock: a large process forks on at 10 kHz")
def _(run):
    size, count = os.environ.get("CPROF_RESIDENT", "256 30").split()
    done = fast(run, run.program("hazard-processes"), "resident", size, count)
    equal(done.out, f"{count} forks\n", "output")
    equal(int(header(run, r"^# threads: \d+ in (\d+) processes")[1]), 1 + int(count), "processes")


@test("fork child: rings of its own, nothing of its parent's; one that cannot be seen is not mistaken for its parent")
def _(run):
    done = record(run, run.program("hazard-processes"), "fork")
    parent, child, bare = done.out.split()
    in_parent, in_child = samples(run, "--pid", parent)[0], samples(run, "--pid", child)[0]
    check(in_parent.get("work_of_parent", 0) > 50 and in_parent.get("work_of_thread", 0) > 50, f"{in_parent}")
    check(in_child.get("work_of_child", 0) > 50, f"{in_child}")
    check("work_of_child" not in in_parent and "work_of_parent" not in in_child and "work_of_thread" not in in_child, f"{in_parent} {in_child}")
    check("work_of_bare_child" not in samples(run)[0], f"{bare} of {parent} is taken for another")
    equal(header(run, r"^# threads: (\d+ in \d+) processes")[1], "3 in 2", "threads and processes")
    check(55 < coverage(run) < 95, f"{coverage(run)} % covered, of which a fifth cannot be seen")


@test("exec: the new program starts with no signal of ours waiting, blocked or ignored, from whatever thread")
def _(run):
    done = fast(run, run.program("hazard-processes"), "exec", 100)
    equal(done.out, "done\n", "output")
    # grep is not sampled itself: what waits for it is what was left to it.
    script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec env -u LD_PRELOAD grep -E '^(Sig(Pnd|Blk|Ign)|ShdPnd)' /proc/self/status"
    same_as_alone(run, "sh", "-c", script)


@test("vfork/posix_spawn: the child writes nothing into its parent's ring")
def _(run):
    done = fast(run, run.program("hazard-processes"), "vfork", 40)
    functions, _ = samples(run, "--pid", done.out.strip())
    check(functions.get("work_of_parent", 0) > 50 and "work_of_vfork" not in functions, f"{functions}")
    check("malformed" not in done.err, done.err)
    equal(header(run, r"^# threads: (\d+ in \d+) processes")[1], "81 in 81", "threads and processes")


@test("thread churn: every thread is counted, whether there was a ring for it or not")
def _(run):
    done = record(run, run.program("load"), "short", 3000)
    without = re.search(r"(\d+) threads were not sampled", done.err)
    counted = int(header(run, r"^# threads: (\d+) in")[1]) + (int(without[1]) if without else 0)
    # One that the kernel takes long to end may be taken for another; and one that got its ring late may end before its first signal.
    check(2970 <= counted <= 3030, f"{counted} of 3001 threads")


@test("blocked signals: a thread that blocks all by system calls is no thread without work")
def _(run):
    record(run, run.program("foreign-threads"), "raw-blocked", ".2")
    check(coverage(run) < 50, f"{coverage(run)} % covered")


@test("foreign signal/handler: all that the program sends itself on our number arrives, in order")
def _(run):
    same_as_alone(run, run.program("hazard-signals"), "foreign", OURS)
    check(samples(run)[1] > 50, "hardly sampled")


@test("signal queueing: while it is blocked, one gathers and no more")
def _(run):
    done = fast(run, run.program("hazard-signals"), "queue", OURS)
    check(int(done.out) <= 2, f"{done.out.strip()} signals")  # a timer's each


@test("rseq: restartable sequences that signals abort add up, and their stacks are whole")
def _(run):
    done = fast(run, run.program("hazard-locks"), "rseq", 1500000, status=None)
    if done.returncode == 77:
        raise Skip("libc has not registered for restartable sequences")
    equal((done.returncode, done.out), (0, "3000000\n"), "exit status and output")
    stacks = list(parse_folded(run.folded()))
    total, cut = sum(count for *_, count in stacks), sum(count for _, end, _, count in stacks if end is not None)
    check(total > 100 and cut <= total / 100, f"{cut} of {total} stacks are cut")


@test("exclude_kernel bias: time in the kernel weighs what it took")
def _(run):
    outside, inside = map(int, record(run, run.program("hazard-locks"), "halves").out.split())
    weights = {}
    for _, _, stack, weight in parse_folded(run.folded("--weight")):
        for half in ("outside_kernel", "inside_kernel"):
            if half in stack:
                weights[half] = weights.get(half, 0) + weight
    total, count = sum(weights.values()), samples(run)[1]
    got, wanted = weights["inside_kernel"] / total, inside / (inside + outside)
    # Samples that come late weigh more: as if there were half as many.
    bound = 5 * (wanted * (1 - wanted) / (count / 2)) ** .5
    print(f"# {100 * got:.2f} % of {count} samples' weight inside the kernel, {100 * wanted:.2f} % of the CPU time; {100 * bound:.2f} % allowed")
    check(abs(got - wanted) < bound, f"{got} of the weight is inside the kernel, {wanted} of the CPU time")
    check(93 < coverage(run) < 104, f"{coverage(run)} % covered")


main()
