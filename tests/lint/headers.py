#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each header compiles by itself, as the first thing a file includes; cprof.h also as C++17. Usage: headers.py CC [FLAG...]"""

import subprocess
import sys
import tempfile

from source import ROOMS, ROOT, Tap, files


def complaints(compiler, header, language, standard, flags):
    with tempfile.NamedTemporaryFile("w", suffix=".c", prefix="header-") as source:
        source.write(f'#include "{header}"\n')
        source.flush()
        command = [compiler, "-x", language, f"-std={standard}", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", ROOT]
        done = subprocess.run(command + flags + [source.name], capture_output=True, text=True)
    return [f"{header} as {standard}: {line}" for line in done.stderr.splitlines()] if done.returncode else []


tap = Tap()
compiler, flags = sys.argv[1], sys.argv[2:]
wrong = []
for header in files([room for room in ROOMS if room != "include"], ".h"):
    wrong += complaints(compiler, header, "c", "gnu11", flags)
tap.case("every header stands by itself", wrong)
public = files(["include"], ".h")
if public:
    wrong = []
    for header in public:
        wrong += complaints(compiler, header, "c", "c11", ["-Wpedantic"]) + complaints(compiler, header, "c++", "c++17", ["-Wpedantic"])
    tap.case("the public header is plain C11 and C++17", wrong)
tap.end()
