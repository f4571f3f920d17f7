#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scopes (cprof.h) from the program to the report: what is measured is held against what the program knows of itself, under both engines
and however threads, processes and plugins end."""

import collections
import os
import re
import select
import signal

import harness
from chains import parse_folded
from harness import Skip, check, equal, main, test, wait_for
from scopetable import ROUNDING, scope, scopes

PYTHON = "/usr/bin/python3"
ENGINES = {"perf or else signal": (), "signal": ("--engine", "signal")}
FREQUENCY = .01  # by how much the programs' own idea of a microsecond may differ from the recorder's (20 ms of two clocks)
CLOCK = 1e-4  # the same of scopes-exact, which takes 200 ms or more


def numbers(text):
    """name -> the numbers behind it, of lines that a program printed."""
    return {line.split()[0]: [int(word) for word in line.split()[1:]] for line in text.splitlines()}


def table(run, *options, **more):
    return run.report("--scopes", *options, **more)


def counted(run, **wanted):
    """Calls by scope (spaces as _) as they should be; the table."""
    text = table(run)
    rows = scopes(text)
    check(re.search(r"^# begin and end take [1-9]\d* ns$", text, re.M), text)
    for name, calls in wanted.items():
        name = name.replace("_", " ")
        check(name in rows or calls == 0, f"no {name}: {text}")
        equal(sum(row.calls for row in rows.get(name, [])), calls, f"calls of {name}")
    return text


def said(text, what):
    """A number from the header's line of what was lost or bent."""
    found = re.search(rf"^# lost or bent:.*\b{what} (\d+)", text, re.M)
    return int(found[1]) if found else 0


# ---- exactness


class Witness:
    """What tests/programs/scopes-exact.c says: bounds in ns of a scope's figures in a thread."""

    NAMES = ("total", "min", "p50", "p90", "p99", "max")

    def __init__(self, fields, ns_per_tick):
        self.name, self.tid = fields[0], int(fields[1])
        self.calls, self.primitive = int(fields[2]), int(fields[3])
        values = [int(field) * ns_per_tick for field in fields[4:]]
        self.bounds = {name: (values[2 * i], values[2 * i + 1]) for i, name in enumerate(self.NAMES)}

    def hold(self, row):
        """The row's figures lie within the bounds; percentiles are within a bucket of the instance they name."""
        equal((row.calls, row.primitive), (self.calls, self.primitive), f"calls of {self.name} in {self.tid}")
        for name, (low, high) in self.bounds.items():
            value, off = getattr(row, name), ROUNDING + CLOCK + (.0625 if name.startswith("p") else 0)
            check(low * (1 - off) - 1 <= value <= high * (1 + off) + 1,
                  f"{name} of {self.name} in {self.tid}: {value:.0f} ns, not within {low:.0f} .. {high:.0f}")

    def is_narrow(self):
        """Nothing interrupted the program between its reading of the counter and the scope's: the bounds are within 0.1 % and what the
        readings take, 0.25 us a call."""
        low, high = self.bounds["total"]
        return high - low <= .001 * low + 250 * self.calls


def witnesses(text):
    lines = [line.split() for line in text.splitlines()]
    ticks, ns = next((int(line[1]), int(line[2])) for line in lines if line[0] == "clock")
    return [Witness(line, ns / ticks) for line in lines if line[0] != "clock"]


def exact(run, program, *arguments, options=(), tries=6):
    """Holds a run of scopes-exact against itself. Bounds hold always; that they are narrow is shown by one run of a few."""
    narrow = set()
    for _ in range(tries):
        done = run.record(run.program(program), *arguments, options=("-q", *options))
        seen = witnesses(done.out)
        rows = {(name, row.thread): row for name, some in scopes(table(run, "--by-thread")).items() for row in some}
        equal(len(rows), len(seen), "rows")
        for witness in seen:
            check((witness.name, witness.tid) in rows, f"no {witness.name} of thread {witness.tid}: {sorted(rows)}")
            witness.hold(rows[witness.name, witness.tid])
            if witness.is_narrow():
                narrow.add(witness.name)
        if narrow == {witness.name for witness in seen}:
            return seen
    raise AssertionError(f"in no run the bounds of all were narrow: only {sorted(narrow)}")


