#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The flame graph in a real browser: what a reader can do with mouse, keyboard and address bar. $CPROF_SCREENSHOTS keeps the pictures."""

import contextlib
import os
import zlib

from browser import Browser
from harness import check, equal, main, test

TEXT = """app;main;parse;read_[k] 300
app;main;parse;tokens 100
app;main;run;step;parse 200
app;main;run;step 200
app;main;run;Step 100
app;main;exit 98
app;main;<b>&"x" 2
"""

# What is on the screen: name, x, y and width of each frame.
LOOK = """return Array.from(document.querySelectorAll("#frames g"), group => {
    const rect = group.querySelector("rect"), text = group.querySelector("text"), box = rect.getBoundingClientRect();
    return {name: text ? text.textContent.replace(/ [+-][\\d.]+%$/, "") : "", x: box.x, y: box.y, width: box.width, height: box.height, style: group.getAttribute("class") || "",
            fill: getComputedStyle(rect).fill};
})"""


class Page:
    def __init__(self, browser):
        self.browser = browser

    def look(self):
        return {frame["name"]: frame for frame in self.browser.js(LOOK) if frame["name"]}

    def text(self, name):
        return self.browser.js("return document.getElementById(arguments[0]).textContent", name)

    def address(self):
        return self.browser.js("return location.search")

    def click(self, name):
        frame = self.look()[name]
        self.browser.point(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2, click=True)

    def hover(self, name):
        frame = self.look()[name]
        self.browser.point(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)

    def click_on(self, name):
        box = self.browser.js("const b = document.getElementById(arguments[0]).getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]", name)
        self.browser.point(*box, click=True)

    def focused(self):
        return self.browser.js("const g = document.activeElement; return g && g.querySelector && g.querySelector('title') ? g.querySelector('title').textContent : ''")

    def zoomed(self):
        """The widest frame furthest from the root that fills the width: all frames from the root to it are ancestors."""
        full = self.browser.js("return document.documentElement.getBoundingClientRect().width") - 20
        return {name for name, frame in self.look().items() if frame["width"] > full - 2}


def elements(node):
    """All elements of a document as devtools give it, which need no script."""
    yield node
    for child in node.get("children", []):
        yield from elements(child)


@contextlib.contextmanager
def page(run, text=TEXT, options=(), state="", **how):
    run.flamegraph("-o", "graph.svg", *options, text=text.encode())
    browser = Browser(run, **how)
    try:
        browser.open(run.path("graph.svg"), state)
        yield Page(browser)
        equal(browser.complaints(), [], "the console")
    finally:
        browser.close()


@test("zoom with the mouse, and back")
def _(run):
    with page(run) as view:
        equal(view.zoomed(), {"all", "app", "main"}, "at rest")
        view.click("run")
        equal(view.zoomed(), {"all", "app", "main", "run"}, "zoomed to run")
        frames = view.look()
        check("parse" in frames and "exit" not in frames, f"zoomed: {sorted(frames)}")
        check("ancestor" in frames["main"]["style"] and "ancestor" not in frames["run"]["style"], "callers are not told apart")
        equal(view.address(), "?x=500&y=3", "the address")
        view.click("step")
        view.click("main")
        equal(view.zoomed(), {"all", "app", "main"}, "zoomed out to main")
        view.click("step")
        view.click_on("unzoom")
        equal((view.zoomed(), view.address()), ({"all", "app", "main"}, ""), "reset")
        check(view.browser.js("return document.getElementById('unzoom').disabled"), "reset offers what it cannot do")
        view.browser.back()
        view.browser.wait("return location.search.includes('y=4')", "the back button")
        equal(view.zoomed(), {"all", "app", "main", "run", "step"}, "after the back button")


@test("details of the frame under the mouse")
def _(run):
    with page(run) as view:
        view.hover("parse")
        check(view.text("details") in ("Function: parse (400 samples, 40.00%)", "Function: parse (200 samples, 20.00%)"), view.text("details"))
        view.click("run")
        view.hover("step")
        equal(view.text("details"), "Function: step (400 samples, 40.00%, 80.00% of view)", "details when zoomed")
        view.browser.point(5, 5)
        equal(view.text("details"), "Zoomed: run", "details of nothing")


