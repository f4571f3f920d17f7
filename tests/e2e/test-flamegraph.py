#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cprof-flamegraph: the program, its files and its output, which an independent reader takes apart."""

import os
import random
import re
import subprocess

import harness
import peers
import svg
from harness import check, equal, main, test

WIDTH, MARGIN = 1180, 10


def tree_of(lines):
    """[(depth, name, start, total)] depth first, children by name: what any correct renderer draws."""
    root = {}
    totals = {}
    for stack, count in lines:
        path = ("all", *stack)
        for depth in range(len(path)):
            totals[path[:depth + 1]] = totals.get(path[:depth + 1], 0) + count
        node = root
        for name in path:
            node = node.setdefault(name, {})
    found = []

    def walk(path, node, start):
        found.append((len(path) - 1, path[-1], start, totals[path]))
        at = start + totals[path] - sum(totals[(*path, name)] for name in node)
        for name in sorted(node, key=str.encode):
            walk((*path, name), node[name], at)
            at += totals[(*path, name)]

    walk(("all",), root["all"], 0)
    return found


def random_lines(seed, count=400):
    chooser = random.Random(seed)
    names = ["main", "foo", "foo.part.0", "foo(int)", "foo-bar", "a", "std::map<int, char>::at(int const&)", "été", "x_[k]", ""]
    return [([chooser.choice(names[:-1]), *(chooser.choice(names) for _ in range(chooser.randrange(9))), "leaf"], chooser.randrange(1, 90))
            for _ in range(count)]


def folded(lines):
    return "".join(";".join(stack) + f" {count}\n" for stack, count in lines).encode()


@test("every node is drawn where it belongs, once")
def _(run):
    for seed in range(5):
        lines = random_lines(seed)
        root = svg.parse(run.flamegraph("--minwidth", "0", text=folded(lines)).out)
        wanted = tree_of(lines)
        unit = WIDTH / wanted[0][3]
        drawn = sorted((round(frame.y), frame.x, frame.name, frame.count) for frame in svg.frames(root))
        deepest = max(depth for depth, *_ in wanted)
        expected = sorted((44 + 16 * (deepest - depth), round(MARGIN + start * unit, 1), name, total) for depth, name, start, total in wanted)
        equal(len(drawn), len(expected), "frames")
        for got, want in zip(drawn, expected):
            check(got[0] == want[0] and abs(got[1] - want[1]) < .11 and got[2:] == want[2:], f"{got}, not {want}")


@test("the data is the whole tree")
def _(run):
    lines = random_lines(7)
    nodes = svg.nodes(svg.parse(run.flamegraph("--minwidth", "50%", text=folded(lines)).out))
    equal([node[:4] for node in nodes], tree_of(lines), "nodes")


@test("a differential graph keeps both weights")
def _(run):
    root = svg.parse(run.flamegraph(text=b"m;a 10 30\nm;b 40 10\nm;gone 9 0\nm;same 5 5\n").out)
    equal({node.name: (node.total, node.delta) for node in svg.nodes(root)},
          {"all": (45, 0), "m": (45, 0), "a": (30, 20), "b": (10, -30), "gone": (0, -9), "same": (5, 0)}, "nodes")
    red, blue, same = ({frame.name: frame.fill for frame in svg.frames(root)}[name] for name in ("a", "b", "same"))
    check(red[1:3] > red[5:7] and blue[1:3] < blue[5:7] and same[1:3] == same[5:7], f"colours {red} {blue} {same}")
    negated = {frame.name: frame.fill for frame in svg.frames(svg.parse(run.flamegraph("--negate", text=b"m;a 10 30\nm;b 40 10\n").out))}
    check(negated["a"][1:3] < negated["a"][5:7], "--negate does not swap")


