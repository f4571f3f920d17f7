#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What runs in signal handlers of the profiled program calls nothing that may lock, allocate or be replaced: the undefined symbols of its
objects.

    handler.py NM ARCHIVE [SOURCE...]       SOURCE: files whose objects do not run there, or with all signals blocked
"""

import subprocess
import sys

from source import Tap

# clock_gettime: of libc, answered by the vDSO (POSIX 2.4.3: async-signal-safe). The rest is the linker's own.
ALLOWED = {"clock_gettime", "_GLOBAL_OFFSET_TABLE_"}

nm, archive, *elsewhere = sys.argv[1:]


def symbols(option, left_out=()):
    text = subprocess.run([nm, option, archive], capture_output=True, text=True, check=True).stdout
    names, is_wanted = set(), True
    for line in text.splitlines():
        if line.endswith(":"):
            is_wanted = not line.endswith(tuple(f"{source}.o:" for source in left_out))
        elif line.strip() and is_wanted:
            names.add(line.split()[-1])
    return names


def data_relocations_of_tls():
    """Calls of __tls_get_addr, which may allocate, would be undefined symbols too; said by name because it is the likeliest mistake."""
    return ["__tls_get_addr: build with -ftls-model=initial-exec"] if "__tls_get_addr" in symbols("-u") else []


tap = Tap()
calls = symbols("-u", elsewhere)
tap.case("there is something to look at", [] if calls else [f"no undefined symbol in {archive}"])
tap.case("the signal handler calls only what it may", [f"{name}: not on the list" for name in sorted(calls - symbols("--defined-only") - ALLOWED)])
tap.case("no thread-local storage that is made at first use", data_relocations_of_tls())
tap.end()
