#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the #include lines to the table of docs/ARCHITECTURE.md: which room may include which, and only through its door."""

import re

from source import ROOMS, Tap, files, read


def table(path):
    """room -> the rooms it may include, as the table of rooms in ARCHITECTURE.md says."""
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]*) \|$", read(path), re.M)
    return {room: set(re.findall(r"\w+", may)) - {"nothing"} for room, may in rows if room in ROOMS}


ARROWS = table("docs/ARCHITECTURE.md")

# What a room shows to others: every header of base (it has no inside), else the header named after it; and why any more than that.
DOORS = {room: {f"{room}/{room}.h"} for room in ARROWS}
DOORS["base"] = set(files(["base"], ".h"))
DOORS["include"] = {"cprof.h", "include/cprof.h"}  # the annotation API is included as its users include it
DOORS["pipeline"].add("pipeline/raw.h")  # the five raw events: pipeline.h shows it, and a source needs nothing else of the pipeline

# The headers of base that a signal handler may use: no allocation, no lock, nothing that ends a process.
SIGNAL_SAFE = {"base/macros.h", "base/clock.h", "base/frame.h", "base/loglinear.h", "base/system.h"}

# (file or room, included): why the arrow is allowed all the same
EXCEPTIONS = {
    ("pipeline", "elf/elf.h"): "the loader opens the images that process/, unwind/ and symbol/ are then given",
    ("sampler", "recording/recording.h"): "the programs open the writer that pipeline.h takes",
}


def complaint(path, included):
    room = path.split("/")[0]
    target = "include" if included == "cprof.h" else included.split("/")[0]
    if target == room:
        return None
    if "/" not in included and target != "include":
        return "is not written from the root"
    if target not in ROOMS:
        return "is no header of a room"
    if (room, included) in EXCEPTIONS or (path, included) in EXCEPTIONS:
        return None
    if target not in ARROWS[room]:
        return f"{room}/ may include only {', '.join(sorted(ARROWS[room])) or 'nothing'}"
    if included not in DOORS[target]:
        return f"is not the door of {target}/"
    if room in ("agent", "scope") and target == "base" and included not in SIGNAL_SAFE:
        return "may not be used in a signal handler"
    return None


def lint():
    wrong, used = [], set()
    for path in files(ROOMS, ".c", ".h"):
        room = path.split("/")[0]
        if room not in ARROWS:
            wrong.append(f"{path}: the table has no room {room}/")
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            used |= {(room, match[1]), (path, match[1])}
            why = complaint(path, match[1])
            if why:
                wrong.append(f'{path}:{number}: "{match[1]}": {why}')
    return wrong, used


tap = Tap()
wrong, used = lint()
tap.case("arrows point as the table says, through the doors", wrong)
tap.case("every exception is needed", [f"{place}: {included}" for place, included in EXCEPTIONS if (place, included) not in used])
tap.end()