def add_exact(program, engine):
    @test(f"{program}, engine {engine}: counts are equal, totals within 0.1 % and percentiles within 6.25 % of the program's own")
    def _(run):
        exact(run, program, "lengths", 3000, options=ENGINES[engine])


for engine in ENGINES:
    add_exact("scopes-exact", engine)
add_exact("scopes-exact-unoptimised", "perf or else signal")


@test("recursion: an instance within its own scope is a call, and its time counts once")
def _(run):
    seen = exact(run, "scopes-exact", "recursion", 400, 6)
    calls = {witness.name: (witness.calls, witness.primitive) for witness in seen}
    equal(calls, {"recur": (2400, 400), "even": (1600, 400), "odd": (1200, 400)}, "calls, and those not inside another")


def add_threads(engine):
    @test(f"64 threads, engine {engine}: each thread's row is what it counted, and the sum is theirs")
    def _(run):
        seen = exact(run, "scopes-exact", "threads", 150, 64, options=ENGINES[engine])
        equal(len(seen), 64, "threads")
        row = scope(table(run), "length")
        equal(row.calls, 64 * 150, "calls")
        for i in (0, 1):
            total = sum(witness.bounds["total"][i] for witness in seen)
            off = (1 + ROUNDING + CLOCK) if i else (1 - ROUNDING - CLOCK)
            check((row.total <= total * off) if i else (row.total >= total * off), f"total {row.total}, bound {total}")


for engine in ENGINES:
    add_threads(engine)


def add_nested(program, engine):
    @test(f"{program}, engine {engine}: nested scopes count as the program does, and self times add up to the outermost total")
    def _(run):
        done = run.record(run.program(program), "nested", 300, options=("-q", *ENGINES[engine]), status=None)
        if done.returncode == 125 and "libcprof-agent-musl.so" in done.err:
            raise Skip("there is no agent for musl here")
        equal(done.returncode, 0, "exit status")
        rows = {name: some[0] for name, some in scopes(table(run)).items()}
        equal({name: row.calls for name, row in rows.items()}, {name: calls for name, (calls, _) in numbers(done.out).items()}, "calls")
        selves = sum(row.self for row in rows.values())
        check(abs(selves - rows["request"].total) <= 5 * ROUNDING * rows["request"].total, f"{selves} of {rows['request'].total}")


for engine in ENGINES:
    add_nested("scopes", engine)
    add_nested("scopes-static", engine)
    add_nested("scopes-musl", engine)


@test("spans overlap, begin in one function and end in another; values add up")
def _(run):
    counts = numbers(run.record(run.program("scopes"), "spans", 300, options=("-q",)).out)
    text = counted(run, reply=counts["reply"][0], queue=counts["queue"][0])
    row = scope(text, "reply")
    check(row.total >= row.calls * 90e3 * (1 - FREQUENCY), f"total of reply {row.total}: three times 30 us each")
    values = re.search(r"^ *(\d+) +([\d.e+]+) .*  bytes  \(", text, re.M)
    check(values, f"no values: {text}")
    equal((int(values[1]), float(values[2])), (counts["bytes"][0], float(f"{counts['bytes'][1]:.6g}")), "count and sum of bytes")


# ---- how scopes end


@test("C++ exceptions end scopes as returns do")
def _(run):
    counts = numbers(run.record(run.program("scopes-throw"), 2000, options=("-q",)).out)
    text = counted(run, **{name: calls for name, (calls,) in counts.items()})
    check("unwound" not in text and "unfinished" not in text, text)


@test("longjmp: what it left ends later, and is marked")
def _(run):
    counts = numbers(run.record(run.program("scopes"), "longjmp", 300, options=("-q",)).out)
    rounds = counts["around"][0]
    text = counted(run, around=rounds, jumper=rounds, leap=rounds)
    left = sum(number % 3 != 0 for number in range(rounds))
    for name in ("jumper", "leap"):
        equal(scope(text, name).marks.get("unwound"), left, f"{name} unwound")
    equal(scope(text, "around").marks, {}, "marks of the one around")
    equal(said(text, "scopes unwound"), 2 * left, "scopes unwound")


