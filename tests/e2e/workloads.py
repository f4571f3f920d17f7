# SPDX-License-Identifier: MIT
"""Real programs at real work of a second or two, for the tests and the bench: name -> how to prepare and start it in a directory."""

import os
import random


def _text(path, megabytes):
    """Compresses to about a third, as logs do."""
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 11))) for _ in range(4000)]
    with open(path, "w", encoding="ascii") as file:
        for _ in range(megabytes):
            size = 0
            while size < 1 << 20:
                line = f"{chance.randint(0, 1 << 32):08x} {' '.join(chance.choices(words, k=60))}\n"
                file.write(line)
                size += len(line)


def _large_text(path, megabytes, copies):
    _text(path, megabytes)
    with open(path, "rb") as file:
        once = file.read()
    with open(path, "wb") as file:
        for i in range(copies):
            file.write(once[i * 1001:] + once[:i * 1001])


def _sqlite(directory, scale):
    rows = int(200000 * scale)
    return ["sqlite3", ":memory:",
            f"CREATE TABLE t AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {rows}) "
            "SELECT x, x * 7919 % 10007 AS k, 'name ' || (x * 31 % 5003) AS s FROM c; "
            "CREATE INDEX i ON t(k); "
            "SELECT count(*), sum(a.x % 7) FROM t a JOIN t b ON a.k = b.k WHERE a.x < b.x; "
            "SELECT s, count(*), max(x) FROM t WHERE s LIKE '%3%' GROUP BY s ORDER BY 2 DESC, s LIMIT 5;"]


def _zstd(directory, scale):
    _large_text(os.path.join(directory, "input"), 2, max(1, int(60 * scale)))
    return ["zstd", "-q", "-f", "-T2", "-10", "-o", os.path.join(directory, "output"), os.path.join(directory, "input")]


def _xz(directory, scale):
    _large_text(os.path.join(directory, "input"), 1, max(2, int(3 * scale)))
    return ["xz", "-k", "-f", "-T2", "--block-size=1MiB", "-4", os.path.join(directory, "input")]


def _python(directory, scale):
    script = ("import json, re\n"
              "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
              f"for i in range({max(1, int(40 * scale))}):\n"
              "    fib(21)\n"
              "    data = [{'id': k, 'name': 'n%d' % k, 'tags': list(range(k % 7))} for k in range(4000)]\n"
              "    text = json.dumps(json.loads(json.dumps(data, indent=1)))\n"
              "    re.findall(r'(\\w+)\": (\\d+)', text)\n"
              "    sorted(data, key=lambda d: (d['name'], -d['id']))\n")
    return ["/usr/bin/python3", "-c", script]


def _perl(directory, scale):
    return ["perl", "-e", f"my %h; for my $i (1..{int(2800000 * scale)}) {{ my $s = 'k' . ($i * 7919 % 50021); $h{{$s}} .= chr(65 + $i % 26); "
            "$h{$s} =~ s/A+(B*)/$1x/ if $i % 3 == 0; } print scalar(keys %h), ' ', length(join('', sort values %h)), qq(\\n);"]


def _luajit(directory, scale):
    return ["luajit", "-joff", "-e", f"local t = {{}} for i = 1, {int(15000000 * scale)} do local k = (i * 7919) % 10007 "
            "t[k] = (t[k] or '') .. string.char(65 + i % 26) if #t[k] > 60 then t[k] = t[k]:gsub('A', 'b'):sub(1, 9) end end "
            "local n = 0 for k, v in pairs(t) do n = n + #v end print(n)"]


def _gcc(directory, scale):
    """A file of many functions that the optimiser has to think about."""
    path = os.path.join(directory, "large.c")
    chance = random.Random(2)
    with open(path, "w", encoding="ascii") as file:
        file.write("#include <stdint.h>\n#include <string.h>\nstruct node { struct node *next[4]; uint64_t key; char name[24]; };\n")
        for i in range(max(2, int(32 * scale))):
            file.write(f"uint64_t f{i}(struct node *n, uint64_t x, const char *s) {{\n    uint64_t a[16] = {{0}};\n")
            for k in range(12):
                file.write(f"    for (int i = 0; i < {chance.randint(4, 60)}; i++) {{ a[i & 15] += x * {chance.randint(3, 999)} + (n ? n->key : i); "
                           f"if (n && (x >> {chance.randint(1, 30)} & 1)) n = n->next[{chance.randint(0, 3)}]; "
                           f"else if (s && !strncmp(s, \"{chance.randint(10, 99)}\", 2)) x ^= a[{k}]; }}\n")
            call = f" + f{chance.randint(0, i - 1)}(n, x >> 1, s)" if i else ""
            file.write(f"    return x > 5 ? a[x & 15]{call} : a[3];\n}}\n")
    return ["gcc", "-O2", "-c", path, "-o", os.path.join(directory, "large.o")]


WORKLOADS = {"sqlite3": _sqlite, "zstd": _zstd, "xz": _xz, "python3": _python, "perl": _perl, "luajit": _luajit, "gcc": _gcc}


def command(name, directory, scale=1.0):
    """Prepares `name` in `directory` and returns its command line."""
    return WORKLOADS[name](directory, scale)


if __name__ == "__main__":
    import shlex
    import sys
    os.makedirs(sys.argv[2], exist_ok=True)
    print(shlex.join(command(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)))
