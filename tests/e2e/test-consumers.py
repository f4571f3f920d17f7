#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""flamegraph.pl, inferno and speedscope, as their users run them, on folded stacks with hostile names. What is not installed is skipped by
name."""

import base64
import html
import re

from browser import Browser
from harness import check, equal, main, test
import harness
import peers


def hostile_folded(run):
    run.run(harness.where.make_recording, "hostile.data")
    return run.folded(data="hostile.data")


def weights(folded):
    """(by name: the weight of all its frames, by name: that of its frames at the end of a stack)"""
    frames, leaves = {}, {}
    for line in folded.splitlines():
        stack, count = line.rsplit(" ", 1)
        for name in stack.split(";"):
            frames[name] = frames.get(name, 0) + int(count)
        leaves[name] = leaves.get(name, 0) + int(count)
    return frames, leaves


def drawn(done):
    """By name: the weight of all its frames in the SVG of flamegraph.pl or inferno."""
    frames = {}
    for title in re.findall(r"<title>(.*?) samples, [\d.]+%\)</title>", done.out):
        name, count = html.unescape(title).rsplit(" (", 1)
        frames[name] = frames.get(name, 0) + int(count.replace(",", ""))
    return frames


def check_renderer(run, command, shown=lambda folded: folded):
    """`shown`: what it makes of the text before it draws it."""
    folded = hostile_folded(run)
    done = run.run(*command, "--minwidth", "0", run.write("in.folded", folded))
    check(not re.search("[Ii]gnored|unsorted|invalid", done.err), done.err)
    frames = drawn(done)
    samples = sum(weights(folded)[1].values())
    check(frames.pop("all") == samples, "samples")
    equal(frames, weights(shown(folded))[0], "frames")


@test("flamegraph.pl draws every sample and name of a hostile recording")
def _(run):
    check_renderer(run, peers.flamegraph_pl(), lambda folded: folded.replace("<", "(").replace(">", ")"))


@test("inferno draws every sample and name of a hostile recording, and needs not sort")
def _(run):
    check_renderer(run, peers.inferno())
    check_renderer(run, [*peers.inferno(), "--no-sort"])


def table(browser):
    """The rows of speedscope's sandwich view: what it believes each function's total and self to be."""
    browser.press("3")
    browser.wait("return document.querySelectorAll('tr').length > 1", "the sandwich view")
    return browser.js("return Array.from(document.querySelectorAll('tr'), row => Array.from(row.cells, cell => cell.textContent))")


def leading_number(cell):
    """"1,569 (100%)" -> 1569"""
    return int(re.match(r"[\d,]+", cell)[0].replace(",", ""))


@test("speedscope reads every sample and name of a hostile recording")
def _(run):
    page = peers.peer("node_modules/speedscope/dist/release/index.html")
    browser = Browser(run)
    folded = hostile_folded(run)
    # What speedscope's own command line does: a script beside the page hands it the file.
    content = base64.b64encode(folded.encode("utf-8", "surrogateescape")).decode()
    loader = run.write("profile.js", f"speedscope.loadFileFromBase64('x.collapsedstack.txt', '{content}')")
    browser.open(page, f"#localProfilePath={loader}")
    rows = table(browser)
    browser.close()
    totals, selves = {}, {}
    for line in folded.splitlines():
        stack, count = line.rsplit(" ", 1)
        frames = stack.split(";")
        selves[frames[-1]] = selves.get(frames[-1], 0) + int(count)
        for name in set(frames):
            totals[name] = totals.get(name, 0) + int(count)
    shown = {row[2]: (leading_number(row[0]), leading_number(row[1])) for row in rows if len(row) >= 3 and "%" in row[0]}
    check(len(shown) >= 10, f"hardly any rows: {rows[:5]}")  # the table is virtual: what fits the window is there
    for name, counts in shown.items():
        equal(counts, (totals.get(name), selves.get(name, 0)), f"total and self of {name!r}")


main()
