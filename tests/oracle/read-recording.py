# SPDX-License-Identifier: MIT
"""A second reader of recordings, written from docs/FORMAT.md and nothing else: what it finds in a golden file must be what the file holds.

    python3 read-recording.py FILE       prints the recording as text
    python3 read-recording.py --test GOLDEN-DIRECTORY
"""
import struct
import subprocess
import sys
import zlib

MASK = (1 << 64) - 1


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        assert self.at + length <= len(self.data), 'cut off'
        self.at += length
        return self.data[self.at - length:self.at]

    def u8(self):
        return self.take(1)[0]

    def uleb(self):
        value = 0
        for i in range(10):
            byte = self.u8()
            value |= (byte & 0x7f) << 7 * i
            if byte < 0x80:
                return value & MASK
        raise AssertionError('LEB128 too long')

    def zigzag(self):
        value = self.uleb()
        return value >> 1 ^ -(value & 1)

    def optional(self):
        value = self.uleb()
        return value - 1 if value else None

    def columns(self, count):
        lengths = [self.uleb() for _ in range(count)]
        return [Cursor(self.take(length)) for length in lengths]

    def rest(self):
        return len(self.data) - self.at


class Recording:
    def __init__(self, data):
        magic, version, length, self.roots, checksum = struct.unpack_from('<8sHHII', data)
        assert magic == b'\x89cprof\r\n' and version == 1 and length == 20
        assert checksum == zlib.crc32(data[:16])
        self.strings, self.facts, self.counters, self.clocks, self.events, self.modules = [], {}, {}, [], [], []
        self.processes, self.mappings, self.threads, self.ends, self.tasks, self.symbols = [], [], [], {}, [], {}
        self.frames, self.nodes, self.samples = [], [], []
        self.sites, self.scope_nodes, self.scopes, self.scope_paths, self.instances = [], [], [], [], []
        self.last_address, self.epoch_frames, self.epoch_nodes, self.fresh = {}, 0, 0, 0
        self.is_complete = False
        at = length
        while at < len(data):
            at = self.chunk(data, at)

    def chunk(self, data, at):
        kind, version, flags, zero, length, raw, checksum = struct.unpack_from('<4sBBHIII', data, at)
        assert zero == 0 and not flags & ~3 and length <= raw <= 16 << 20
        stored = data[at + 20:at + 20 + length]
        assert zlib.crc32(stored, zlib.crc32(data[at:at + 16])) == checksum
        read = getattr(self, kind.decode(), None)
        if read is None or version > (2 if kind == b'FRAM' else 1):
            assert flags & 1, f'needs a newer reader: {kind}'
            return at + 20 + length
        if flags & 2:
            stored = subprocess.run(['zstd', '-dcq'], input=stored, stdout=subprocess.PIPE, check=True).stdout
        assert len(stored) == raw
        c = Cursor(stored)
        read(c)
        assert c.rest() == 0
        return at + 20 + length

    def string(self, c):
        return self.strings[c.uleb()]

    def string_or_none(self, c):
        value = c.optional()
        return None if value is None else self.strings[value]

    def STRS(self, c):
        parts = c.take(c.rest()).split(b'\0')
        assert parts.pop() == b''
        self.strings += parts

    def FACT(self, c):
        while c.rest():
            key = self.string(c)
            self.facts[key] = self.string(c)

    def CNTR(self, c):
        while c.rest():
            name = self.string(c)
            self.counters[name] = c.uleb()

    def CLCK(self, c):
        while c.rest():
            self.clocks.append((c.uleb(), c.uleb(), c.uleb()))

    def EVNT(self, c):
        while c.rest():
            names = [self.string(c) for _ in range(5)]
            self.events.append((*names, c.uleb(), c.u8(), c.u8()))

    def MODL(self, c):
        while c.rest():
            kind, path, flags = c.u8(), self.string(c), c.uleb()
            self.modules.append([kind, path, flags, c.take(c.uleb())])

    def MODU(self, c):
        while c.rest():
            module, flags = c.uleb(), c.uleb()
            self.modules[module][2:] = [flags, c.take(c.uleb())]

    def PROC(self, c):
        while c.rest():
            self.processes.append((c.uleb(), c.optional(), c.uleb(), c.uleb()))

    def MAPS(self, c):
        while c.rest():
            self.mappings.append(tuple(c.uleb() for _ in range(6)))

    def THRD(self, c):
        while c.rest():
            self.threads.append((c.uleb(), c.uleb(), c.uleb()))

    def TEND(self, c):
        while c.rest():
            thread = c.uleb()
            self.ends[thread] = (c.u8(), c.uleb(), c.uleb())

    def TASK(self, c):
        while c.rest():
            self.tasks.append((c.uleb(), c.uleb(), self.string(c), c.uleb()))

    def SYMB(self, c):
        while c.rest():
            address = c.uleb(), c.uleb()
            self.symbols[address] = [(self.string_or_none(c), self.string_or_none(c), c.uleb(), c.u8()) for _ in range(c.uleb())]

    def SITE(self, c):
        while c.rest():
            self.sites.append((c.u8(), self.string(c), self.string(c), self.string(c), c.uleb()))

    def SCND(self, c):
        while c.rest():
            self.scope_nodes.append((c.optional(), c.uleb()))

    def SCOP(self, c):
        while c.rest():
            sums = [c.uleb() for _ in range(14)]
            slowest, buckets, elapsed = c.uleb(), c.uleb(), c.uleb()
            slowest = [(c.uleb(), c.uleb()) for _ in range(slowest)]
            self.scopes.append((sums, slowest, self.buckets(c, buckets), self.buckets(c, elapsed)))

    @staticmethod
    def buckets(c, count):
        found, at = [], 0
        for _ in range(count):
            at += c.uleb()
            found.append((at, c.uleb()))
            at += 1
        assert at <= 336
        return found

    def SCPA(self, c):
        while c.rest():
            self.scope_paths.append(tuple(c.uleb() for _ in range(6)))

    def INST(self, c):
        while c.rest():
            thread, site, begin = c.uleb(), c.uleb(), c.uleb()
            self.instances.append((thread, site, begin, begin + c.uleb(), c.uleb()))

    def FRAM(self, c):
        kinds, flags, modules, addresses = c.columns(4)
        while kinds.rest():
            kind, module = kinds.u8(), modules.optional()
            address = self.last_address.get(module, 0) + addresses.zigzag() & MASK
            self.last_address[module] = address
            self.frames.append((kind & 15, kind >> 4, flags.u8(), module, address))
        assert not flags.rest() and not modules.rest() and not addresses.rest()

    def NODE(self, c):
        """A node is kept as (parent, frame); a parent below 0 is root -1 - parent."""
        parents, frames = c.columns(2)
        while parents.rest():
            parent = self.roots + len(self.nodes) - self.epoch_nodes - 1 - parents.uleb()
            frame = self.fresh - frames.zigzag()
            assert parent >= 0 and 0 <= frame < len(self.frames) - self.epoch_frames
            self.fresh = max(self.fresh, frame + 1)
            self.nodes.append((self.node(parent), self.epoch_frames + frame))
        assert not frames.rest()

    def node(self, number):
        return -1 - number if number < self.roots else self.epoch_nodes + number - self.roots

    def EPOC(self, c):
        self.epoch_frames, self.epoch_nodes, self.fresh = len(self.frames), len(self.nodes), 0

    def SMPL(self, c):
        count, base = c.uleb(), c.uleb()
        lanes = [dict(event=c.uleb(), cpu=c.uleb(), flags=c.u8(), step=c.uleb(), expected=base, task=None) for _ in range(c.uleb())]
        lane_column, times, tasks, node_column, dictionary, weights = c.columns(6)
        nodes, last = [], 0
        while dictionary.rest():
            last += dictionary.zigzag()
            nodes.append(self.node(last))
        lane_ids, indexes = self.planes(lane_column, count, len(lanes) > 256), self.planes(node_column, count, len(nodes) > 255)
        used = 0
        for lane_id, index in zip(lane_ids, indexes):
            lane = lanes[lane_id]
            event = self.events[lane['event']]
            time = lane['expected'] + times.zigzag() & MASK
            lane['expected'] = time + lane['step'] & MASK
            task = tasks.optional()
            lane['task'] = lane['task'] if task is None else task
            used += index == 0
            assert index <= used
            weight = [weights.uleb() for _ in range(event[6])] if lane['flags'] & 1 else [event[5]]
            self.samples.append((time, lane['task'], nodes[index - 1 if index else used - 1], lane['event'], lane['cpu'], weight))
        assert used == len(nodes) and not times.rest() and not tasks.rest() and not weights.rest()

    @staticmethod
    def planes(column, count, is_wide):
        low = column.take(count)
        high = column.take(count) if is_wide else bytes(count)
        assert not column.rest()
        return [a | b << 8 for a, b in zip(low, high)]

    def DONE(self, c):
        assert c.uleb() == len(self.samples)
        self.is_complete = True


