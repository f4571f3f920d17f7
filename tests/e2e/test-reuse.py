#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Process ids that come back: another program under the number of one that ended must not be taken for it."""

import subprocess

from chains import judge
from harness import Skip, check, main, test

ROUNDS = 6

# Runs the programs in turn, each under the same process id: the kernel gives out the one after ns_last_pid, if it is free.
SCRIPT = """
import os, sys
programs, number, hits = sys.argv[1:3], 0, 0
for turn in range(int(sys.argv[3])):
    if number:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(number - 1))
    pid = os.fork()
    if pid == 0:
        program = programs[turn % 2]
        os.execv(program, [program, "0.2"])
    hits += pid == number
    number = number or pid
    os.waitpid(pid, 0)
print(hits)
"""


@test("two programs in turn under one process id: no stack of one in the other", root=True)
def _(run):
    strangers = {"plain": "aligned_32", "realign": "leaf_plain"}  # a function that each does not have
    process = run.record("/usr/bin/python3", "-c", SCRIPT, *map(run.program, strangers), str(ROUNDS), options=("-F", "4000"))
    if int(process.out) == 0:
        raise Skip("the process id was taken by somebody else each time")
    for name, stranger in strangers.items():
        chains = subprocess.run([run.program(name), "--chains"], capture_output=True, text=True, check=True).stdout
        verdict = judge(run.folded("--annotate", "k", "--comm", name), chains)
        print(f"# {name}, {process.out.strip()} ids reused:", verdict)
        check(verdict.samples > 300 and verdict.impossible == 0, f"{verdict} {verdict.complaints}")
        check(verdict.percent_complete() >= 99, f"{verdict}")
        check(set(verdict.seen) - {"main"}, f"no function of {name} was seen")
        check(stranger not in run.folded("--comm", name), f"{stranger} in {name}")


main()