@test("equal input gives equal bytes, however it comes")
def _(run):
    lines = random_lines(3, 3000)
    text = folded(lines)
    once = run.flamegraph(text=text).out
    cut = text.index(b"\n", len(text) // 2) + 1
    for name, part in (("all", text), ("one", text[:cut]), ("two", text[cut:])):
        with open(run.path(name), "wb") as file:
            file.write(part)
    random.Random(1).shuffle(lines)
    for what, out in {"a file": run.flamegraph("all").out, "two files": run.flamegraph("one", "two").out,
                      "a file and stdin": run.flamegraph("one", "-", text=text[cut:]).out,
                      "no last LF": run.flamegraph(text=text[:-1]).out, "CR LF": run.flamegraph(text=text.replace(b"\n", b"\r\n")).out,
                      "shuffled": run.flamegraph(text=folded(lines)).out}.items():
        check(out == once, f"{what}: not the same bytes")
    run.flamegraph("-o", "out.svg", "all")
    with open(run.path("out.svg"), "rb") as file:
        check(file.read() == once, "-o: not the same bytes")


@test("lines longer than any buffer")
def _(run):
    name = "f" * 3_000_000
    nodes = svg.nodes(svg.parse(run.flamegraph(text=f"a;{name};b 3\na;{name};c 4\nd 1\n".encode()).out))
    equal([len(node.name) for node in nodes], [3, 1, len(name), 1, 1, 1], "lengths of names")


@test("stacks deeper than any stack")
def _(run):
    text = ";".join(f"f{i % 7}" for i in range(50_000)).encode() + b" 5\n"
    nodes = svg.nodes(svg.parse(run.flamegraph(text=text).out))
    equal((len(nodes), nodes[-1].depth, nodes[-1].total), (50_001, 50_000, 5), "nodes, depth, total")


@test("hostile names become text")
def _(run):
    text = b"<script>alert(1)</script>;\"&'<>;]]>;a\x00\x01\x1b\x7fz;\xff\xfe\xc3;\xed\xa0\x80;\xef\xbf\xbf;tab\tin; lead;\xf0\x9f\x94\xa5 7\n"
    out = run.flamegraph("--title", "</title><x>", "--subtitle", "&amp;", "--countname", "\"'<", "--notes", "--><x/>--", text=text).out
    names = [node.name for node in svg.nodes(svg.parse(out))]
    bad = "\N{REPLACEMENT CHARACTER}"
    equal(names, ["all", "<script>alert(1)</script>", "\"&'<>", "]]>", f"a{bad * 4}z", bad * 3, bad * 3, bad, "tab in", " lead", "\U0001f525"], "names")
    equal(out.count(b"<script"), 1, "script elements")


@test("fuzzed bytes always give well-formed XML")
def _(run):
    chooser = random.Random(11)
    for _ in range(40):
        lines = [bytes(chooser.choices(b";;;; abc<&>\"'\xff\xc3\xa9\x00\x07\t]-", k=chooser.randrange(1, 40))) + b" %d" % chooser.randrange(50)
                 for _ in range(30)]
        root = svg.parse(run.flamegraph(text=b"z 1\n" + b"\n".join(lines)).out)
        check(svg.nodes(root)[0].name == "all", "no root")


@test("what is not folded is counted, and nothing at all is an error in a picture")
def _(run):
    done = run.flamegraph(text=b"a;b 100\n\nnonsense\nb -5\n# comment\n")
    check("Ignored 4 lines with invalid format" in done.err, done.err)
    check("low" in run.flamegraph(text=b"a 5\n").err, "no word of a low count")
    for text in (b"", b"\n\n", b"nonsense\n", b"a 0\n"):
        done = run.flamegraph(text=text, status=2)
        check("ERROR: No stack counts found" in done.err, done.err)
        check("ERROR" in svg.element(svg.parse(done.out), "title").text, "no word of it in the picture")


@test("wrong options and files are named")
def _(run):
    for options, word in ((["--colors", "mauve"], "mauve"), (["--width", "x"], "width"), (["--minwidth", "-1"], "minwidth"),
                          (["--bgcolors", "url(http://x)"], "bgcolors"), (["--nonsense"], "nonsense"), (["/nonexistent"], "/nonexistent"),
                          (["-o", "/nonexistent/x", "/dev/null"], "/nonexistent/x"), (["--nameattr", "/nonexistent"], "/nonexistent")):
        done = run.flamegraph(*options, text=b"a 1\n", status=1)
        check(word in done.err and not done.out, f"{options}: {done.err!r}")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.where.flamegraph], input=b"a 1\n", stdout=full,
                              stderr=subprocess.PIPE, check=False)
    check(done.returncode == 1 and b"No space" in done.stderr, f"a full disk: {done}")


@test("flamegraph.pl's options are taken")
def _(run):
    out = run.flamegraph("-title", "T", "--subtitle=S", "--width", "600", "--height", "20", "--minwidth", "1%", "--fonttype", "Arial", "--fontsize",
                         "10", "--fontwidth", ".5", "--countname", "ns", "--nametype", "Frame:", "--colors", "java", "--bgcolors", "blue", "--hash",
                         "--inverted", "--negate", "--notes", "N", "--total", "200", "--factor", "1000", "--encoding", "utf8", "--random",
                         text=b"m;a 100\nm;b 0.5\n").out
    root = svg.parse(out)
    equal((root.get("width"), svg.element(root, "title").text, svg.element(root, "subtitle").text), ("600", "T", "S"), "width and titles")
    frames = {frame.name: frame for frame in svg.frames(root)}
    equal(set(frames), {"all", "m", "a"}, "frames of 1 % and more")
    equal((frames["m"].y - frames["all"].y, frames["m"].count), (20, 100_500), "height, and weight times factor")
    check(b"100,000 ns" in out and b"url(#bg)" in out and b"NOTES: N" in out, "options without effect")