@test("search counts no weight twice")
def _(run):
    with page(run) as view:
        view.browser.press("Control", "f")
        view.browser.type("parse|read|step")
        equal(view.text("matched"), "Matched: 80.00%", "parse over step, read over parse")
        hits = {name for name, frame in view.look().items() if "hit" in frame["style"]}
        equal(hits, {"parse", "read", "step"}, "lit up")
        equal(view.address(), "?s=parse%7Cread%7Cstep", "the address")
        view.browser.press("Control", "i")
        equal(view.text("matched"), "Matched: 90.00%", "case ignored")
        view.click("run")
        equal(view.text("matched"), "Matched: 90.00% (100.00% of view)", "within the view")
        view.browser.press("Escape")
        equal((view.text("matched"), view.zoomed() >= {"run"}), ("", True), "Esc ends the search first")
        view.browser.press("Escape")
        check("run" not in view.zoomed(), "Esc zooms out then")
        view.browser.press("F3")
        view.browser.type("(")
        equal(view.text("matched"), "Not a regular expression", "a bad pattern")
        view.browser.press("Escape")
        view.browser.press("/")
        view.browser.type("<b>&")
        equal(view.text("matched"), "Matched: 0.20%", "markup in a name")


@test("all of it by keyboard")
def _(run):
    with page(run) as view:
        for _ in range(3):
            view.browser.press("Tab")
        check(view.focused().startswith("all ("), f"Tab leads to {view.focused()!r}")
        names = []
        for key in ("Up", "Up", "Up", "Right", "Left", "Left", "Down"):
            view.browser.press(key)
            names.append(view.focused().split(" (")[0])
        equal(names, ["app", "main", "run", "run", "parse", "exit", "main"], "arrows")
        view.browser.press("Up")
        check("focus" in view.look()["run"]["style"], "no ring round the focus")
        view.browser.press("Enter")
        check("run" in view.zoomed() and view.focused().startswith("run ("), "Enter zooms and keeps the focus")
        view.browser.press("0")
        check("run" not in view.zoomed(), "0 zooms out")
        view.browser.press("Up")
        view.browser.press("Enter")
        view.browser.press("Home")
        equal(view.zoomed(), {"all", "app", "main"}, "Home zooms out")
        view.browser.press("/")
        view.browser.type("parse")
        found = []
        for key in ("Enter", "n", "n", "N"):
            view.browser.press(key)
            found.append(view.focused())
        equal([title.split("(")[1] for title in found], ["400 samples, 40.00%)", "200 samples, 20.00%)", "400 samples, 40.00%)",
                                                           "200 samples, 20.00%)"], "Enter, n, n, N")


@test("the address holds the state")
def _(run):
    with page(run, state="?x=500&y=3&s=PARSE&i=1") as view:
        equal((view.zoomed() >= {"run"}, view.text("matched")), (True, "Matched: 60.00% (40.00% of view)"), "from the address")
        equal(view.browser.js("return document.getElementById('search').value"), "PARSE", "the search field")
        view.browser.js("location.reload()")
        view.browser.wait("return document.readyState === 'complete'", "reloading")
        check(view.zoomed() >= {"run"}, "lost by reloading")
        view.browser.open(run.path("graph.svg"), "?x=1e99&y=77&s=%FF(")
        equal(view.zoomed(), {"all", "app", "main"}, "a state of another graph")


@test("icicle, and a difference")
def _(run):
    with page(run, options=["--icicle"]) as view:
        frames = view.look()
        check(frames["all"]["y"] < frames["main"]["y"] < frames["run"]["y"], "the root is not on top")
        view.browser.press("Tab"), view.browser.press("Tab"), view.browser.press("Tab"), view.browser.press("Down")
        check(view.focused().startswith("app ("), "Down does not lead to the callee")
    with page(run, text="m;more 100 300\nm;less 300 100\nm;same 50 50\n") as view:
        fills = {name: [int(part) for part in frame["fill"][4:-1].split(",")] for name, frame in view.look().items()}
        check(fills["more"][0] > fills["more"][2] and fills["less"][0] < fills["less"][2], f"{fills}")
        static = {"more": [255, 92, 72], "less": [84, 150, 255], "same": [224, 224, 224]}
        equal({name: fills[name] for name in static}, static, "the script's colours, and the static picture's")
        view.hover("more")
        equal(view.text("details"), "Function: more (300 samples, 66.67%; +44.44%)", "details")


