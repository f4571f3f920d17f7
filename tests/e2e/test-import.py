#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""perf.data from the perf of this machine: the same samples, processes and threads as perf counts, and not one impossible stack."""

import os
import subprocess

from chains import judge
from harness import Skip, check, equal, main, need, perf_paranoid, test

SECONDS, HZ = "0.5", "997"


def perf_record(run, *options, command, output="perf.data"):
    need("perf")
    if perf_paranoid() > 2:
        raise Skip("perf_event_paranoid is above 2")
    process = run.run("perf", "record", "-q", "-F", HZ, "-e", "cpu-clock:u", *options, "-o", output, "--", *command, status=None)
    if process.returncode:
        raise Skip(f"perf record fails here: {process.err.strip().splitlines()[-1:]}")


def of_perf(run, fields, *options, data="perf.data"):
    return run.run("perf", "script", "--no-inline", "-i", data, "-F", fields, *options).out


def from_perf(run, *options, data="perf.data", status=0):
    from harness import where
    return run.run(where.record, "--from", data, "-o", "cprof.data", *options, status=status)


@test("known chains recorded by perf: no impossible stack, the samples and threads of perf")
def _(run):
    program = run.program("threads")
    chains = subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout
    perf_record(run, "--call-graph", "dwarf,65528", command=[program, SECONDS])
    from_perf(run)
    lines = of_perf(run, "pid,tid").split()
    folded = run.folded("--annotate", "k")
    verdict = judge(folded, chains)
    check(verdict.impossible == 0, f"{verdict}: {verdict.complaints}")
    equal(sum(int(line.rsplit(" ", 1)[1]) for line in folded.splitlines()), len(lines), "samples")
    header = run.report().splitlines()
    counted = next(line for line in header if line.startswith("# samples:"))
    check(f" {len(lines)}" in counted, f"{counted}, and perf counts {len(lines)}")


@test("fork and exec recorded by perf: the right program's mappings")
def _(run):
    program = run.program("process")
    chains = subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout
    perf_record(run, "--call-graph", "dwarf,16384", command=[program, SECONDS])
    from_perf(run)
    verdict = judge(run.folded("--annotate", "k"), chains)
    check(verdict.impossible == 0, f"{verdict}: {verdict.complaints}")
    check(verdict.percent_complete() >= 99, str(verdict))


@test("code made at run time is named by the dump that its process mapped")
def _(run):
    program = run.program("jit-dump")
    chains = subprocess.run([program, "--chains"], capture_output=True, text=True, check=True).stdout
    perf_record(run, "--call-graph", "dwarf,16384", command=["env", "KEEP_DUMP=1", program, SECONDS])
    dumps = {word for line in of_perf(run, "comm,event", "--show-mmap-events").splitlines() for word in line.split() if word.endswith(".dump")}
    try:
        from_perf(run)
    finally:
        for path in dumps:
            os.unlink(path)
    equal(len(dumps), 1, "dumps mapped")
    verdict = judge(run.folded("--annotate", "k", "--comm", "jit-dump"), chains)
    check(verdict.impossible == 0, f"{verdict}: {verdict.complaints}")
    check(verdict.seen.get("jit_inner", 0) + verdict.seen.get("from_jit", 0) > 0, f"functions seen: {verdict.seen}")


@test("many short processes: samples, processes and threads as perf counts them")
def _(run):
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done' & ls -lR /usr/include >/dev/null; done; wait"
    perf_record(run, "--call-graph", "dwarf,4096", command=["sh", "-c", script])
    from_perf(run)
    lines = [tuple(line.replace("/", " ").split()) for line in of_perf(run, "pid,tid").splitlines()]
    equal(sum(int(line.rsplit(" ", 1)[1]) for line in run.folded().splitlines()), len(lines), "samples")
    for key, wanted in (("pid", {pid for pid, _ in lines}), ("tid", {tid for _, tid in lines})):
        table = run.report("-s", f"{key},samples", "--no-header").splitlines()
        equal({line.split()[-1] for line in table if line and not line.startswith("#")}, wanted, key)
    forks = of_perf(run, "comm,tid,event", "--show-task-events").count("PERF_RECORD_FORK")
    counted = next(line for line in run.report().splitlines() if line.startswith("# threads:"))
    check(f" {forks + 1} in {forks + 1} processes" in counted, f"{counted}, and perf saw {forks} forks")


@test("file, compressed and pipe mode give the same functions")
def _(run):
    program = run.program("plain")
    leaves = []
    perf_record(run, "--call-graph", "dwarf,4096", command=[program, SECONDS])
    from_perf(run)
    leaves.append({line.rsplit(" ", 1)[0].split(";")[-1] for line in run.folded().splitlines()})
    perf_record(run, "-z", "--call-graph", "dwarf,4096", command=[program, SECONDS], output="z.data")
    from_perf(run, data="z.data")
    leaves.append({line.rsplit(" ", 1)[0].split(";")[-1] for line in run.folded().splitlines()})
    from harness import where
    run.run("sh", "-c", f"perf record -q -F {HZ} -e cpu-clock:u --call-graph dwarf,4096 -o - {program} {SECONDS} | "
            f"{where.record} --from - -o cprof.data")
    leaves.append({line.rsplit(" ", 1)[0].split(";")[-1] for line in run.folded().splitlines()})
    common = leaves[0] & leaves[1] & leaves[2]
    check(len(common) >= 5, f"in common: {common} of {leaves}")


@test("a cut file gives what it holds and says so; something else is refused")
def _(run):
    perf_record(run, "--call-graph", "dwarf,4096", command=[run.program("plain"), SECONDS])
    with open(run.path("perf.data"), "rb") as file:
        content = file.read()
    with open(run.path("cut.data"), "wb") as file:
        file.write(content[:len(content) * 2 // 3])
    said = from_perf(run, data="cut.data").err
    check("cut short" in said, said)
    check(run.folded(), "nothing was read")
    run.write("text.data", "this is not a perf.data file at all\n")
    said = from_perf(run, data="text.data", status=125).err
    equal(said, "cprof-record: cannot read text.data: it is not a perf.data file\n", "stderr")
    said = from_perf(run, data="missing.data", status=125).err
    check("missing.data: No such file" in said, said)


main()
