#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cprof-report as a program: exit status, messages, pipes, full disks, and the form of its folded stacks (the tools that read them:
tests/e2e/test-consumers.py).

program.py CPROF-REPORT MAKE-RECORDING
"""

import os
import re
import subprocess
import sys
import tempfile
import traceback
import xml.etree.ElementTree

REPORT, MAKE = map(os.path.abspath, sys.argv[1:3])
SAMPLES = 2 * 28 * 28 + 1
CASES = []


def case(function):
    CASES.append(function)
    return function


def report(*arguments, **options):
    return subprocess.run([REPORT, *arguments], capture_output=True, timeout=60, **options)


def check(condition, *shown):
    if not condition:
        raise AssertionError(" ".join(repr(s) for s in shown))


@case
def the_table_goes_to_standard_output_and_nothing_else_is_said():
    r = report()
    check(r.returncode == 0 and not r.stderr, r)
    check(r.stdout.startswith(b"# command: \\x1b]0;title\\x07 ./app\n"), r.stdout[:200])
    check(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", r.stdout), r.stdout)


@case
def wrong_usage_is_status_2_and_help_is_0():
    for arguments in (["--nonsense"], ["--sort", "x"], ["extra"], ["-i"], ["--comm", ""], ["--pid", ","]):
        r = report(*arguments)
        check(r.returncode == 2 and not r.stdout and r.stderr.count(b"\n") == 1, arguments, r)
    r = report("--help")
    check(r.returncode == 0 and r.stdout.startswith(b"usage: cprof-report") and not r.stderr, r)
    check(re.fullmatch(rb"cprof-report \d+\.\d+\.\d+\n", report("--version").stdout))


@case
def what_cannot_be_read_is_status_1_and_one_line():
    with open("text", "w") as file:
        file.write("not a recording\n" * 100)
    open("empty", "w").close()
    os.mkfifo("fifo")
    for name, says in (("fifo", b"no regular file"), ("absent", b"cprof-record COMMAND"), ("text", b"not a recording"), ("empty", b"not a recording"), (".", b"cannot read")):
        r = report("-i", name)
        check(r.returncode == 1 and not r.stdout and r.stderr.count(b"\n") == 1 and says in r.stderr, name, r)
    r = report("-i", "evil\x1b[31m\nname")
    check(b"\x1b" not in r.stderr and r.stderr.count(b"\n") == 1, r)


@case
def a_truncated_recording_is_shown_as_far_as_it_goes():
    with open("cprof.data", "rb") as file:
        data = file.read()
    for length in (len(data) - 1, len(data) * 3 // 4, len(data) // 2):
        with open("cut", "wb") as file:
            file.write(data[:length])
        r = report("-i", "cut")
        check(r.returncode in (0, 1), length, r)
        if r.returncode == 0:
            check(b"# incomplete:" in r.stdout or b"# damaged:" in r.stdout, length, r.stdout[:1000])


@case
def a_full_disk_is_status_1():
    for arguments in (["-o", "/dev/full"], ["-o", "/nonexistent/file"]):
        r = report(*arguments)
        check(r.returncode == 1 and r.stderr.count(b"\n") == 1 and arguments[1].encode() in r.stderr, r)
    with open("/dev/full", "w") as full:
        r = subprocess.run([REPORT], stdout=full, stderr=subprocess.PIPE, timeout=60)
    check(r.returncode == 1 and b"No space left" in r.stderr, r)


@case
def a_reader_that_leaves_early_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    r = subprocess.run([REPORT, "--folded"], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    check(r.returncode == 0 and b"write" not in r.stderr, r)


@case
def an_output_file_holds_what_standard_output_would():
    check(report("--folded", "-o", "out").returncode == 0)
    with open("out", "rb") as file:
        check(file.read() == report("--folded").stdout)


@case
def the_recording_is_never_written_over():
    os.link("cprof.data", "link.data")
    with open("cprof.data", "rb") as file:
        before = file.read()
    r = report("--folded", "-o", "link.data")
    check(r.returncode == 1 and r.stderr.count(b"\n") == 1, r)
    with open("cprof.data", "rb") as file:
        check(file.read() == before)


def folded():
    r = report("--folded", "--full-names")
    check(r.returncode == 0, r)
    return r.stdout


@case
def every_line_is_in_the_subset_all_consumers_share():
    text = folded()
    check(text.decode("utf-8"))  # valid, and not empty
    lines = text.split(b"\n")
    check(lines.pop() == b"")
    stacks = []
    for line in lines:
        check(len(line) + 1 < 65536 and not re.search(rb"[\x00-\x1f\x7f]", line), line)
        stack, _, count = line.rpartition(b" ")
        check(count.isdigit() and int(count) > 0, line)
        check(b";" in stack and all(stack.split(b";")) and not stack.startswith(b"#"), line)
        check(not re.search(rb"\s\d+(\.\d*)?\s*$", stack), line)  # flamegraph.pl would see two counts
        stacks.append(stack)
    check(stacks == sorted(set(stacks)))
    check(sum(int(line.rpartition(b" ")[2]) for line in lines) == SAMPLES)


@case
def the_flame_graph_is_well_formed_and_draws_every_sample():
    r = report("--svg", "--title", "a <b> & c")
    check(r.returncode == 0, r.stderr)
    root = xml.etree.ElementTree.fromstring(r.stdout)
    texts = [element.text for element in root.iter() if element.text]
    check("a <b> & c" in texts, texts[:20])
    check(any(re.search(rf"\b{SAMPLES}\b", text) for text in texts), SAMPLES)


@case
def a_flame_graph_of_nothing_says_so():
    r = report("--svg", "--comm", "nobody has this name")
    check(r.returncode == 0 and b"no samples" in r.stderr, r.stderr)
    xml.etree.ElementTree.fromstring(r.stdout)


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        subprocess.run([MAKE, "cprof.data"], check=True)
        print(f"1..{len(CASES)}")
        for number, function in enumerate(CASES, 1):
            try:
                function()
                print(f"ok {number} - {function.__name__}")
            except Exception:
                failures += 1
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
                print(f"not ok {number} - {function.__name__}")
        os.chdir("/")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