@test("roles and names for those who do not see")
def _(run):
    with page(run) as view:
        nodes = view.browser.devtools("Accessibility.getFullAXTree")["nodes"]
        roles = {}
        for node in nodes:
            if not node["ignored"]:
                roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
        check("main (1,000 samples, 100.00%)" in roles.get("treeitem", []), f"tree items: {roles.get('treeitem')}")
        check(any("Call stacks" in name for name in roles.get("tree", [])), f"trees: {roles.get('tree')}")
        check(any("regular expression" in name for name in roles.get("searchbox", [])), f"search boxes: {roles.get('searchbox')}")


@test("a narrow window, and a resized one")
def _(run):
    with page(run, width=390) as view:
        frames = view.look()
        check(abs(frames["main"]["width"] - 370) < 1.5, f"main is {frames['main']['width']} wide")
        view.browser.resize(1000, 700)
        view.browser.wait("return Math.abs(document.querySelector('#frames rect').getBoundingClientRect().width - 980) < 1.5", "following the window")


@test("a picture without script")
def _(run):
    with page(run, script=False) as view:
        pixels = view.browser.screenshot()
        check(len(pixels) > 5000 and zlib.crc32(pixels), "an empty picture")
        found = [element["nodeName"] for element in elements(view.browser.devtools("DOM.getDocument", depth=-1)["root"])]
        equal((found.count("rect"), found.count("foreignObject")), (13, 0), "rectangles: 12 frames and the background; controls")


@test("a million frames open, zoom and search")
def _(run):
    lines = []
    for i in range(1000):
        lines += [f"app;worker{i % 10};f{i};g{j};h{i ^ j};leaf{j % 100} {1 + (i * j) % 3}" for j in range(340)]
    weights = {}
    for line in lines:
        frames, weight = line.rsplit(" ", 1)
        worker, leaf = frames.split(";")[1], frames.rsplit(";", 1)[1]
        for key in ("all", worker, "leaf7" if leaf == "leaf7" else None, (worker, leaf)):
            weights[key] = weights.get(key, 0) + int(weight)
    with page(run, text="\n".join(lines)) as view:
        nodes = view.browser.js("return document.querySelectorAll('*').length")
        check(nodes < 30_000, f"{nodes} elements at rest")
        view.click("worker3")
        check("worker3" in view.zoomed(), "does not zoom")
        view.browser.press("/")
        view.browser.type("leaf7$")
        share, of_view = weights["leaf7"] / weights["all"], weights["worker3", "leaf7"] / weights["worker3"]
        equal(view.text("matched"), f"Matched: {share:.2%} ({of_view:.2%} of view)", "the search")


@test("looks right, wide and narrow, light and dark")
def _(run):
    keep = os.environ.get("CPROF_SCREENSHOTS")
    seen = {}
    for width in (1280, 390):
        for dark in (False, True):
            with page(run, options=["--title", "Parser", "--subtitle", "1,000 samples"], width=width, dark=dark) as view:
                picture = view.browser.screenshot()
                seen[width, dark] = view.browser.js("return [getComputedStyle(document.getElementById('background')).fill, "
                                                    "getComputedStyle(document.getElementById('title')).fill]")
                clipped = view.browser.js("""return Array.from(document.querySelectorAll("#frames g")).filter(group => {
                    const text = group.querySelector("text");
                    return text && text.getBBox().width > group.querySelector("rect").getBBox().width; }).length""")
                equal(clipped, 0, f"labels wider than their frames at {width} px")
                if keep:
                    with open(os.path.join(keep, f"flamegraph-{width}-{'dark' if dark else 'light'}.png"), "wb") as file:
                        file.write(picture)
    check(seen[1280, False] == seen[390, False] and seen[1280, True] == seen[390, True] != seen[390, False], f"colours: {seen}")


main()
