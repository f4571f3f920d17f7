# SPDX-License-Identifier: MIT
"""Commands under cprof-record that a test talks to while they run, and what /proc says of them."""

import re
import select

import harness
from harness import check, equal

PYTHON = "/usr/bin/python3"
BUSY = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
QUIET = ("-q",)
# Says each signal it gets, and ends with 42 at the one it is told.
SAY_AND_WAIT = """
import os, signal, sys, time
def handler(number, frame):
    os.write(1, b'got %d\\n' % number)
    if number == int(sys.argv[1]): sys.exit(42)
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT): signal.signal(s, handler)
print('ready', flush=True)
while True: time.sleep(.02)  # signal.pause() would miss a signal that comes just before
"""


def start(run, *command, options=QUIET, **more):
    return run.start(harness.where.record, *options, "--", *command, **more)


def state(pid):
    """The letter of /proc/PID/stat, or None if there is no such process."""
    try:
        return stat_fields(pid)[0]
    except OSError:
        return None


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def parent(pid):
    return int(stat_fields(pid)[1])


def cpu_ticks(pid):
    return int(stat_fields(pid)[11]) + int(stat_fields(pid)[12])


def read_line(process):
    """Of a command that says one line at a time."""
    check(select.select([process.stdout], [], [], 30)[0], "the command says nothing")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the output has ended: {process.communicate()[1]}")
    return line.strip()


def samples_said(text):
    found = re.search(r"(\d+) samples?,", text)
    check(found, f"no summary: {text!r}")
    return int(found.group(1))


def one_line(text):
    equal(text.count("\n"), 1, f"lines of {text!r}")
