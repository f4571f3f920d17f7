#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Targets that would have the recorder wait, read what is not there, or work for ever. It ends, keeps the target's status, and its recording can
be read. That no stack is wrong cannot be asked where the tables lie."""

import os
import random
import shutil
import signal
import struct

from fuse import Mount
from harness import Skip, check, equal, main, need, test, wait_for, where

SECONDS = "0.4"
# A mapping that is never run, and CPU time besides: what the recorder opens is what the path leads to by then.
MAPS = """
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
m = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
end = time.process_time() + {seconds}
while time.process_time() < end:
    sum(range(1000))
"""


def recorded(run, *command):
    """Samples of what was recorded; the report is read in every form."""
    run.record(*command, options=("-F", "999"))
    run.report()
    return sum(int(line.rsplit(" ", 1)[1]) for line in run.folded().splitlines())


def sections(path):
    """{name: (offset, size)} of a little-endian 64-bit ELF file."""
    with open(path, "rb") as file:
        data = file.read()
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    start = headers[names][4]
    return {data[start + h[0]:data.index(b"\0", start + h[0])].decode(): (h[4], h[5]) for h in headers}


def spoiled(run, name, spoil):
    """A copy of the known-chain program whose .eh_frame and .eh_frame_hdr `spoil` has changed."""
    path = run.path(name)
    with open(run.program("plain"), "rb") as file:
        data = bytearray(file.read())
    found = sections(run.program("plain"))
    for section in (".eh_frame", ".eh_frame_hdr"):
        offset, size = found[section]
        part = bytearray(data[offset:offset + size])
        spoil(section, part)
        equal(len(part), size, "bytes")
        data[offset:offset + size] = part
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o755)
    return path


def fdes(part):
    """Offsets of the entries of an .eh_frame that are FDEs."""
    offset = 0
    while offset + 8 <= len(part):
        length, pointer = struct.unpack_from("<II", part, offset)
        if not length:
            return
        if pointer:
            yield offset
        offset += 4 + length


def noise(seed):
    def spoil(_, part):
        part[:] = random.Random(seed).randbytes(len(part))
    return spoil


def many_rows(section, part):
    """A table of 2^32 - 1 entries, functions that reach over everything, rows at every step to the end of them."""
    if section == ".eh_frame_hdr":
        struct.pack_into("<I", part, 8, 0xffffffff)
        return
    for at in fdes(part):
        length, = struct.unpack_from("<I", part, at)
        struct.pack_into("<I", part, at + 12, 0x7fffffff)
        for k in range(at + 17, at + 4 + length - 4, 5):
            part[k:k + 5] = b"\x04\xff\xff\xff\x7f"  # DW_CFA_advance_loc4


def own_cie(section, part):
    """Entries whose CIE is themselves, or lies in front of everything."""
    for i, at in enumerate(fdes(part) if section == ".eh_frame" else []):
        struct.pack_into("<I", part, at + 4, 4 if i % 2 else 0x7ffffff0)


def looping(section, part):
    """CFAs that are expressions which jump to themselves."""
    for at in fdes(part) if section == ".eh_frame" else []:
        length, = struct.unpack_from("<I", part, at)
        program = b"\x0f\x05\x77\x08\x2f\xfd\xff"  # def_cfa_expression: breg7 8; skip -3
        if length - 13 >= len(program):
            part[at + 17:at + 17 + len(program)] = program
            part[at + 17 + len(program):at + 4 + length] = bytes(length - 13 - len(program))


def long_entry(section, part):
    """One entry that says it is 2^40 bytes long."""
    if section == ".eh_frame":
        struct.pack_into("<IQ", part, next(fdes(part)), 0xffffffff, 1 << 40)


for what, how in (("noise", noise(1)), ("other noise", noise(2)), ("2^40 rows", many_rows), ("entries that are their own CIE", own_cie),
                  ("expressions that loop", looping), ("an entry of 2^40 bytes", long_entry)):
    @test(f"unwind tables of {what}")
    def _(run, how=how):
        path = spoiled(run, "spoiled", how)
        check(recorded(run, path, SECONDS) > 0, "no samples")


@test("a mapped file whose path has become a FIFO")
def _(run):
    need("python3")
    path = run.path("mapped")
    run.run("cp", "/bin/true", path)
    replaced = MAPS.replace("m = mmap", "os.unlink(sys.argv[1])\nos.mkfifo(sys.argv[1])\nm = mmap")
    check(recorded(run, "python3", run.write("maps.py", replaced.format(seconds=SECONDS)), path) > 0, "no samples")


@test("a mapped device")
def _(run):
    need("python3")
    check(recorded(run, "python3", run.write("maps.py", MAPS.format(seconds=SECONDS)), "/dev/zero") > 0, "no samples")


@test("a library that is cut short while it runs ends its program, and not the recorder")
def _(run):
    need("python3")
    library = run.path("libplugin-a.so")
    run.run("cp", run.program("libplugin-a.so"), library)
    script = run.write("cut.py", """
import ctypes, os, sys, time
library = ctypes.CDLL(sys.argv[1])
end = time.process_time() + .4
while time.process_time() < end:
    library.entry_a()
os.truncate(sys.argv[1], 0)
while True:
    library.entry_a()
""")
    run.record("python3", script, library, options=("-F", "999"), status=-signal.SIGBUS)
    report = run.report()
    check("# incomplete" not in report, "the recorder died of it too:\n" + report)
    check("libplugin-a.so" in report, "no sample in the library:\n" + report)


# Runs code of a library and, when the mount it lies on is dead, touches it no more.
ON_MOUNT = """
import ctypes, os, sys, time
library = ctypes.CDLL(sys.argv[1])
end = time.process_time() + .4
while time.process_time() < end:
    library.entry_a()
open("ran", "w").close()
while not os.path.exists("dead"):
    time.sleep(.01)
os._exit(7)
"""


def on_dead_mount(run, die):
    """Records, and calls `die(mount)` when the library has run. The recording is whole while the mount is still dead."""
    need("python3", "objcopy")
    library = run.path("libplugin-a.so")  # with symbols on pages of their own, which nobody reads before the end
    run.run("objcopy", *(f"--add-symbol=filler_{i}=.text:{i},function,local" for i in range(600)), run.program("libplugin-a.so"), library)
    try:
        mount = Mount(run.path("mount"), {"libplugin-a.so": library})
    except OSError as error:
        raise Skip(f"no file system of our own can be mounted here: {error}") from None
    with mount:
        recorder = run.start(where.record, "-o", "cprof.data", "-F", "999", "--", "python3", run.write("run.py", ON_MOUNT), run.path("mount/libplugin-a.so"))
        wait_for(lambda: os.path.exists(run.path("ran")), "the library has run", 120)
        die(mount)
        run.write("dead", "")
        text = ""
        while "not whole: " not in text:  # the recorder's last words, when the file is closed
            line = recorder.stderr.readline()
            check(line, "no summary: " + text)
            text += line
        shutil.copy(run.path("cprof.data"), run.path("copy.data"))
        if die == Mount.stop:
            recorder.wait(timeout=120)
    equal(recorder.wait(timeout=120), 7, "exit status")
    check("1 files that did not answer" in text, text)
    report = run.report(data="copy.data")
    check("files that did not answer 1" in report and "# incomplete" not in report, report)
    check("libplugin-a.so" in report, report)


@test("a library on a mount that takes no requests any more", root=True)
def _(run):
    on_dead_mount(run, Mount.stop)


@test("a library on a mount that takes requests and answers none", root=True)
def _(run):
    on_dead_mount(run, Mount.die)


main()
