# SPDX-License-Identifier: MIT
"""The project's sources as the lints see them, and their TAP."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ROOMS = ["include", "base", "elf", "process", "symbol", "unwind", "recording", "pipeline", "agent", "scope", "sampler", "flamegraph", "report"]
CODE = ROOMS + ["tests", "bench", "examples"]
TEXT = CODE + ["scripts", ".ci"]


def files(folders, *endings):
    """Paths from the root, sorted, of the files in `folders` that end in one of `endings` (any file when there are none)."""
    found = []
    for folder in folders:
        for directory, _, names in os.walk(os.path.join(ROOT, folder)):
            if "__pycache__" in directory or "/corpus" in directory or "/golden" in directory:
                continue
            found += [os.path.relpath(os.path.join(directory, name), ROOT) for name in names]
    return sorted(path for path in found if not endings or path.endswith(endings))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments_and_strings(text):
    """C with comments and literals blanked out, so that line numbers and columns stay true."""
    token = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)

    def blank(match):
        body = match.group()
        if body.startswith("//"):
            return body  # left standing: the style lint looks for it
        return re.sub(r"[^\n]", " ", body)

    return token.sub(blank, text)


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def case(self, name, complaints):
        """One subtest: it passes when there is nothing to complain about."""
        self.count += 1
        self.failed += bool(complaints)
        for complaint in complaints:
            print("#", complaint)
        print(f"{'not ok' if complaints else 'ok'} {self.count} - {name}")

    def skip(self, name, reason):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {reason}")

    def end(self):
        print(f"1..{self.count}")
        sys.exit(bool(self.failed))
