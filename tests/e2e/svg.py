# SPDX-License-Identifier: MIT
"""Reads the SVGs of cprof-flamegraph, independently of the program: the static frames, and the data for the script (flamegraph/data.h)."""

import re
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

SVG = "{http://www.w3.org/2000/svg}"
DIGITS = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")}
TITLE = re.compile(r"(.*) \(([\d,]+) (.*), ([\d.]+)%(?:; ([+-]?[\d.]+)%)?\)", re.S)

Frame = namedtuple("Frame", "name count x y width fill")
Node = namedtuple("Node", "depth name start total delta")


def parse(svg):
    return ElementTree.fromstring(svg)


def element(root, name):
    return root.find(f".//*[@id='{name}']")


def frames(root):
    """The static picture's."""
    for group in element(root, "frames"):
        title = TITLE.fullmatch(group.find(SVG + "title").text)
        rect = group.find(SVG + "rect")
        x, y, width = (float(rect.get(key)) for key in ("x", "y", "width"))
        yield Frame(title[1], int(title[2].replace(",", "")), x, y, width, rect.get("fill"))


def _numbers(text):
    value = shift = 0
    for digit in map(DIGITS.get, text):
        value |= (digit & 31) << shift
        shift += 5
        if digit < 32:
            yield value
            value = shift = 0


def nodes(root):
    """The whole tree, depth first, as the script sees it."""
    names = [line[4:] for line in element(root, "names").text.split("\n")[:-1]]
    found, open_nodes = [], []
    for piece in root.iter(SVG + "metadata"):
        if piece.get("class") != "nodes":
            continue
        numbers = _numbers(piece.text)
        for head in numbers:
            del open_nodes[len(open_nodes) - (head >> 3):]
            name = None if head & 4 else names[next(numbers)]
            weight = next(numbers) if head & 1 else 0
            zigzag = next(numbers) if head & 2 else 0
            node = [len(open_nodes), name, 0, weight, -(zigzag + 1) // 2 if zigzag & 1 else zigzag // 2, weight]
            for above in open_nodes:
                above[3] += weight
            open_nodes.append(node)
            found.append(node)
    cursors = []
    for node in found:
        depth, _, _, total, _, own = node
        del cursors[depth:]
        if depth:
            node[2] = cursors[-1]
            cursors[-1] += total
        cursors.append(node[2] + own)
    return [Node(*node[:5]) for node in found]
