# SPDX-License-Identifier: MIT
"""The 25 hard cases of unwinding: which program of tests/programs (or of Debian) meets each, what holds it, and where it stands."""

import re

EXACT, MARKED, PARTLY = "exact", "marked", "partly"

# (case, programs whose samples are in the tables above, other tests that hold it, standing, remarks)
CASES = (
    ("PLT stubs, lazy and with CET", "plt plt-cet", "e2e-frames, unit elf-symbols", EXACT, "by their CFI, else by their code; shown as `foo@plt`"),
    ("vDSO", "", "e2e-frames, unit process-open", EXACT, "read from memory; an import takes ours only if it is the same"),
    ("signal trampolines: first instruction, nested, alternate stack", "handlers", "e2e-chains, e2e-frames, oracle-steps", MARKED,
     "below a handler on an alternate stack the interrupted stack is in no copy: read live, else *truncated*"),
    ("leaves without a frame pointer", "plain", "e2e-chains", EXACT, ""),
    ("every pc of prologues and epilogues", "", "oracle-steps single-steps them against libunwind; oracle-rows", EXACT, "stale rows of epilogues are mended in the innermost frame"),
    ("return address behind a call that does not return", "noreturn", "e2e-chains, e2e-frames", EXACT, ""),
    ("CFA on other registers, by expression, realigned frames", "realign openssl openssl-rsa", "fuzz-expression, oracle-rows", EXACT,
     "frames by libunwind's evaluator are counted as *libunwind*; what a witness has more of in realign is wrong (last table above)"),
    ("no CFI at all", "x264 gmp plain-musl", "e2e-chains: plain-frame-pointers", MARKED, "*derived* or *inferred* where code proves it, else *guessed*, *frame pointer*, or the stack ends"),
    (".debug_frame, 64-bit DWARF, no .eh_frame_hdr", "plain-debug-frame plain-debug-frame-zlib plain-debug-frame-dwarf64 plain-no-header", "fuzz-cfi, e2e-hostile", EXACT, ""),
    ("end of stack", "plain threads fibers", "e2e-chains", EXACT, "*complete* only by a rule that says so; every other end has a name and a count"),
    ("musl", "plain-musl plain-musl-static", "e2e-chains", MARKED, "its C library has no CFI"),
    ("static and static-pie", "plain-static plain-static-pie", "e2e-chains", EXACT, ""),
    ("JIT code", "", "e2e-chains: jit, jit-dump; e2e-import; fuzz-jitdump", PARTLY,
     "perf-PID.map live, jit-PID.dump live and in imports; frame pointers inside; one name an address: code that took another's place has the later name. "
     "Not: `__jit_debug_register_code`, the dump's lines and unwind tables"),
    ("Go", "", "e2e-signal: cgo", PARTLY, "no known-chain program; stacks end, with their reason, where the runtime changes stacks"),
    ("swapcontext, fibers", "fibers", "e2e-chains", EXACT, "glibc's makecontext; boost, folly and Julia have no test here"),
    ("deep recursion", "threads", "e2e-chains: deep", MARKED, "1,024 frames from either end, what is between them is counted and shown as cut"),
    ("exec, fork, vfork, posix_spawn", "process", "e2e-chains, e2e-lifecycle", EXACT, ""),
    ("dlopen and dlclose, addresses used again", "plugins", "e2e-reuse", EXACT, ""),
    ("bias: lld, gold, odd segments, mapped twice, ld.so as argv[0]", "plain-lld plain-gold plain-noseparate-code plain-huge-alignment mapped-twice", "e2e-chains", EXACT,
     "text on huge pages by remapping has no test"),
    ("separate debug files, split DWARF, stripped, mini symbols", "plain-stripped plain-split-dwarf", "unit elf-debugfile, elf-lines, symbol-module", PARTLY, "no debuginfod"),
    ("huge binaries", "g++ clang", "bench-unwind: libLLVM, 981,194 rows", EXACT, "built when first met, once for all processes; no cache on disk"),
    ("deleted or replaced files", "", "e2e-chains, e2e-hostile, unit process-open", PARTLY,
     "a file that is cut short in place loses its names, and one on a mount that no longer answers, after 5 s; where the mount's server has taken a request, the kernel lets the recorder's process go only with the mount"),
    ("containers", "", "unit process-open, pipeline-jit; e2e-signal for seccomp", PARTLY, "/proc/PID/root, inodes of overlays, inner pids; no test starts a container"),
    ("clocks", "", "unit pipeline-merge, e2e-recording", EXACT, "CLOCK_MONOTONIC throughout"),
    ("a machine without PMU, perf_event_paranoid", "", "all e2e tests, as root and as an ordinary user", EXACT, "this machine has none; no correction of skid"),
)


def measured(lines):
    """{program: (share of complete stacks, agreement)} of the table of programs."""
    rows = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 14 and re.fullmatch(r"[\d.]+ %", cells[3]):
            rows[cells[0]] = (cells[3], cells[13])
    return rows


def table(lines):
    rows = measured(lines)
    yield "| | case | programs: complete, agreement | also held by | | |"
    yield "| --: | --- | --- | --- | --- | --- |"
    for number, (case, programs, tests, standing, remark) in enumerate(CASES, 1):
        shown = "; ".join(f"{name}: {', '.join(rows[name])}" if name in rows else f"{name}: not recorded" for name in programs.split())
        yield f"| {number} | {case} | {shown} | {tests} | {standing} | {remark} |"
