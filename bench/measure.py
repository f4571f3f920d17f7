# SPDX-License-Identifier: MIT
"""One profiled run of a command, and what it cost: the bench's instrument."""

import contextlib
import glob
import os
import resource
import statistics
import subprocess
import threading
import time

import profilers

# Runs the target and leaves its CPU time, in the format of bash's `times`, and by its own mtime when it ended.
TARGET = '"${@:2}" >/dev/null 2>&1; times >"$1"'


class Memory(threading.Thread):
    """Follows a process's peak resident memory until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.going = pid, 0, True

    def run(self):
        while self.going:
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                self.peak = max([self.peak] + [int(line.split()[1]) for line in file if line.startswith("VmHWM")])
            time.sleep(.01)


def seconds_of_children(path):
    """The second line of bash's `times`: 0m1.234s 0m0.056s."""
    with open(path, encoding="ascii") as file:
        words = file.read().split("\n")[1].split()
    return sum(int(word.split("m")[0]) * 60 + float(word.split("m")[1][:-1]) for word in words)


def used_by_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_once(profiler, command, directory, user=None):
    """One recording, or a bare run when there is no profiler. {"error": why} if nothing was recorded."""
    file, times = (os.path.join(directory, name) for name in ("profile.json.gz" if profiler and profiler.name == "samply" else "profile", "times"))
    for path in (times, *glob.glob(os.path.join(directory, "profile*"))):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    target = ["bash", "-c", TARGET, "target", times, *command]
    if isinstance(profiler, profilers.Gperftools):  # not the shell as well
        target = ["bash", "-c", TARGET, "target", times, *profiler.record(command, file)]
    elif profiler:
        target = profiler.record(target, file)
    identity = {"user": user, "group": "nogroup", "env": dict(os.environ, HOME=directory)} if user else {}
    before, started = used_by_children(), time.time()
    process = subprocess.Popen(target, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               errors="replace", **identity)
    memory = Memory(process.pid)
    memory.start()
    error = process.communicate()[1]
    ended = time.time()
    memory.going = False
    if (profiler and not os.path.exists(file)) or not os.path.exists(times):
        return {"error": (error.strip().splitlines() or ["no file"])[-1]}
    cpu, target_cpu = used_by_children() - before, seconds_of_children(times)
    return {"target": target_cpu, "recorder": cpu - target_cpu, "wall": ended - started, "after": ended - os.path.getmtime(times),
            "memory": memory.peak / 1024, "bytes": os.path.getsize(file) if profiler else 0, "file": file}


def measure_stacks(profiler, command, result):
    """Adds samples, the share that is rooted, and what it costs to get to folded stacks."""
    shell = profiler.folded(command, result["file"])
    if shell:
        before = used_by_children()
        text = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, errors="replace").stdout
        result["folding"] = used_by_children() - before
        rooted, samples = profiler.stacks(text)
        result["unknown"] = profiler.unknown(text)
    else:
        rooted, samples = profiler.count(result["file"])
    result |= {"samples": samples, "rooted": 100 * rooted / max(samples, 1)}


def median(results, key):
    values = [result[key] for result in results if key in result]
    return statistics.median(values) if values else None


def median_interval(values, confidence=.95):
    """(least, most) between which the median lies, whatever the distribution: by order statistics."""
    ordered, n = sorted(values), len(values)
    outside, rank, term = 0.0, 0, .5 ** n
    while outside + term <= (1 - confidence) / 2:  # the chance that so many lie below the median
        outside += term
        term = term * (n - rank) / (rank + 1)
        rank += 1
    return ordered[max(rank - 1, 0)], ordered[min(n - rank, n - 1)]
