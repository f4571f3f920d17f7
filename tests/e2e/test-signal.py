#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The signal engine, where perf_event_open is denied as container runtimes deny it: real programs, known chains, and what programs do to
their signals, descriptors and children."""

import errno
import os
import re
import resource
import signal
import subprocess

import harness
import workloads
from chains import CUTS, judge, parse_folded
from harness import check, equal, main, need, test, wait_for

PYTHON, DENIED = "/usr/bin/python3", errno.EPERM
WORK = "def work(n=6000000):\n s = 0\n for i in range(n): s += i * i\n return s\n"


def record(run, *command, options=(), **more):
    return run.record(*command, options=options, preexec_fn=lambda: harness.deny_perf(DENIED), **more)


def measure(run, *options):
    """samples, % complete, % of frames unknown"""
    samples = complete = frames = unknown = 0
    for _, end, stack, count in parse_folded(run.folded(*options)):
        samples += count
        complete += count * (end is None)
        frames += count * len(stack)
        unknown += count * sum(frame.startswith("[") and frame not in CUTS for frame in stack)
    return samples, 100 * complete / max(samples, 1), 100 * unknown / max(frames, 1)


def hold(run, samples_min=100, complete_min=99.0):
    samples, complete, unknown = measure(run)
    text = f"{samples} samples, {complete:.2f} % complete, {unknown:.2f} % of frames unknown"
    print("#", text)
    check(samples >= samples_min, f"too few: {text}")
    check(complete >= complete_min, text)
    check(unknown <= .5, text)


def coverage(run):
    match = re.search(r"^# coverage: +([\d.]+) %", run.report(), re.M)
    check(match, f"no coverage in the header: {run.report()[:800]}")
    return float(match.group(1))


def same_as_alone(run, *command, **more):
    """Recorded, a program ends and writes as it does alone."""
    alone = run.run(*command, status=None)
    recorded = record(run, *command, options=("-q",), status=alone.returncode, **more)
    equal(recorded.out, alone.out, "standard output")
    equal(recorded.err, alone.err, "standard error")


@test("denied: one line says that it samples from inside, and why; a second sums up; a third only if something was lost")
def _(run):
    for error in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        done = run.record(PYTHON, "-c", WORK + "work()", preexec_fn=lambda: harness.deny_perf(error))
        why, summary, *losses = done.err.splitlines()
        check("engine signal" in why and "perf_event_open" in why, done.err)
        check(re.search(r"\d+ samples, .*cprof-report", summary), done.err)
        # Python has functions with more on the stack than is copied of it.
        check(len(losses) <= 1 and all("not whole: " in line for line in losses), done.err)
    check(re.search(r"^# .*signal", run.report(), re.M), "the header does not name the engine")


# handlers blocks all signals while it handles one. exceptions: see test-chains.py.
FEW = {"handlers": 50}
CHAINS = {"plain": 99, "process": 99, "plugins": 99, "realign": 99, "handlers": 30, "exceptions": 97, "churn": 99, "plt": 99,
          "plain-no-pie": 99, "noreturn": 99}


def add_chain(name, complete_min):
    @test(f"{name}: no impossible stack, {complete_min} % complete")
    def _(run):
        program = run.program(name)
        chains = subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout
        record(run, program, ".6", options=("-F", "2000"))
        verdict = judge(run.folded("--annotate", "k"), chains)
        print("#", verdict)
        complaints = "".join(f"\n{count} x {why}" for why, count in verdict.complaints.items())
        check(verdict.samples > FEW.get(name, 200) and verdict.impossible == 0, f"{verdict}{complaints}")
        check(verdict.percent_complete() >= complete_min and verdict.percent_unknown() <= .5, str(verdict))


for name, complete_min in CHAINS.items():
    add_chain(name, complete_min)


@test("threads, whole stacks copied: no impossible stack, 99 % complete")
def _(run):
    program = run.program("threads")
    record(run, program, ".6", options=("--stack-size", "65528"))
    chains = subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout
    verdict = judge(run.folded("--annotate", "k"), chains)
    check(verdict.impossible == 0 and verdict.percent_complete() >= 99, str(verdict))


@test("the samples weigh what the kernel says was spent")
def _(run):
    record(run, run.program("plain"), "1.5")
    check(97 <= coverage(run) <= 101, f"coverage {coverage(run)} %")


@test("by the CPU clock: named in the header with its limits, weighed right, and not trusted by --compare")
def _(run):
    options = ("--signal-clock", "cpu")
    done = record(run, run.program("plain"), "1", options=options)
    check("ticks" in done.err, done.err)
    text = run.report()
    check(re.search(r"^# event: .*timer on the CPU clock of each thread", text, re.M), text[:800])
    check(re.search(r"^# not seen by this event: .*between the clock's ticks, \d+ a second", text, re.M), text[:800])
    check(95 <= coverage(run) <= 105, f"coverage {coverage(run)} %")
    hold(run, 20)
    script = "import threading, time\ndef work():\n while time.thread_time() < .2: pass\n"
    record(run, PYTHON, "-c", script + "for _ in range(10): threading.Thread(target=work).start()", options=options)
    check(90 <= coverage(run) <= 110, f"coverage of ten threads {coverage(run)} %")
    record(run, run.program("scopes"), "nested", 100, options=options)
    check("nothing can be compared: the samples were taken at the ticks" in run.report("--compare"), run.report("--compare"))


@test("threads that sleep are sampled for what they use, by either clock")
def _(run):
    script = """