@test("reverse, and a chart in order of time")
def _(run):
    text = b"a;b;leaf 1\nc;leaf 2\na;b 4\n"
    names = [(node.depth, node.name, node.total) for node in svg.nodes(svg.parse(run.flamegraph("--reverse", text=text).out))]
    equal(names, [(0, "all", 7), (1, "b", 4), (2, "a", 4), (1, "leaf", 3), (2, "b", 1), (3, "a", 1), (2, "c", 2)], "reversed")
    chart = svg.nodes(svg.parse(run.flamegraph("--flamechart", text=b"a;b 1\nc 2\na;b 3\na 1\na;d 2\n").out))
    equal([(node.depth, node.name, node.start, node.total) for node in chart if node.name or node.start == 2],
          [(0, "all", 0, 9), (1, "a", 0, 6), (2, "d", 0, 2), (2, None, 2, 1), (2, "b", 3, 3), (1, "c", 6, 2), (1, "a", 8, 1), (2, "b", 8, 1)], "chart")


@test("colours are kept in palette.map")
def _(run):
    first = {frame.name: frame.fill for frame in svg.frames(svg.parse(run.flamegraph("--cp", "--colors", "mem", text=b"a;b 1\nc->d 2\n").out))}
    again = {frame.name: frame.fill for frame in svg.frames(svg.parse(run.flamegraph("--cp", "--colors", "io", text=b"a;c->d;new 1\n").out))}
    equal([again[name] for name in ("a", "c->d")], [first[name] for name in ("a", "c->d")], "colours")
    equal(sorted(line.split("->rgb")[0] for line in run.read("palette.map").splitlines()), ["a", "b", "c->d", "new"], "names")


@test("attributes by name, but no script")
def _(run):
    run.write("attributes", "a\ttitle=T & <U>\thref=https://x/?a&b\tclass=k\nb\thref=javascript:alert(1)\tonclick=x()\n")
    done = run.flamegraph("--nameattr", "attributes", text=b"a 50\nb 50\n")
    root = svg.parse(done.out)
    check("2 attributes" in done.err, done.err)
    link = element = svg.element(root, "frames").find(f"{svg.SVG}g[@class='k']/{svg.SVG}a")
    equal((link.get("href"), element.find(svg.SVG + "title").text), ("https://x/?a&b", "T & <U>"), "link and title")
    check(b"javascript" not in done.out and b"onclick" not in done.out, "script let through")


@test("pruning is said, and takes only what no pixel shows")
def _(run):
    text = b"".join(b"m;f%d;g 1\n" % i for i in range(3000)) + b"m;wide 90000\n"
    done = run.flamegraph("--max-frames", "100", text=text)
    root = svg.parse(done.out)
    equal({node.name for node in svg.nodes(root)}, {"all", "m", "wide"}, "kept frames")
    equal(svg.nodes(root)[0].total, 93_000, "the sum")
    check("6000" in done.err and "6,000" in svg.element(root, "matched").text, f"not said: {done.err}")
    visible = run.flamegraph("--max-frames", "100", "--minwidth", "0", text=text)
    equal(len(svg.nodes(svg.parse(visible.out))), 6003, "frames that are drawn are kept")


@test("the SVG fetches nothing and sets no markup")
def _(run):
    out = run.flamegraph(text=b"a 100\n").out.decode()
    equal(set(re.findall(r"https?://[\w./]+", out)), {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}, "addresses")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest", "import(", "@import", "src="):
        check(word not in out, f"{word} in the SVG")


def frames_of_peer(program, options, text):
    out = subprocess.run([*program, *options], input=text, capture_output=True, check=True).stdout.decode()
    found = []
    for title in re.findall(r"<title>(.*? \([\d,]+ samples, [\d.]+%\))</title>", out):
        match = svg.TITLE.fullmatch(title)
        found.append((match[1], int(match[2].replace(",", ""))))
    return sorted(found)


def compare_with_peer(run, program, options):
    # No name that sorts between "foo" and "foo;": peers draw foo twice then.
    chooser = random.Random(5)
    lines = [([chooser.choice("abcdef") * chooser.randrange(1, 4) for _ in range(chooser.randrange(1, 9))], chooser.randrange(1, 50)) for _ in range(300)]
    text = folded(sorted(lines))
    ours = sorted((frame.name, frame.count) for frame in svg.frames(svg.parse(run.flamegraph("--minwidth", "0", text=text).out)))
    theirs = frames_of_peer(program, options, text)
    equal([frame for frame in theirs if frame[0]], ours, "frames")


@test("the same frames as flamegraph.pl")
def _(run):
    compare_with_peer(run, peers.flamegraph_pl(), ["--minwidth", "0"])


@test("the same frames as inferno-flamegraph")
def _(run):
    compare_with_peer(run, peers.inferno(), ["--minwidth", "0"])


main()
