#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layout is clang-format's. Other versions than 14 lay out differently, so they are not asked."""

import re
import shutil
import subprocess

from source import CODE, ROOT, Tap, files

WANTED = 14


def version(program):
    match = re.search(r"version (\d+)", subprocess.run([program, "--version"], capture_output=True, text=True).stdout)
    return int(match[1]) if match else 0


tap = Tap()
name = "clang-format has nothing to change"
program = shutil.which(f"clang-format-{WANTED}") or shutil.which("clang-format")
if not program:
    tap.skip(name, "clang-format is not installed")
elif version(program) != WANTED:
    tap.skip(name, f"this is clang-format {version(program)}; {WANTED} decides")
else:
    paths = files(CODE, ".c", ".h", ".cpp")
    done = subprocess.run([program, "--dry-run", "-Werror", *paths], cwd=ROOT, capture_output=True, text=True)
    tap.case(name, [line for line in done.stderr.splitlines() if ": error:" in line])
tap.end()
