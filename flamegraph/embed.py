#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns style.css and the scripts into C strings: embed.py style.css script/*.js > assets.c

The scripts become one, in the order given, in a function of their own.

Comment lines and indentation are left out; they are for us, and the SVG carries a copy each time.
"""
import re
import sys

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def compact(path):
    with open(path, encoding="utf-8") as source:
        text = re.sub(r"^\s*/\*.*?\*/\s*$", "", source.read(), flags=re.M | re.S)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("//")]
    if "]]>" in text:
        sys.exit(f"{path}: ]]> would end the CDATA section")
    return [line + "\n" for line in lines]


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("??", "?\\?")
    return f'    "{escaped}"'


def main():
    print("/* Written by embed.py. */")
    print('#include "flamegraph/assets.h"')
    script = ["(function () {\n", '"use strict";\n', *(line for path in sys.argv[2:] for line in compact(path)), "}());\n"]
    for name, lines in (("style", compact(sys.argv[1])), ("script", script), ("font", [FONT])):
        print(f"const char asset_{name}[] =")
        print("\n".join(map(literal, lines)) + ";")


main()