def show(recording):
    for name, value in vars(recording).items():
        print(name, value)


def check_scopes(r):
    """The rows of specimen_write_scopes, as they were written: added up by nobody."""
    hostile = b'a;b 7\r\n\t<>&"\x01\x7f\xff\xfe\xc3(\xed\xa0\x80'
    assert r.sites == [(0, hostile, b'f', b'', 7), (3, b'requests', b'g', b'x.c', 0xffffffff)]
    assert r.scope_nodes == [(None, 0), (0, 1)]
    assert r.scopes == [([1, 0, 3, 2, 50, 40, 60, 5, 30, 0, 0, 0, 0, 0], [(100, 30)], [(0, 1), (7, 2), (335, 0xffffffff)], []),
                        ([1, 0, 3, 2, 50, 40, 60, 4, 29, 0, 0, 1, 0, 17], [(100, 30), (200, 29)], [(7, 5)], [(7, 5)]),
                        ([0, 1, MASK] + [0] * 11, [], [], [])]
    assert r.scope_paths == [(1, 1, 2, 1, 100, 90), (1, 1, 3, 0, 10, 9)]
    assert r.instances == [(1, 0, 1000, MASK, 17)]


def check_golden(path, has_scopes):
    """The rows of tests/unit/recording/specimen.h."""
    with open(path, 'rb') as file:
        r = Recording(file.read())
    hostile = b'a;b 7\r\n\t<>&"\x01\x7f\xff\xfe\xc3(\xed\xa0\x80'
    assert r.is_complete
    assert r.facts == {b'command': hostile, b'': b''}
    assert r.counters == {b'ring full': 0, b'stack truncated': MASK}
    assert r.clocks == [(1, MASK, 3)]
    assert [e[0] for e in r.events] == [b'cpu-clock', b'alloc'] and r.events[0][5:] == (1003009, 1, 1) and r.events[1][5:] == (0, 4, 2)
    assert r.modules == [[0, b'/bin/' + hostile, 8, b'\xab' * 32], [3, b'x' * 65536, 0, b'']]
    assert r.processes == [(0xffffffff, None, 5, 1), (7, 0, MASK, 0)]
    assert r.mappings == [(1, 1, 17, 0xffffffffff600000, 0x1000, MASK)]
    assert r.threads == [(7, 7, 10), (7, 8, 11)] and r.ends == {1: (3, 500, 499)}
    assert r.tasks == [(0, 1, b'comm', 10), (1, 1, hostile, 12)]
    scope = [(5, 3, 0, None, 1)] if has_scopes else []
    assert r.frames == [(0, 1, 1, 0, 0x1000), (1, 0, 0, 1, 0xffffffff81000000), (4, 7, 0, None, 9000), (0, 6, 0, 0, 0x2000)] + scope
    assert r.nodes == [(-1, 0), (0, 1), (-2, 2), (-3, 3), (3, 3)]
    assert r.samples == [(1000, 0, 1, 0, 0, [1003009]), (2000, 1, -8, 1, 3, [1, MASK, 0, 4]), (3000, 0, 4, 0, 0, [1])]
    assert r.symbols == {(0, 0x2000): [(b'inner(int)', None, 0, 1), (hostile, b'x.c', 0xffffffff, 0)], (0, 0xfff): [(None, None, 0, 0)],
                         (1, 0xffffffff81000000): []}
    if has_scopes:
        check_scopes(r)


if sys.argv[1] == '--test':
    check_golden(f'{sys.argv[2]}/recording-1.data', False)
    check_golden(f'{sys.argv[2]}/recording-2.data', True)
    print('ok 1 - a reader written from the specification reads the golden recordings\n1..1')
else:
    with open(sys.argv[1], 'rb') as argument:
        show(Recording(argument.read()))