def add_thread_end(how):
    @test(f"{how} inside a scope: as an exception with -fexceptions, else unfinished")
    def _(run):
        run.record(run.program("scopes-lives-exceptions"), how, 30, options=("-q",))
        text = counted(run, whole=30, left=30)
        check("unfinished" not in text, text)
        run.record(run.program("scopes-lives"), how, 30, options=("-q",))
        text = counted(run, whole=30, left=0)
        equal(scope(text, "left").marks.get("unfinished"), 30, "unfinished")
        equal(said(text, "scopes unfinished"), 30, "scopes unfinished")


add_thread_end("pthread-exit")
add_thread_end("cancel")


@test("exit inside two scopes: both are unfinished, nothing hangs")
def _(run):
    run.record(run.program("scopes"), "exit", 50, options=("-q",))
    text = table(run)
    for name in ("leaving", "left"):
        row = scope(text, name)
        equal((row.calls, row.marks.get("unfinished")), (0, 1), f"{name}: calls, unfinished")


@test("ends without a begin are counted, and so are spans that nobody ends, beyond 64 at a time")
def _(run):
    run.record(run.program("scopes-lives"), "unbalanced", 70, options=("-q",))
    text = counted(run, never_begun=0, never_ended=0)
    equal(scope(text, "never ended").marks.get("unfinished"), 64, "unfinished")
    equal((said(text, "scope ends without a begin"), said(text, "scope spans refused")), (70, 6), "ends without a begin, spans refused")


# ---- processes


def add_fork(program, engine):
    @test(f"{program}, engine {engine}: forked children count for themselves, and what was open goes on in both")
    def _(run):
        run.record(run.program(program), "fork", 8, options=("-q", *ENGINES[engine]))
        text = counted(run, around=16, child=24, grandchild=16)
        check("unfinished" not in text, text)


for engine in ENGINES:
    add_fork("scopes-lives", engine)
    add_fork("scopes-lives-static", engine)


@test("exec: what was measured before it is kept, the scope around it is unfinished, and it goes on")
def _(run):
    run.record(run.program("scopes-lives"), "exec", 50, options=("-q",))
    text = counted(run, before=50, after=50, exec=0)
    equal(scope(text, "exec").marks.get("unfinished"), 1, "unfinished")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


class Endless:
    """`scopes endless`, recorded. It writes the number of each scope that has ended."""

    def __init__(self, run, *options):
        self.recorder = run.start(harness.where.record, "-q", *options, "--", run.program("scopes"), "endless")
        self.pid = wait_for(lambda: children(self.recorder.pid), "the command")[0]
        self.pipe, self.rest = self.recorder.stdout.fileno(), b""

    def read(self):
        """Waits for more; the last number written so far, None at the end."""
        while True:
            check(select.select([self.pipe], [], [], 30)[0], "the program says nothing")
            some = os.read(self.pipe, 65536)
            whole, newline, rest = (self.rest + some).rpartition(b"\n")
            if newline or not some:
                self.rest = rest
                return int(whole.split()[-1]) if newline else None

    def read_all(self):
        """What it has written so far, without waiting for more than one line."""
        last = self.read()
        while select.select([self.pipe], [], [], 0)[0]:
            last = self.read()
        return last


def add_killed(engine):
    @test(f"kill -9 of the program, engine {engine}: all scopes that had ended are there")
    def _(run):
        endless = Endless(run, *ENGINES[engine])
        last = number = endless.read()
        while number < 150:
            number = endless.read()
        os.kill(endless.pid, signal.SIGKILL)
        while number is not None:
            last, number = number, endless.read()
        equal(endless.recorder.wait(harness.TIMEOUT), -signal.SIGKILL, "exit status")
        row = scope(table(run), "endless")
        # Killed between the end of a scope and its writing: one more.
        check(last <= row.calls <= last + 1, f"{row.calls} calls, {last} were told")
        check(row.total >= row.calls * 1e6 * (1 - FREQUENCY), f"total {row.total}")


for engine in ENGINES:
    add_killed(engine)


