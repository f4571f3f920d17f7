# SPDX-License-Identifier: MIT
"""cprof and its peers, as bench/run drives them: how each records a command, and how each gets from its file to folded stacks."""

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess

HZ = 997
ROOTS = re.compile(r"(_start|_dl_start_user|(__)?clone3?|__GI___clone3?|__clone_internal|thread_start|start_thread)$")


class Profiler:
    """`record(command, file)` is a command line. `folded(command, file)` is a shell command that prints folded stacks, or None: then
    `count(file)` is (rooted, samples)."""

    name = None
    needs = ()

    def missing(self):
        return [program for program in self.needs if not shutil.which(program)]

    def record(self, command, file):
        raise NotImplementedError

    def folded(self, command, file):
        return None

    def count(self, file):
        raise NotImplementedError

    def stacks(self, text):
        """(rooted, samples) of folded text."""
        rooted = samples = 0
        for line in text.splitlines():
            stack, _, count = line.rpartition(" ")
            frames = stack.split(";")
            samples += int(count)
            rooted += int(count) * bool(len(frames) > 1 and self.is_rooted(frames))
        return rooted, samples

    def unknown(self, text):
        """% of frames in folded text without a name."""
        frames = unknown = 0
        for line in text.splitlines():
            stack, _, count = line.rpartition(" ")
            names = stack.split(";")[1:]
            frames += len(names) * int(count)
            unknown += sum(name.startswith("[unknown") for name in names) * int(count)
        return 100 * unknown / max(frames, 1)

    def is_rooted(self, frames):
        # A stripped program's _start has no name, but what it calls has.
        return bool(ROOTS.match(frames[1])) or (len(frames) > 2 and frames[2].startswith("__libc_start_main"))


class Cprof(Profiler):
    name = "cprof"

    def __init__(self, build, options=()):
        self.recorder = os.path.join(build, "sampler", "cprof-record")
        self.report = os.path.join(build, "report", "cprof-report")
        self.needs = (self.recorder, self.report)
        self.options = options
        self.name = " ".join(("cprof", *options))

    def record(self, command, file):
        return [self.recorder, "-q", "-F", str(HZ), *self.options, "-o", file, "--", *command]

    def folded(self, command, file):
        return f"{shlex.quote(self.report)} -i {shlex.quote(file)} --folded"

    def is_rooted(self, frames):
        # It says so itself; a frame named by its FDE alone is the root of a stripped program as well.
        return not frames[1].startswith("[") and (super().is_rooted(frames) or frames[1].startswith("fun_") or "entry_SYSCALL" in frames[1])


class Perf(Profiler):
    needs = ("perf", "inferno-collapse-perf")

    def __init__(self, graph):
        self.graph = graph
        self.name = f"perf {graph}"

    def record(self, command, file):
        return ["perf", "record", "-q", "--no-bpf-event", "-e", "cpu-clock", "-F", str(HZ), "--call-graph", self.graph, "-o", file, "--", *command]

    def folded(self, command, file):
        return f"perf script -f --no-inline --max-stack 1024 -i {shlex.quote(file)} 2>/dev/null | inferno-collapse-perf 2>/dev/null"

    def stacks(self, text):
        # inferno counts periods in samples' stead when perf prints them: one sample is 1001001 ns.
        rooted, weight = super().stacks(text)
        scale = HZ / 1e9 if weight > 1e7 else 1
        return rooted * scale, weight * scale


class Samply(Profiler):
    name = "samply"
    needs = ("samply",)

    def record(self, command, file):
        return ["samply", "record", "--save-only", "--no-open", "-r", str(HZ), "-o", file, "--", *command]

    def count(self, file):
        """(rooted, samples) from its profile: a stack is rooted if its outermost frame lies at a program's entry or in a clone."""
        with (gzip.open if file.endswith(".gz") else open)(file, "rb") as stream:
            profile = json.load(stream)
        shared, rooted, samples, known = profile.get("shared", {}), 0, 0, {}
        for thread in profile["threads"]:
            table = lambda name: thread.get(name) or shared.get(name)  # noqa: E731 one thread's or all threads' tables
            stacks, frames, functions, resources = (table(n) for n in ("stackTable", "frameTable", "funcTable", "resourceTable"))
            roots = self.roots(stacks)
            for stack in thread["samples"]["stack"]:
                if stack is None:
                    continue
                samples += 1
                frame = stacks["frame"][roots[stack]]
                resource = functions["resource"][frames["func"][frame]]
                library = resources["lib"][resource] if resource is not None and resource >= 0 else None
                place = (library, frames["address"][frame])
                if place not in known:
                    known[place] = library is not None and is_start(profile["libs"][library]["path"], place[1])
                rooted += known[place]
        return rooted, samples

    @staticmethod
    def roots(stacks):
        roots = []
        for index, prefix in enumerate(stacks["prefix"]):
            roots.append(index if prefix is None else roots[prefix])
        return roots


def is_start(path, address):
    """Is this address, counted from the file's first segment, in its entry code, or in a function that threads start in?"""
    headers = subprocess.run(["readelf", "-hlW", path], capture_output=True, text=True).stdout
    entry = re.search(r"Entry point address:\s+0x([0-9a-f]+)", headers)
    base = re.search(r"^\s+LOAD\s+0x[0-9a-f]+ 0x([0-9a-f]+)", headers, re.M)
    address += int(base[1], 16) if base else 0
    if entry and 0 <= address - int(entry[1], 16) < 64:
        return True
    name = subprocess.run(["eu-addr2line", "-f", "-e", path, hex(address)], capture_output=True, text=True).stdout.split("\n")[0]
    return bool(ROOTS.match(name.split("@")[0]))


class Gperftools(Profiler):
    """Inside the target: nothing outside it costs anything, and the target pays. Each process writes a profile of its own."""

    name = "gperftools"
    library = "/usr/lib/x86_64-linux-gnu/libprofiler.so"
    needs = ("google-pprof",)

    def missing(self):
        return super().missing() + ([] if os.path.exists(self.library) else [self.library])

    def record(self, command, file):
        return ["env", f"LD_PRELOAD={self.library}", f"CPUPROFILE={file}", f"CPUPROFILE_FREQUENCY={HZ}", *command]

    def folded(self, command, file):
        # The mappings in the profile name the program; the argument is for those that lack them. "app" is the frame that others begin with.
        program = shlex.quote(shutil.which(command[0]) or command[0])
        return f"for file in {shlex.quote(file)}*; do google-pprof --collapsed {program} $file 2>/dev/null; done | sed 's/^/app;/'"


def all_profilers(build):
    return [Cprof(build), Cprof(build, ("--stack-size", "16384")), Perf("fp"), Perf("dwarf,8192"), Perf("dwarf,65528"), Samply(), Gperftools()]
