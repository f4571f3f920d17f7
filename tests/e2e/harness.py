# SPDX-License-Identifier: MIT
"""End-to-end tests: real runs of the programs. Each test has a directory of its own; results are TAP.

    from harness import *

    @test("the exit status is the target's")
    def _(run):
        run.record("sh", "-c", "exit 7", status=7)

    main()

A test file is called with --record, --report, --flamegraph, --programs, --examples (where the things to test are) and optionally test names to run.
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

TIMEOUT = 600  # for what hangs

_tests = []
where = argparse.Namespace()  # the arguments: record, report, flamegraph, programs, examples; filled by main


class Skip(Exception):
    """The test cannot be made here; the message says why."""


def test(name, root=False, user=False):
    """`root`: only root can do this; `user`: only an ordinary user can."""

    def add(function):
        _tests.append((name, root, user, function))
        return function

    return add


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, not {wanted!r}")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def perf_paranoid():
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as file:
        return int(file.read())


def deny_perf(error):
    """Does in a child what container runtimes do: a seccomp filter answers perf_event_open with `error`."""
    PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
    LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS of seccomp_data.nr, BPF_JMP|JEQ|K, BPF_RET|K
    PERF_EVENT_OPEN, ERRNO, ALLOW = 298, 0x00050000 | error, 0x7fff0000
    program = b"".join(struct.pack("HBBI", *line) for line in (
        (LOAD_NUMBER, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, PERF_EVENT_OPEN), (RETURN, 0, 0, ERRNO), (RETURN, 0, 0, ALLOW)))
    code = ctypes.create_string_buffer(program)
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    zero = ctypes.c_ulong(0)
    if prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, zero, zero):
        raise OSError(ctypes.get_errno(), "seccomp")


class Run:
    """One test's directory and what it starts there."""

    def __init__(self, directory):
        self.directory = directory
        self.started = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def start(self, *command, **options):
        """A process that is killed at the end of the test, with all of its session, if it still runs."""
        options = {"cwd": self.directory, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "start_new_session": True, "errors": "surrogateescape"} | options
        process = subprocess.Popen([str(word) for word in command], **options)
        self.started.append(process)
        return process

    def run(self, *command, status=0, **options):
        """Runs to the end; status None: any."""
        process = self.start(*command, **options)
        try:
            process.out, process.err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{' '.join(map(str, command))}: still running after {TIMEOUT} s\n{out}{err}") from None
        if status is not None and process.returncode != status:
            raise AssertionError(f"{' '.join(map(str, command))}: exit status {process.returncode}, not {status}\n{process.out}{process.err}")
        return process

    def record(self, *command, options=(), status=0, output="cprof.data", **more):
        return self.run(where.record, "-o", output, *options, "--", *command, status=status, **more)

    def report(self, *options, data="cprof.data", **more):
        return self.run(where.report, "-i", data, *options, **more).out

    def flamegraph(self, *options, text=None, status=0):
        """Draws the text, or the files among the options; the result's out is the SVG, in bytes, and err is text."""
        done = subprocess.run([where.flamegraph, *map(str, options)], input=text, cwd=self.directory, capture_output=True, timeout=TIMEOUT,
                              check=False)
        done.out, done.err = done.stdout, done.stderr.decode(errors="surrogateescape")
        equal(done.returncode, status, f"exit status of cprof-flamegraph ({done.err.strip()})")
        return done

    def folded(self, *options, data="cprof.data"):
        return self.report("--folded", *options, data=data)

    def program(self, name):
        path = os.path.join(where.programs, name)
        if not os.path.exists(path):
            raise Skip(f"the compiler here cannot build {name}")
        return path

    def end(self):
        for process in self.started:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(condition, what, seconds=30):
    """Polls: for things that happen in another process. A bound on a hang, not a measurement."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def _one(number, name, root, user, function):
    is_root = os.geteuid() == 0
    if root and not is_root:
        print(f"ok {number} - {name} # SKIP only root can do this")
        return True
    if user and is_root:
        return None  # the same file is run as an ordinary user too
    directory = tempfile.mkdtemp(prefix="cprof-e2e-")
    run = Run(directory)
    try:
        function(run)
        print(f"ok {number} - {name}")
        return True
    except Skip as reason:
        print(f"ok {number} - {name} # SKIP {reason}")
        return True
    except Exception as error:  # whatever went wrong is this test's result
        text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
        print(f"not ok {number} - {name}")
        print(f"{name}:\n{text}", file=sys.stderr)  # meson shows a failed test's stderr, and keeps TAP's comments to itself
        return False
    finally:
        run.end()
        shutil.rmtree(directory, ignore_errors=True)
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    for option in ("record", "report", "flamegraph", "make-recording", "programs", "examples"):
        parser.add_argument("--" + option, required=True, type=os.path.abspath)
    for option in ("agent", "library"):
        parser.add_argument("--" + option, type=os.path.abspath, help="libcprof-agent.so, libcprof.so.0: found by themselves; as-user.py copies them")
    parser.add_argument("names", nargs="*", help="run the tests whose names contain one of these")
    parser.parse_args(namespace=where)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    count = failed = 0
    for name, root, user, function in _tests:
        if where.names and not any(part in name for part in where.names):
            continue
        good = _one(count + 1, name, root, user, function)
        count += good is not None
        failed += good is False
    print(f"1..{count}")
    sys.exit(failed > 0)