def is_told(run):
    """A reader finds scopes in the growing file, and the clock that they were timed with."""
    report = run.run(harness.where.report, "-i", "cprof.data", "--scopes", status=None)
    return report.returncode == 0 and scopes(report.out).get("endless")


@test("kill -9 of the recorder: the program goes on, and the file has the scopes up to its last snapshot")
def _(run):
    endless = Endless(run)
    wait_for(lambda: is_told(run), "a snapshot in the file", 60)
    os.kill(endless.recorder.pid, signal.SIGKILL)
    endless.recorder.wait()
    told = endless.read_all()
    check(endless.read() > told, "the program does not go on")
    endless.recorder.stdout.close()  # it dies of its next line
    text = table(run)
    row = scope(text, "endless")
    check("# incomplete" in text, text)
    check(0 < row.calls <= told + 1, f"{row.calls} calls, {told} were told")
    check(row.total >= row.calls * 1e6 * (1 - FREQUENCY) and row.min <= row.p50 <= row.max, text)


# ---- without samples, without a library, with another one


@test("-F 0: scopes alone, no samples, and a comparison says so")
def _(run):
    done = run.record(run.program("scopes-exact"), "lengths", 1000, options=("-q", "-F", "0"))
    seen = witnesses(done.out)[0]
    seen.hold(scope(table(run), "length"))
    check("there are no samples" in run.report("--compare"), "the comparison does not say why there is none")


def add_disabled(name):
    @test(f"{name}: compiled with CPROF_DISABLE nothing of the library is asked for, and nothing is recorded")
    def _(run):
        program = run.program(name)
        alone = run.run(program, "nested", 50) if name == "scopes-disabled" else run.run(program, 100)
        check(alone.out, "no output")
        with open(program, "rb") as file:
            check(b"cprof_runtime" not in file.read(), "the program names cprof_runtime")
        run.record(program, "nested", 50, options=("-q",))
        check("no scopes in this recording" in run.run(harness.where.report, "-i", "cprof.data", "--scopes", status=None).err, "scopes")


add_disabled("scopes-disabled")
add_disabled("scopes-throw-disabled")


@test("not recorded, an annotated program does what it does, and asks for nothing")
def _(run):
    for program in ("scopes", "scopes-static"):
        rows = numbers(run.run(run.program(program), "nested", 50).out)
        equal(set(rows) - {"flush"}, {"request", "parse", "work", "write"}, "rows")


def add_plugin(program):
    @test(f"{program}: a plugin that is loaded and unloaded is one row, in the scope around it")
    def _(run):
        run.record(run.program(program), "plugin", run.program("libscopes-plugin.so"), 20, options=("-q",))
        text = counted(run, host=20, plugin=200)
        host, plugin = scope(text, "host"), scope(text, "plugin")
        nested = host.total - host.self
        check(abs(nested - plugin.total) <= 3 * ROUNDING * host.total, f"{nested} ns of host are nested, {plugin.total} ns of plugin: not one chain")
        callers = table(run, "--callers")
        check(re.search(r"plugin  \(.*was entered from:\n.*\n +200 .* host  \(", callers), callers)


add_plugin("scopes-lives")
add_plugin("scopes-lives-static")


@test("a host without the library: its plugin brings it, in a thread that was there before")
def _(run):
    library = run.program("libscopes-plugin.so")
    run.record(PYTHON, "-c", f"import ctypes; ctypes.CDLL({library!r}).plugin_work(50)", options=("-q",))
    counted(run, plugin=50)


@test("a library of another version in the program: nothing of it is called, and one line says so")
def _(run):
    done = run.record(run.program("scopes-foreign"), run.program("libscopes-plugin.so"))
    equal(done.out, "0 calls\n", "output")
    lines = [line for line in done.err.splitlines() if "libcprof" in line]
    equal(len(lines), 1, f"lines about libcprof in {done.err!r}")
    check("version" in lines[0], lines[0])


