#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs of every kind under the signal engine, perf_event_open denied as container runtimes deny it: their output and exit status are
what they are alone, and 99 % of the stacks are complete. Others of that kind are in test-signal.py: Go with C, Rust, perl and a pipeline,
programs that close all descriptors, block all signals or have a handler of SIGPROF of their own."""

import hashlib
import os
import random
import socket

import harness
import workloads
from chains import parse_folded
from harness import check, equal, main, need, test, wait_for

DENIED = 1  # EPERM


def record(run, *command, options=(), **more):
    return run.record(*command, options=("-q", *options), preexec_fn=lambda: harness.deny_perf(DENIED), **more)


def hold(run, samples_min, complete_min=99.0):
    samples = complete = 0
    for _, end, _, count in parse_folded(run.folded()):
        samples += count
        complete += count * (end is None)
    text = f"{samples} samples, {100 * complete / max(samples, 1):.2f} % complete"
    print("#", text)
    check(samples >= samples_min, f"too few: {text}")
    check(samples - complete <= (1 - complete_min / 100) * samples + 2, text)  # of few samples, two say nothing


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def same_as_alone(run, *command, files=()):
    alone = run.run(*command, status=None)
    wanted = [digest(run.path(name)) for name in files]
    for name in files:
        os.unlink(run.path(name))
    recorded = record(run, *command, status=alone.returncode)
    equal((recorded.out, recorded.err), (alone.out, alone.err), "output")
    equal([digest(run.path(name)) for name in files], wanted, f"digests of {files}")


def add_workload(name, scale, files):
    @test(f"{name}: output and exit status are its own, 99 % complete")
    def _(run):
        need(name)
        same_as_alone(run, *workloads.command(name, run.directory, scale), files=files)
        hold(run, 100)


for name, files in {"sqlite3": (), "zstd": ("output",), "python3": (), "perl": ()}.items():
    add_workload(name, .5, files)


@test("make -j2: the objects are the same, byte for byte")
def _(run):
    need("make", "gcc")
    sources = range(6)
    for i in sources:
        run.write(f"a{i}.c", "".join(f"int f{i}_{k}(int x) {{ for (int i = 0; i < x; i++) x ^= x * {k + 3} + i; return x; }}\n" for k in range(60)))
    run.write("Makefile", "all: " + " ".join(f"a{i}.o" for i in sources) + "\n\ttrue\n%.o: %.c\n\t@gcc -O2 -c $< -o $@\n")
    same_as_alone(run, "make", "-j2", files=[f"a{i}.o" for i in sources])
    # cc1's garbage collector recurses beyond what is copied of its stack.
    hold(run, 100, complete_min=90)
    check("cc1" in run.folded(), "no stack of cc1")


def ask(connection, text):
    connection.sendall(text.encode())
    answer = b""
    while not answer.endswith((b"\r\n", b"END\r\n")) or (text.startswith("get") and not answer.endswith(b"END\r\n")):
        part = connection.recv(65536)
        check(part, f"closed in the middle of {text!r}: {answer!r}")
        answer += part
    return answer.decode()


def connect(path):
    """Waits for a server that has bound its socket and does not listen yet, or has not bound it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(harness.TIMEOUT)

    def connected():
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    wait_for(connected, "memcached's socket")
    return connection


def load(path, rounds):
    """Sets and gets from three connections; every answer is looked at."""
    chance = random.Random(3)
    connections = [connect(path) for _ in range(3)]
    for i in range(rounds):
        connection, key, value = connections[i % 3], f"k{chance.randrange(500)}", "v" * chance.randrange(1, 300)
        equal(ask(connection, f"set {key} 0 0 {len(value)}\r\n{value}\r\n"), "STORED\r\n", "answer to set")
        once = f"VALUE {key} 0 {len(value)}\r\n{value}\r\n"
        equal(ask(connection, f"get{(' ' + key) * 200}\r\n"), once * 200 + "END\r\n", "answer to get")


def serve(run, words, path, rounds, **more):
    """Starts a server, puts it under load and ends it: its exit status and last words."""
    process = run.start(*words, **more)
    load(path, rounds)
    connect(path).sendall(b"shutdown\r\n")
    _, err = process.communicate(timeout=harness.TIMEOUT)
    return process.returncode, err


@test("memcached under load: every answer is right, it ends as it does alone, 99 % complete")
def _(run):
    need("memcached")
    words = ["memcached", "-A", "-t", "2", *(["-u", "root"] if os.geteuid() == 0 else []), "-s"]
    alone = serve(run, [*words, run.path("alone")], run.path("alone"), 10)
    recorded = serve(run, [harness.where.record, "-q", "-o", "cprof.data", "--", *words, run.path("socket")], run.path("socket"), 2000,
                     preexec_fn=lambda: harness.deny_perf(DENIED))
    equal(recorded, alone, "exit status and last words")
    hold(run, 30)


main()
