# SPDX-License-Identifier: MIT
"""A file system that can die: one flat directory of copies of real files, served over /dev/fuse (include/uapi/linux/fuse.h) by a process of our own."""

import ctypes
import errno
import os
import signal
import stat
import struct

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = (
    1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 29, 36, 38, 42)
SILENT = (FORGET, BATCH_FORGET, INTERRUPT, DESTROY)  # no answer is wanted
ROOT, FOREVER, BUFFER = 1, 1 << 30, 1 << 17
MS_RDONLY, MNT_DETACH = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


class Server:
    def __init__(self, fd, files, said):
        self.fd, self.said, self.is_dead = fd, said, False
        self.files = list(files.items())  # node 2 is the first
        signal.signal(signal.SIGUSR1, self.die)

    def die(self, *_):
        self.is_dead = True
        os.write(self.said, b"!")

    def attributes(self, node):
        if node == ROOT:
            mode, size = stat.S_IFDIR | 0o755, 0
        else:
            mode, size = stat.S_IFREG | 0o755, len(self.files[node - 2][1])
        return struct.pack("<6Q10I", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def lookup(self, name):
        for node, (own, _) in enumerate(self.files, 2):
            if own.encode() == name:
                # Names and attributes are asked for again each time (valid for 0 s), so that a dead server is felt at once.
                return struct.pack("<6Q", node, 0, 0, 0, 0, 0)[:40] + self.attributes(node)
        return errno.ENOENT

    def answer(self, opcode, node, body):
        if opcode == INIT:
            # 7.31; read ahead nothing: every page that is read is asked for by itself
            return struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 12, 10, 4096, 1, 1, 0, 0, *[0] * 7)
        if opcode == LOOKUP:
            return self.lookup(body.rstrip(b"\0"))
        if opcode == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.files[node - 2][1][offset:offset + size]
        if opcode == STATFS:
            return struct.pack("<5Q4I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0) + bytes(24)
        if opcode in (RELEASE, RELEASEDIR, FLUSH):
            return b""
        return errno.ENOSYS

    def run(self):
        while True:
            try:
                request = os.read(self.fd, BUFFER)
            except OSError:  # the mount is gone
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if self.is_dead or opcode in SILENT:
                continue
            answer = self.answer(opcode, node, request[40:])
            error, data = (-answer, b"") if isinstance(answer, int) else (0, answer)
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


class Mount:
    """with Mount(directory, {name: path, ...}) as mount: ... mount.die() or .stop() ... Root only; OSError where it cannot be."""

    def __init__(self, directory, files):
        self.directory, self.pid = directory, 0
        os.makedirs(directory, exist_ok=True)
        contents = {}
        for name, path in files.items():
            with open(path, "rb") as file:
                contents[name] = file.read()
        fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"cprof-test", directory.encode(), b"fuse", MS_RDONLY, options) < 0:
            os.close(fd)
            raise OSError(ctypes.get_errno(), "mount")
        self.heard, said = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                Server(fd, contents, said).run()
            finally:
                os._exit(0)
        os.close(fd)
        os.close(said)

    def stop(self):
        """Requests are not even taken any more; who waits can be killed."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def die(self):
        """Requests are taken and never answered, as by an sshfs whose server is gone. Who waits cannot even be killed until the end of the mount."""
        os.kill(self.pid, signal.SIGUSR1)
        os.read(self.heard, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)  # its end cuts the connection, and frees whoever waits
        os.waitpid(self.pid, 0)
        os.close(self.heard)
        libc.umount2(self.directory.encode(), MNT_DETACH)