@test("a program whose library speaks another version is turned away, and one line says so")
def _(run):
    script = """
import os, socket
name, _, secret = os.environ["CPROF_SCOPES"].partition(":")
recorder = socket.socket(socket.AF_UNIX)
recorder.connect("\\0" + name)
recorder.sendall(bytes.fromhex(secret) + (99).to_bytes(4, "little") + bytes(4))
_, descriptors, _, _ = socket.recv_fds(recorder, 64, 4)
print(len(descriptors), "descriptors")
"""
    done = run.record(PYTHON, "-c", script)
    equal(done.out, "0 descriptors\n", "output")
    lines = [line for line in done.err.splitlines() if "libcprof" in line]
    equal(len(lines), 1, f"lines about libcprof in {done.err!r}")


# ---- samples and scopes

NESTED = {"request": None, "parse": "request", "work": "request", "write": "request", "flush": "request"}


def sampled_scopes(frames):
    """The frames between functions that are scopes."""
    return [frame[1:-len("]_[s]")] for frame in frames if frame.endswith("]_[s]")]


def add_folded(engine):
    @test(f"--folded --scopes, engine {engine}: scopes stand behind the function that opened them, in the order they nest")
    def _(run):
        run.record(run.program("scopes"), "nested", 1200, options=("-q", *ENGINES[engine]))
        seen = collections.Counter()
        samples = odd = 0
        for _, end, stack, count in parse_folded(run.folded("--scopes", "--annotate", "s")):
            if end is not None:
                continue
            samples += count
            chain = sampled_scopes(stack)
            # True of any one sample: a scope is in the one around it, and its function is on the stack.
            for outer, inner in zip([None, *chain], chain):
                equal(NESTED[inner], outer, f"what is around {inner} in {';'.join(stack)}")
            for name in chain:
                frame = stack.index(f"[{name}]_[s]")
                before = [other for other in stack[:frame] if not other.endswith("]_[s]")]
                equal(before[-1], "request" if name in ("write", "flush") else name, f"the frame before [{name}] in {';'.join(stack)}")
            # True of all but those few that were taken in the nanoseconds of begin and end: a burning function has its scope.
            if "burn" in stack:
                caller = stack[[i for i, frame in enumerate(stack) if frame == "burn"][0] - 1]
                odd += count * (caller == "request" or (caller in ("parse", "work") and chain[-1:] != [caller]))
            seen.update({name: count for name in chain})
        check(samples >= 50, f"{samples} samples")
        check(odd <= 2 + .01 * samples, f"{odd} of {samples} samples burn without their scope")
        check(seen["request"] >= .8 * samples and seen["write"] > 0, f"{seen}, {samples} samples")
        # --in-scope keeps just these.
        for name, count in seen.items():
            equal(sum(number for *_, number in parse_folded(run.folded("--in-scope", name))), count, f"samples in {name}")


for engine in ENGINES:
    add_folded(engine)


@test("--in-scope of a span: the samples between its begin and its end, whatever the stack")
def _(run):
    run.record(run.program("scopes"), "spans", 1500, options=("-q", "-F", "2000"))
    inside = collections.Counter()
    for *_, stack, count in parse_folded(run.folded("--in-scope", "reply")):
        inside[[frame for frame in stack if frame in ("submit", "answer", "spans")][-1]] += count
    total = sum(inside.values())
    check(total >= 50 and inside["submit"] and inside["answer"], str(inside))
    # Of four equal burns the last one, of spans itself, is not in `reply`: a quarter of all samples, were it not for --in-scope.
    check(inside["spans"] <= .1 * total, str(inside))


@test("--slowest keeps the samples of the slow instances alone")
def _(run):
    run.record(run.program("scopes"), "uneven", 800, options=("-q", "-F", "2000"))

    def by_function(*options):
        found = collections.Counter()
        for *_, stack, count in parse_folded(run.folded("--in-scope", "job", *options)):
            found.update({frame: count for frame in ("quick", "slow") if frame in stack})
        return found

    everything, slowest = by_function(), by_function("--slowest", "5")
    check(everything["quick"] >= 50 and everything["slow"] >= 50, str(everything))
    # All are told apart by their elapsed time: on a busy machine a quick one may be slow.
    check(slowest["slow"] >= 20 and slowest["quick"] <= .1 * slowest["slow"], f"{slowest} of {everything}")


main()
