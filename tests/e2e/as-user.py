#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a test file as an ordinary user: as nobody when root calls, else as who calls. The build may lie where nobody cannot read, so what
the tests need is copied to a directory of its own first.

    as-user.py TEST.py --record ... --report ... --flamegraph ... --programs ... --examples ...
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile

USER = "nobody"


def is_wanted(path):
    return os.path.isfile(path) and (os.stat(path).st_mode & stat.S_IXUSR or path.endswith((".so", ".py")))


def copy(source, to):
    """A program, or the programs and libraries directly in a directory; where it is now."""
    target = os.path.join(to, os.path.basename(source))
    if os.path.isdir(source):
        os.makedirs(target)
        for name in os.listdir(source):
            if is_wanted(os.path.join(source, name)):
                shutil.copy(os.path.join(source, name), target)
    else:
        shutil.copy(source, target)
    return target


def readable_by_all(directory):
    for at, _, files in os.walk(directory):
        os.chmod(at, 0o755)
        for name in files:
            os.chmod(os.path.join(at, name), 0o755)


def main():
    test, *arguments = sys.argv[1:]
    if os.geteuid() != 0:
        os.execv(sys.executable, [sys.executable, test, *arguments])
    with tempfile.TemporaryDirectory(prefix="cprof-as-user-") as stage:
        tests = copy(os.path.dirname(os.path.abspath(test)), stage)
        staged = [word if word.startswith("--") or not os.path.exists(word) else copy(word, stage) for word in arguments]
        readable_by_all(stage)
        runuser = shutil.which("runuser", path="/usr/sbin:/sbin:/usr/bin:/bin") or "runuser"
        command = [runuser, "-u", USER, "--", "/usr/bin/python3", os.path.join(tests, os.path.basename(test)), *staged]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": stage, "LC_ALL": "C.UTF-8"}
        environment |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS") or name == "CPROF_CHAINS_SECONDS"}
        return subprocess.run(command, cwd="/", env=environment).returncode


sys.exit(main())
