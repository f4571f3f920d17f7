#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges folded stacks of a known-chain program (tests/programs/chain.h): which are impossible, complete, unknown.

    chains.py PROGRAM < folded        folded: cprof-report --folded --annotate k
"""

import re
import subprocess
import sys

OUTERMOST = "^"
KERNEL = "_[k]"
# Where a thread, or a context, of ours starts, in the C library or, stripped of names, by a function known from its FDE alone.
ROOTS = re.compile(r"(_start|_dl_start_user|_dlstart|clone3?|__clone3?|__clone_internal|thread_start|__start_context|switch_first|fun_[0-9a-f]+)$")
# What stands in front of a stack that does not reach its root: the names of enum stack_end (base/frame.c) but "complete".
ENDS = {"truncated", "no unwind rule", "unreadable memory", "outside every mapping", "no progress", "depth limit", "pc only", "kernel only",
        "tables not loaded in time", "no stack from the source", "no stack"}
# Where frames were left out of a deep stack, or of a line too long: what follows may have any caller.
CUTS = {"[frames cut]", "[...]"}


class Chains:
    """The legitimate edges: callers[b] = {a: are frames of others allowed between a and b}."""

    def __init__(self, text):
        self.callers = {"main": {OUTERMOST: True}}
        self.calls_others = set()
        self.not_judged = set()
        for line in text.splitlines():
            words = line.split()
            if words and words[-1] == "~":
                self.not_judged.add(words[0])
                continue
            if words and words[-1] == "+":
                words.pop()
                self.calls_others.add(words[-1])
            caller = between = None
            for word in words:
                if word == ">":
                    continue
                if word == "...":
                    between = True
                    self.calls_others.add(caller)
                    continue
                if caller is not None:
                    self.callers.setdefault(word, {})[caller] = bool(between) or caller == OUTERMOST
                caller, between = word, False
        self.ours = set(self.callers)

    def complaint(self, frames, is_complete):
        """Why this stack, outermost frame first, cannot be; or None. Kernel frames are not given."""
        if is_complete and not ROOTS.match(frames[0]):
            return f"ends at {frames[0]}"
        caller, others, is_cut = OUTERMOST, 0, not is_complete
        for depth, frame in enumerate(frames):
            if frame in CUTS:
                caller, others, is_cut = OUTERMOST, 0, True
                continue
            if frame not in self.ours:
                others += 1
                continue
            known = self.callers[frame]
            if is_cut:
                is_cut = False  # what called it is missing, and that is said
            elif caller not in known:
                return f"{frame} below {caller}"
            elif others and not known[caller]:
                return f"{' '.join(frames[depth - others:depth])} between {caller} and {frame}"
            caller, others = frame, 0
        if others and caller != OUTERMOST and caller not in self.calls_others:
            return f"{' '.join(frames[-others:])} below {caller}, which calls nobody else"
        return None


class Verdict:
    def __init__(self):
        self.samples = self.judged = self.complete = self.frames = self.unknown = self.impossible = 0
        self.complaints, self.ends, self.seen = {}, {}, {}

    def percent_complete(self):
        return 100 * self.complete / self.samples if self.samples else 0

    def percent_unknown(self):
        return 100 * self.unknown / self.frames if self.frames else 0

    def __str__(self):
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        return (f"{self.samples} samples, {self.judged} judged, {self.impossible} impossible, {self.percent_complete():.2f} % complete, "
                f"{self.percent_unknown():.2f} % of frames unknown{'; ' + ends if ends else ''}")


def parse_folded(text):
    """(comm, end or None, frames outermost first, count) of each line."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        comm, *frames = stack.split(";")
        end = frames.pop(0)[1:-1] if frames and frames[0][1:-1] in ENDS else None
        yield comm, end, frames, int(count)


def plain_name(frame):
    """Without the parameters that --full-names and some languages add, and without a PLT stub's mark on our own functions."""
    return frame.split("(")[0]


def judge(folded, chains, names=None):
    """`names` turns a frame into its function (for stripped programs)."""
    chains, verdict = Chains(chains), Verdict()
    for _, end, frames, count in parse_folded(folded):
        verdict.samples += count
        user = [plain_name(frame) for frame in frames if not frame.endswith(KERNEL)]
        user = [names.get(frame, frame) for frame in user] if names else user
        verdict.frames += count * len(user)
        verdict.unknown += count * sum(frame.startswith("[") and frame not in CUTS for frame in user)
        verdict.complete += count * (end is None)
        if end:
            verdict.ends[end] = verdict.ends.get(end, 0) + count
        for frame in set(user) & chains.ours:
            verdict.seen[frame] = verdict.seen.get(frame, 0) + count
        # A stack of kernel frames alone is a task that has not reached, or has left, its program.
        is_judged = user and not chains.not_judged & set(user)
        verdict.judged += count * bool(is_judged)
        why = chains.complaint(user, end is None) if is_judged else None
        if why:
            verdict.impossible += count
            verdict.complaints[why] = verdict.complaints.get(why, 0) + count
    return verdict


def main():
    chains = subprocess.run([sys.argv[1], "--chains"], capture_output=True, text=True, check=True).stdout
    verdict = judge(sys.stdin.read(), chains)
    print(verdict)
    for why, count in sorted(verdict.complaints.items(), key=lambda item: -item[1]):
        print(f"{count:8} {why}")
    return verdict.impossible > 0


if __name__ == "__main__":
    sys.exit(main())
