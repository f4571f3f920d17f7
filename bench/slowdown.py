# SPDX-License-Identifier: MIT
"""What profiling costs the target: runs with and without each profiler in turn, compared round by round, so that what slows the machine
down for a while slows both. The median of the differences has an interval of 95 % that holds for any distribution."""

import statistics

from measure import median_interval, run_once


def verdict(differences):
    least, most = median_interval(differences)
    says = "not distinguishable" if least <= 0 <= most else "more" if least > 0 else "less"
    return f"{statistics.median(differences):+.2f} | {least:+.2f} to {most:+.2f} | {says}"


def measure(peers, command, directory, rounds):
    """[(bare, {profiler: target's CPU s})], one a round."""
    results = []
    for number in range(rounds):
        times = {}
        order = [None, *peers]
        order = order[number % len(order):] + order[:number % len(order)]  # nobody is always the first
        for profiler in order:
            result = run_once(profiler, command, directory)
            if "error" not in result:
                times[profiler.name if profiler else None] = result["target"]
        results.append(times)
    return results


def pairs(results, name, beside):
    """Differences in % of `beside`, for the rounds that have both."""
    return [100 * (times[name] / times[beside] - 1) for times in results if name in times and beside in times]


def report(results, peers):
    print("| target under | beside | pairs | difference of its CPU time, median, % | 95 % interval | |\n|---|---|---|---|---|---|")
    for profiler in peers:
        differences = pairs(results, profiler.name, None)
        if differences:
            print(f"| {profiler.name} | no profiler | {len(differences)} | {verdict(differences)} |")
    for profiler in peers[1:]:
        differences = pairs(results, peers[0].name, profiler.name)
        if differences:
            print(f"| {peers[0].name} | {profiler.name} | {len(differences)} | {verdict(differences)} |")
    print(flush=True)
