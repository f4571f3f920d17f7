#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What people read of a stack: names as a programmer knows them, and the line where a frame stands."""

import re

from harness import check, main, test

SECONDS, HZ = "0.5", "4000"


def totals(run, keys, *options):
    """What the table shows per key: {(value, ...): samples in which it is in the stack}."""
    rows = {}
    for line in run.report("-s", f"{keys},total", "--no-header", "--percentage", "absolute", *options).splitlines():
        words = line.split()
        if len(words) > 3 and words[0].endswith("%"):
            rows[tuple(words[3:])] = float(words[1].rstrip("%"))
    return rows


def lines_of(rows, function):
    """Of a function's frames: the lines they stand in."""
    return {int(key[0].rsplit(":", 1)[1]) for key in rows if key[-1] == function and re.search(r":\d+$", key[0])}


@test("an interrupted frame stands where it was interrupted, a calling one where it calls")
def _(run):
    program = run.program("frames")
    wanted = dict(line.split() for line in run.run(program, "--lines").out.splitlines())
    run.record(program, SECONDS, options=("-F", HZ))
    folded = run.folded("--annotate", "k")
    check(re.search(r";interrupted;__restore_rt;on_illegal[; ]", folded), f"no frame of the trampoline by its name:\n{folded[:2000]}")
    check(re.search(r";caller;called[; ]", folded), f"called is not seen:\n{folded[:2000]}")
    rows = totals(run, "line,function")
    for function, line in wanted.items():
        # Its own instructions may be sampled too, rarely; the frames that wait stand in one line.
        seen = lines_of(rows, function)
        check(int(line) in seen, f"{function} is to be in line {line}: {seen} of {rows}")
        others = sum(share for key, share in rows.items() if key[-1] == function and not key[0].endswith(f":{line}"))
        own = sum(share for key, share in rows.items() if key[-1] == function and key[0].endswith(f":{line}"))
        check(own > 10 * others, f"{function}: {own} % in line {line}, {others} % elsewhere: {rows}")


@test("copies and parts of a function are shown as the function, the vDSO's by their names")
def _(run):
    run.record(run.program("frames"), SECONDS, options=("-F", HZ))
    functions = {key[-1]: key[:-1] for key in totals(run, "module,function")}
    check("frames_copied" in functions and "frames_part" in functions, sorted(functions))
    check(not [name for name in functions if name.startswith("frames_") and "." in name], sorted(functions))
    check("[vdso]" in run.report("-s", "module,self", "--no-header"), "nothing of the vDSO was seen")
    named = {key[-1] for key in totals(run, "module,function") if key[0] == "[vdso]"}
    check(named and named <= {"clock_gettime", "__vdso_clock_gettime"} | {name for name in named if name.startswith("__")}, named)
    check("[unknown]" not in named, named)


@test("the linker's stubs are shown as what they lead to")
def _(run):
    run.record(run.program("plt"), "2", options=("-F", HZ))  # one sample in two hundred is in a stub
    stubs = {re.sub(r"\d+", "N", key[-1]) for key in totals(run, "module,function") if key[-1].endswith("@plt")}
    check("many_N@plt" in stubs and stubs <= {"many_N@plt", "clock_gettime@plt"}, f"stubs: {stubs}")


main()
