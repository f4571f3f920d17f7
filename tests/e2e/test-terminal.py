#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cprof-record and its command as a job of a shell on a terminal: Ctrl-C, Ctrl-Z, bg and fg."""

import errno
import os
import pty
import re
import select
import signal
import subprocess

import harness
from commands import PYTHON, SAY_AND_WAIT, read_line, start, state
from harness import check, equal, main, test, wait_for


class Terminal:
    """A job in the foreground of a pseudo-terminal, under a shell of a kind: it says when the job stops and how it ends."""

    def __init__(self, run, *command):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(run.directory)
            self.be_a_shell([harness.where.record, "-q", "--", *command])

    @staticmethod
    def be_a_shell(command):
        job = os.fork()  # with a parent in the session: the group of an orphan cannot be stopped by Ctrl-Z
        if job == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execv(command[0], command)
        os.write(2, f"job {job}\n".encode())
        while True:
            _, status = os.waitpid(job, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                os.write(2, f"status {status}\n".encode())
                os._exit(0)
            os.write(2, b"stopped\n")

    def look(self, pattern):
        found = re.search(pattern, self.text)
        if found:
            self.text = self.text[found.end():]
            return found
        if not select.select([self.fd], [], [], 0.1)[0]:
            return None
        try:
            self.text += os.read(self.fd, 4096).decode(errors="replace")
        except OSError as error:
            check(error.errno == errno.EIO, str(error))
            raise AssertionError(f"the terminal closed before {pattern!r}: {self.text!r}") from None
        return None

    def expect(self, pattern):
        return wait_for(lambda: self.look(pattern), f"{pattern!r} on the terminal")

    def expect_status(self):
        status = int(self.expect(r"status (\d+)\r").group(1))
        os.close(self.fd)
        os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def type(self, text):
        os.write(self.fd, text)


@test("Ctrl-C goes to the command, once, which may end in its own way")
def _(run):
    terminal = Terminal(run, PYTHON, "-c", SAY_AND_WAIT, "15")
    job = int(terminal.expect(r"job (\d+)").group(1))
    terminal.expect("ready")
    terminal.type(b"\x03")
    terminal.expect("got 2\r")
    os.kill(job, signal.SIGTERM)
    terminal.expect("got 15\r")  # and between the two, no second "got 2"
    check("got 2" not in terminal.text, terminal.text)
    equal(terminal.expect_status(), 42, "status")


@test("a second Ctrl-C kills the command")
def _(run):
    terminal = Terminal(run, PYTHON, "-c", SAY_AND_WAIT, "0")
    terminal.expect("ready")
    terminal.type(b"\x03")
    terminal.expect("got 2\r")
    terminal.type(b"\x03")
    equal(terminal.expect_status(), -signal.SIGKILL, "status")


@test("Ctrl-Z stops both, and fg continues both")
def _(run):
    terminal = Terminal(run, "sh", "-c", "echo pid $$; while read x; do echo read $x; [ \"$x\" = end ] && exit 5; done")
    job = int(terminal.expect(r"job (\d+)").group(1))
    pid = int(terminal.expect(r"pid (\d+)").group(1))
    for turn in ("one", "two"):
        terminal.type(b"\x1a")
        terminal.expect("stopped")
        equal((state(job), state(pid)), ("T", "T"), "the states")
        os.killpg(job, signal.SIGCONT)
        wait_for(lambda: (state(job), state(pid)) == ("S", "S"), "both run again")
        terminal.type(turn.encode() + b"\n")
        terminal.expect(f"read {turn}")
    terminal.type(b"end\n")
    equal(terminal.expect_status(), 5, "status")


@test("after Ctrl-Z, continuing the recorder alone continues the command")
def _(run):
    terminal = Terminal(run, "sh", "-c", "echo pid $$; read x; exit 5")
    job = int(terminal.expect(r"job (\d+)").group(1))
    terminal.expect("pid")
    terminal.type(b"\x1a")
    terminal.expect("stopped")
    os.kill(job, signal.SIGCONT)
    terminal.type(b"x\n")
    equal(terminal.expect_status(), 5, "status")


@test("a command that ignores Ctrl-Z keeps running, and so does the recorder")
def _(run):
    terminal = Terminal(run, "sh", "-c", "trap '' TSTP; echo pid $$; read x; exit 6")
    terminal.expect("pid")
    terminal.type(b"\x1a")
    terminal.type(b"x\n")
    equal(terminal.expect_status(), 6, "status")
    check("stopped" not in terminal.text, terminal.text)


@test("SIGSTOP to the command alone does not stop the recorder")
def _(run):
    process = start(run, "sh", "-c", "echo $$; read x; exit 8", stdin=subprocess.PIPE)
    pid = int(read_line(process))
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(pid) == "T", "the command is stopped")
    os.kill(pid, signal.SIGCONT)
    process.communicate("\n", timeout=harness.TIMEOUT)
    equal(process.returncode, 8, "status")


main()