import threading, time
def work():
    while time.thread_time() < .4:
        sum(range(3000))
        time.sleep(.001)
for _ in range(4): threading.Thread(target=work).start()
"""
    for clock in ("monotonic", "cpu"):
        record(run, PYTHON, "-c", script, options=("--signal-clock", clock))
        check(85 <= coverage(run) <= 115, f"coverage {coverage(run)} % by {clock}")


@test("a sleeping thread takes at most one signal a sleep, however many sleep")
def _(run):
    done = record(run, run.program("sleepers"), 400, 20)
    sleeps, interrupted = map(int, done.out.split())
    # Two where it was on a CPU meanwhile; a storm of signals is one a millisecond.
    check(interrupted <= 2 * sleeps, f"{interrupted} signals in {sleeps} sleeps")
    equal(re.search(r"^# threads: (\d+)", run.report(), re.M)[1], "401", "threads")


@test("1,500 threads at once: all have a ring")
def _(run):
    record(run, run.program("load"), "crowd", 1500)
    text = run.report()
    equal(re.search(r"^# threads: (\d+)", text, re.M)[1], "1501", "threads")
    check("threads not sampled" not in text, text[:1500])


def few_timers():
    """As many as this user's processes have just now, and six more."""
    with open("/proc/self/status", encoding="ascii") as file:
        used = int(re.search(r"^SigQ:\s+(\d+)/", file.read(), re.M)[1])
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (used + 6, used + 6))
    harness.deny_perf(DENIED)


@test("more threads than timers: they have them in turn, which is counted, and their samples weigh what they used")
def _(run):
    seen = []
    for _ in range(6):  # other processes of this user need timers too
        done = run.record(run.program("load"), "busy", 24, 2, preexec_fn=few_timers)
        text = run.report()
        counted = re.search(r"^# lost or bent: .*threads sampled in turn (\d+)", text, re.M)
        seen.append((counted and int(counted[1]), coverage(run) if "# coverage" in text else 0))
        if counted and coverage(run) > 85:
            check("found no timer of their own" in done.err, done.err)
            return
    raise AssertionError(f"threads in turn and coverage: {seen}")


def add_workload(name):
    @test(f"{name}: 99 % of stacks complete")
    def _(run):
        need(name)
        record(run, *workloads.command(name, run.directory))
        hold(run)


for name in ("sqlite3", "zstd", "python3", "perl"):
    if name in workloads.WORKLOADS:
        add_workload(name)


@test("threads that wake each other, more than CPUs, are sampled where they work, not where they wait")
def _(run):
    for way, call in ("pipe", "read"), ("condition", "__futex_abstimed_wait_common"):
        record(run, run.program("wakers"), way, os.cpu_count() + 1, 3000)
        waits = total = 0
        for _, _, stack, count in parse_folded(run.folded("--weight")):
            total += count
            waits += count * (stack[-1] == call)
        print(f"# by {way}: {100 * waits / total:.1f} % in {call}")
        check(waits < .2 * total, f"{100 * waits / total:.1f} % in {call}")  # perf: 3 to 4 %; with a sample for each signal: 37 %


