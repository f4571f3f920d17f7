# SPDX-License-Identifier: MIT
"""Runs under load, for the tests and for bench/bench-load: what a recording of one says of itself, and what was seen of it from outside."""

import os
import re
import resource
import subprocess
import threading
import time

SAMPLES = re.compile(r"(\d+) samples?, (\d+) a second of CPU time")
LOST = re.compile(r"(\d+) samples lost")
TIMES = re.compile(r"CPU time ([\d.]+) s, of which ([\d.]+) s known thread by thread")
COUNTS = re.compile(r"(\d+) processes, (\d+) threads")
COVERAGE = re.compile(r"^# coverage: +([\d.]+) %: ([\d.]+) s sampled of the ([\d.]+) s", re.M)
TOO_SHORT = re.compile(r": too short to sample: (\d+) tasks?, ([\d.]+) s")
LOST_LOG = "CPROF_TEST_LOST_LOG"  # tests/programs/lost-log.c


class Memory(threading.Thread):
    """Follows a process's resident memory: its peak, and what it was from time to time."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.curve = pid, 0, []
        self.start()

    def run(self):
        try:
            while True:
                with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                    text = file.read()
                peak, now = re.search(r"VmHWM:\s+(\d+)", text), re.search(r"VmRSS:\s+(\d+)", text)
                if not peak:
                    return  # a zombie
                self.peak = int(peak[1]) / 1024
                self.curve.append((time.monotonic(), int(now[1]) / 1024))
                time.sleep(.05)
        except OSError:
            return

    def at(self, share):
        """MB when this share of the time had passed."""
        if not self.curve:
            return 0
        moment = self.curve[0][0] + share * (self.curve[-1][0] - self.curve[0][0])
        return min(self.curve, key=lambda point: abs(point[0] - moment))[1]


class Load:
    """One recording. `start` is subprocess.Popen or what takes the same arguments."""

    def __init__(self, start, record, report, command, options=(), data="cprof.data", timeout=120, **more):
        began = time.monotonic()
        process = start([record, "-v", *map(str, options), "-o", data, "--", *map(str, command)], **more)
        memory = Memory(process.pid)
        self.out, self.err = process.communicate(timeout=timeout)
        memory.join()
        self.wall, self.status, self.memory = time.monotonic() - began, process.returncode, memory
        found = SAMPLES.search(self.err)
        self.samples = int(found[1]) if found else 0
        lost = LOST.search(self.err)
        self.lost = int(lost[1]) if lost else 0
        times, counts = TIMES.search(self.err), COUNTS.search(self.err)
        self.exact, self.told = map(float, times.groups()) if times else (0, 0)
        self.processes, self.threads = map(int, counts.groups()) if counts else (0, 0)
        cwd = more.get("cwd")
        self.report = subprocess.run([report, "-i", data], cwd=cwd, capture_output=True, text=True, errors="replace", check=False).stdout
        coverage = COVERAGE.search(self.report)
        self.sampled, self.visible = map(float, coverage.groups()[1:]) if coverage else (0, 0)
        shorts = TOO_SHORT.findall(self.report)
        self.short_tasks, self.short_seconds = sum(int(tasks) for tasks, _ in shorts), sum(float(seconds) for _, seconds in shorts)


def limit_memlock(size):
    """For preexec_fn."""
    return lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))


def lost_environment(library, log):
    """Has the recorder's reads of its perf events logged: what the kernel itself counts as lost."""
    environment = dict(os.environ, LD_PRELOAD=library)
    environment[LOST_LOG] = log
    environment["ASAN_OPTIONS"] = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
    return environment


def kernel_lost(log):
    """The sum over all events of the last count that the kernel gave for each."""
    last = {}
    with open(log, encoding="ascii") as file:
        for line in file:
            pid, fd, lost = map(int, line.split())
            last[pid, fd] = lost
    return sum(last.values())
