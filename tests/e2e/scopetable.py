# SPDX-License-Identifier: MIT
"""Reads what cprof-report says of scopes (--scopes, --compare), for the tests."""

import re

from harness import check

UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
TIME = r"(-?[\d.]+)(ms|us|ns|s)"
PLACE = re.compile(r"  (\S+(?: \S+)*)  \(([^()]*):(\d+)\)(?:  thread (\d+))?((?:  \[[^\]]*\])*)$")
CALLS = re.compile(r" *(\d+)(?:/(\d+))?(?= )")
ROUNDING = 6e-4  # four digits


def nanoseconds(text, unit):
    return float(text) * UNITS[unit]


class Scope:
    """A row of --scopes: calls, primitive, thread, marks ({"unwound": 3}); total, self, avg, min, p50, p90, p99, max in ns; cpu in percent, or None."""

    def __init__(self, line, place):
        self.name, self.thread = place[1], int(place[4] or 0)
        self.marks = {what: int(count) for count, what in re.findall(r"\[(\d+) (\w+)\]", place[5])}
        calls = CALLS.match(line)
        self.calls = int(calls[1])
        self.primitive = int(calls[2] or calls[1])
        times = [nanoseconds(*pair) for pair in re.findall(TIME, line[:place.start()])]
        self.total, self.self, self.avg, self.min, self.p50, self.p90, self.p99, self.max = times
        cpu = re.search(r"([\d.]+)%$", line[:place.start()])
        self.cpu = float(cpu[1]) if cpu else None


def scopes(text):
    """The rows of --scopes of nested scopes and spans (not values), by name; of several of one name (--by-thread) a list."""
    found = {}
    for line in text.splitlines():
        place = PLACE.search(line)
        if place and len(re.findall(TIME, line[:place.start()])) == 8 and CALLS.match(line):
            found.setdefault(place[1], []).append(Scope(line, place))
    return found


def scope(text, name):
    rows = scopes(text).get(name, [])
    check(len(rows) == 1, f"{len(rows)} rows of {name}: {text}")
    return rows[0]


class Comparison:
    """A row of --compare: times in ns; z None where there is none."""

    ROW = re.compile(rf" *(\d+) *{TIME} *{TIME} *{TIME} *(\d+) *(-?[\d.]+%|-) *(-?[\d.]+|-)  (\S.*?) *$")

    def __init__(self, line, place):
        self.name = place[1]
        row = self.ROW.match(line[:place.start()])
        check(row, f"not a row of a comparison: {line}")
        self.calls, self.samples = int(row[1]), int(row[8])
        self.exact, self.sampled, self.half = (nanoseconds(row[i], row[i + 1]) for i in (2, 4, 6))
        self.z = None if row[10] == "-" else float(row[10])
        self.verdict = row[11]


def comparisons(text):
    found = {}
    for line in text.splitlines():
        place = PLACE.search(line)
        if place and len(re.findall(TIME, line[:place.start()])) >= 3 and CALLS.match(line):
            found[place[1]] = Comparison(line, place)
    return found


def chi2(text):
    """(chi2 / k, k), or None if no scope had samples enough."""
    found = re.search(r"chi2/k = ([\d.]+) over the k = (\d+)", text)
    return (float(found[1]), int(found[2])) if found else None