@test("perl and a shell's pipeline write what they write alone")
def _(run):
    need("perl")
    same_as_alone(run, "perl", "-e", "my $s = 0; for (my $i = 0; $i < 8000000; $i++) { $s += $i * $i } print \"$s\\n\"; exit 7")
    hold(run, 50)
    same_as_alone(run, "sh", "-c", "seq 400000 | sort -r | tail -1; echo err >&2; false")


@test("a program's own SIGPROF handler and timer keep working")
def _(run):
    done = record(run, PYTHON, "-c", WORK + """
import signal
calls = 0
def handler(*_):
    global calls
    calls += 1
signal.signal(signal.SIGPROF, handler)
signal.setitimer(signal.ITIMER_PROF, .005, .005)
while calls < 20: work(10000)
signal.setitimer(signal.ITIMER_PROF, 0)
print("called")
""", options=("-q",))
    equal(done.out, "called\n", "output")
    check(measure(run)[0] > 20, "not sampled")


@test("a program that closes all descriptors, and one that blocks all signals")
def _(run):
    record(run, PYTHON, "-c", WORK + "import os, signal\nos.closerange(0, 65536)\n"
           "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwork(4000000)")
    hold(run)


@test("a thread that blocks the signal behind libc's back is reported by name")
def _(run):
    done = record(run, PYTHON, "-c", """
import ctypes, threading, time
libc = ctypes.CDLL(None)
def work():
    libc.prctl(15, b"silent", 0, 0, 0)
    RT_SIGPROCMASK, SETMASK = 14, 2
    libc.syscall(RT_SIGPROCMASK, SETMASK, (ctypes.c_uint64 * 1)(2 ** 64 - 1), None, 8)
    while time.thread_time() < 1.2: pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
""")
    said = re.search(r"blocked signal \d+ .*: silent \(([\d.]+) s", done.err)
    check(said and .2 < float(said[1]) < 1.4, done.err)
    check(re.search(r"^# not seen while they blocked its signal: silent \(", run.report(), re.M), run.report()[:1500])


@test("a program built with AddressSanitizer as a library: it runs behind ours, and is sampled")
def _(run):
    record(run, run.program("plain-asan"), ".3")
    check(measure(run)[0] > 50, "not sampled")


@test("a program built for musl: by an agent of its own, or one line says what is missing")
def _(run):
    program = run.program("plain-musl")
    done = record(run, program, ".3", status=None)
    if "musl-tools" in done.err:
        equal(done.returncode, 125, "exit status")
        return
    equal(done.returncode, 0, "exit status")
    check(measure(run)[0] > 50 and coverage(run) > 90, f"not sampled: {done.err}")


@test("our signal belongs to us: neither ignoring nor handling it ends the samples")
def _(run):
    done = record(run, PYTHON, "-c", WORK + """
import signal, os
ours = signal.SIGRTMAX - 1
signal.signal(ours, signal.SIG_IGN)
work()
signal.signal(ours, lambda *_: print("foreign", flush=True))
os.kill(os.getpid(), ours)
work()
""", options=("-q",))
    equal(done.out, "foreign\n", "output")
    hold(run)


@test("fork, fork and exec, vfork, threads: every process and every thread is in the recording")
def _(run):
    record(run, PYTHON, "-c", WORK + f"""
import os, subprocess, sys, threading
if os.fork() == 0: work(); os._exit(0)
os.wait()
subprocess.run(["/bin/sh", "-c", "exec {PYTHON} -c 's = sum(i * i for i in range(6000000))'"], check=True)
threads = [threading.Thread(target=work, args=(1200000,)) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
work()
""")
    hold(run, 200)
    text = run.report()
    said = re.search(r"^# threads: (\d+) in (\d+) processes", text, re.M)
    check(said, f"no threads in the header: {text[:900]}")
    equal((int(said[1]), int(said[2])), (23, 3), "threads and processes")
    check(coverage(run) > 85, f"coverage {coverage(run)} %")


def environment_of_child(run, env):
    done = run.record("env", options=("-q", "--engine", "signal"), env=env)
    return dict(line.split("=", 1) for line in done.out.splitlines())


@test("the environment of a child has three variables more, and keeps what others preload")
def _(run):
    lines = environment_of_child(run, {"A": "1"})
    equal(sorted(lines), ["A", "CPROF_SCOPES", "CPROF_SOCKET", "LD_PRELOAD"], "variables")
    # A recorder built with AddressSanitizer needs the option to start behind the other library.
    env = {"LD_PRELOAD": "libm.so.6", "ASAN_OPTIONS": "verify_asan_link_order=0"}
    lines = environment_of_child(run, env)
    equal(lines["ASAN_OPTIONS"], env["ASAN_OPTIONS"], "ASAN_OPTIONS")
    check(lines["LD_PRELOAD"].endswith("libcprof-agent.so:libm.so.6"), lines["LD_PRELOAD"])


