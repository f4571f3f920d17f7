#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a reader may count on in every file: a licence line, a bounded length, block comments, no call that this project forbids."""

import re

from source import CODE, ROOMS, TEXT, Tap, files, read, without_comments_and_strings

LENGTH_MAX = 800

# Anywhere: unbounded or racy. In the libraries also: talking to people or ending the process, which only the programs do.
FORBIDDEN = {
    "gets": "unbounded", "strcpy": "unbounded", "strcat": "unbounded", "sprintf": "unbounded", "vsprintf": "unbounded",
    "tmpnam": "racy", "mktemp": "racy", "alloca": "unbounded stack", "system": "starts a shell", "popen": "starts a shell",
    "atoi": "hides errors", "atol": "hides errors", "strtok": "keeps hidden state",
}
FORBIDDEN_IN_LIBRARIES = {
    "printf": "libraries never print", "puts": "libraries never print", "perror": "libraries never print",
    "exit": "libraries never end the process", "_exit": "libraries never end the process",
    "err": "libraries never print", "errx": "libraries never print", "warn": "libraries never print", "warnx": "libraries never print",
}
LIBRARIES = ["base", "elf", "process", "symbol", "unwind", "recording", "pipeline"]

# A target of tests/programs is there to do what a project should not.
PROGRAMS_UNDER_TEST = "tests/programs/"


def missing_licence():
    paths = files(TEXT, ".c", ".h", ".cpp", ".py", ".sh", ".S") + [p for p in files(["scripts", ".ci", "bench"]) if "." not in p.split("/")[-1]]
    return [f"{path}: no SPDX line at the top" for path in paths
            if not any("SPDX-License-Identifier: MIT" in line for line in read(path).splitlines()[:3])]


def too_long():
    lengths = [(len(read(path).splitlines()), path) for path in files(TEXT, ".c", ".h", ".cpp", ".py", ".sh")]
    return [f"{path}: {length} lines; at most {LENGTH_MAX}" for length, path in lengths if length > LENGTH_MAX]


def lines_of_code(folders):
    for path in files(folders, ".c", ".h"):
        if not path.startswith(PROGRAMS_UNDER_TEST):
            for number, line in enumerate(without_comments_and_strings(read(path)).splitlines(), 1):
                yield path, number, line


def line_comments():
    return [f"{path}:{number}: a // comment" for path, number, line in lines_of_code(CODE) if "//" in line]


def forbidden_calls(folders, calls):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(calls) + r")\s*\(")
    wrong = []
    for path, number, line in lines_of_code(folders):
        for match in pattern.finditer(line):
            wrong.append(f"{path}:{number}: {match[1]}(): {calls[match[1]]}")
    return wrong


def bad_whitespace():
    wrong = []
    for path in files(TEXT, ".c", ".h", ".cpp", ".py", ".sh", ".S", "meson.build"):
        text = read(path)
        wrong += [f"{path}:{n}: trailing white space or a tab" for n, line in enumerate(text.splitlines(), 1)
                  if line != line.rstrip() or "\t" in line and not path.endswith(".S")]
        wrong += [f"{path}: no newline at the end"] if text and not text.endswith("\n") else []
    return wrong


tap = Tap()
tap.case("every source names its licence", missing_licence())
tap.case(f"no source is longer than {LENGTH_MAX} lines", too_long())
tap.case("comments in C are block comments", line_comments())
tap.case("no forbidden call", forbidden_calls(CODE, FORBIDDEN))
tap.case("libraries neither print nor exit", forbidden_calls(LIBRARIES, FORBIDDEN_IN_LIBRARIES))
tap.case("white space is clean", bad_whitespace())
tap.end()
