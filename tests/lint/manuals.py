#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every long option that --help names is in the man page, and the program knows all that the page has. Usage: manuals.py PROGRAM..."""

import os
import re
import subprocess
import sys

from source import Tap, read

LONG_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
# Spelled out nowhere, understood everywhere.
COMMON = {"help", "version"}


def options_of_help(program):
    return set(LONG_OPTION.findall(subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout))


def options_of_page(name):
    text = re.sub(r"\\f[A-Z]|\\&", "", read(f"docs/man/{name}.1")).replace("\\-", "-")
    # Options of the program are set in tags and synopsis; elsewhere other programs' may be named.
    lines = text.splitlines()
    tags = [lines[i + 1] for i, line in enumerate(lines[:-1]) if line.startswith((".TP", ".TQ"))]
    return set(LONG_OPTION.findall("\n".join(tags)))


def is_known(program, option):
    """getopt_long's table has it as a string; linkers let strings share their tails."""
    with open(program, "rb") as file:
        return option.encode() + b"\0" in file.read()


tap = Tap()
for program in sys.argv[1:]:
    name = os.path.basename(program)
    told, written = options_of_help(program) - COMMON, options_of_page(name) - COMMON
    tap.case(f"{name}: --help and man page agree",
             [f"--{option} is not in the man page" for option in sorted(told - written)]
             + [f"--{option} is in the man page alone" for option in sorted(written - told) if not is_known(program, option)])
tap.end()