@test("a Go program with C in it: output and exit status are its own, and both halves are seen")
def _(run):
    program = run.program("cgo")
    same_as_alone(run, program, 300)
    text = run.folded()
    check("main.workInGo" in text and "Cfunc_work_in_c" in text, text[:800])
    check(coverage(run) > 80, f"coverage {coverage(run)} %")


@test("a Rust program: output and exit status are its own, 99 % complete")
def _(run):
    same_as_alone(run, run.program("rust"), 1000000)
    hold(run)


def add_foreign(how):
    @test(f"threads made by {how}, not by pthread_create, are sampled")
    def _(run):
        record(run, run.program("foreign-threads"), how, ".4")
        hold(run, 200)
        text = run.folded()
        check(all(f"foreign_{i}" in text for i in range(4)), text[:800])
        check(coverage(run) > 80, f"coverage {coverage(run)} %")


add_foreign("raw")
add_foreign("c11")


@test("threads of less than a period: what is sampled stands for the rest")
def _(run):
    script = "import threading\nfor _ in range(1500):\n t = threading.Thread(target=sum, args=(range(6000),)); t.start(); t.join()"
    record(run, PYTHON, "-c", script)
    # Before its timer is armed and after it is taken away a thread cannot be sampled: a fifth of so short a life.
    check(60 <= coverage(run) <= 125, f"coverage {coverage(run)} %")


@test("SIGKILL to the command: nothing is lost that was in a ring")
def _(run):
    record(run, PYTHON, "-c", WORK + "import os\nwork(12000000)\nos.kill(os.getpid(), 9)", status=-signal.SIGKILL)
    hold(run)


@test("SIGKILL to the recorder: the command ends as it would, and the file reports")
def _(run):
    script = WORK + "import os\nopen('began', 'w').close()\nwhile not os.path.exists('end'): work(100000)\nopen('ended', 'w').close()"
    process = run.start(harness.where.record, "-q", "--", PYTHON, "-c", script, preexec_fn=lambda: harness.deny_perf(DENIED))
    wait_for(lambda: os.path.exists(run.path("began")), "the command")
    wait_for(lambda: os.path.getsize(run.path("cprof.data")) > 8000, "a chunk in the file")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run.write("end", "")
    wait_for(lambda: os.path.exists(run.path("ended")), "the command's end")
    check(measure(run)[0] > 20, "no samples")


@test("a static program cannot be seen, and one line names the engine that can")
def _(run):
    done = record(run, run.program("plain-static"), ".2")
    check("the perf engine sees it" in done.err, done.err)


@test("the recorder stands still for two seconds: the command does not, and what was dropped is said")
def _(run):
    script = WORK + "import os, time\nopen('began', 'w').close()\nend = time.time() + 3\nwhile time.time() < end: work(100000)\nopen('ended', 'w').close()"
    process = run.start(harness.where.record, "-F", "4000", "--", PYTHON, "-c", script, preexec_fn=lambda: harness.deny_perf(DENIED))
    wait_for(lambda: os.path.exists(run.path("began")), "the command")
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: os.path.exists(run.path("ended")), "the command's end, its recorder standing still")
    os.kill(process.pid, signal.SIGCONT)
    _, said = process.communicate(timeout=harness.TIMEOUT)
    lost = re.search(r"(\d+) samples lost", said)
    check(lost and int(lost[1]) > 100, said)
    samples = measure(run)[0]
    check(samples > 100, f"{samples} samples: {said}")


@test("--no-inherit: threads, but no children")
def _(run):
    script = WORK + "import os\nif os.fork() == 0: work(); os._exit(0)\nos.wait()\nwork()"
    record(run, PYTHON, "-c", script, options=("--no-inherit",))
    check(re.search(r"^# threads: 1 in 1 process", run.report(), re.M), run.report()[:900])


@test("another event than time is refused, in one line")
def _(run):
    done = run.record("true", options=("--engine", "signal", "-e", "page-faults"), status=125)
    check("cpu-clock" in done.err and done.err.count("\n") == 1, done.err)


main()
