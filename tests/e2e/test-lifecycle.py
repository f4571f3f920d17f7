#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cprof-record and the life of the command it starts: exit statuses, signals, descriptors, failures of its own.

Waits are for conditions, never for time alone.
"""

import errno
import os
import re
import resource
import select
import signal
import stat
import subprocess

import harness
from commands import BUSY, PYTHON, QUIET, SAY_AND_WAIT, cpu_ticks, one_line, parent, read_line, samples_said, start, state
from harness import check, equal, main, test, wait_for

# ---- exit status


@test("the exit status is the command's")
def _(run):
    for status in (0, 1, 7, 125, 126, 255):
        run.record("sh", "-c", f"exit {status}", options=QUIET, status=status)


@test("death by a signal is passed on")
def _(run):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGABRT, signal.SIGINT, signal.SIGUSR1):
        run.record("sh", "-c", f"ulimit -c 0; kill -{int(number)} $$", options=QUIET, status=-number)


@test("death by a signal leaves no core file of ours")
def _(run):
    unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    run.record("sh", "-c", "ulimit -c 0; kill -SEGV $$", options=QUIET, status=-signal.SIGSEGV, preexec_fn=unlimited)
    equal([name for name in os.listdir(run.directory) if "core" in name], [], "core files")


@test("a command that is not there: 127, one line, no recording")
def _(run):
    one_line(run.record("no-such-command-anywhere", status=127, env={"PATH": "/bin:/usr/bin"}).err)
    check(not os.path.exists(run.path("cprof.data")), "a recording was left")


@test("a file that is no program: 126")
def _(run):
    one_line(run.record("/etc/passwd", status=126).err)
    one_line(run.record("/", status=126).err)


@test("a script without its interpreter leaves the recording that was there")
def _(run):
    os.chmod(run.write("broken", "#!/no/such/interpreter\n"), 0o755)
    run.write("cprof.data", "old")
    one_line(run.record("./broken", status=127).err)
    equal(run.read("cprof.data"), "old", "the recording")


@test("bad options: 125, and the command is not run")
def _(run):
    for options in (["-F", "100001"], ["--no-such"], ["-e", "nonsense"], ["--stack-size", "7"]):
        run.record("touch", "ran", options=options, status=125)
    check(not os.path.exists(run.path("ran")), "the command ran")


# ---- input, output, descriptors


@test("input and output are the command's")
def _(run):
    text = os.urandom(300000)
    process = start(run, "cat", stdin=subprocess.PIPE, errors=None)
    out, err = process.communicate(text, timeout=harness.TIMEOUT)
    check(out == text, "what came out is not what went in")
    equal(err, b"", "stderr with -q")


@test("the summary: on stderr, three lines at most, with the command to look at it")
def _(run):
    done = run.record("sh", "-c", "echo out; " + BUSY)
    equal(done.out, "out\n", "stdout")
    check(1 <= done.err.count("\n") <= 3, f"lines: {done.err!r}")
    check("cprof-report" in done.err, done.err)


@test("the command inherits no descriptor")
def _(run):
    probe = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))"
    equal(run.record(PYTHON, "-c", probe, options=QUIET).out, run.run(PYTHON, "-c", probe).out, "descriptors")


@test("closed standard streams stay closed, and get no other use")
def _(run):
    close = lambda: [os.close(number) for number in (0, 1, 2)]
    run.record("sh", "-c", f"ls /proc/$$/fd > fds; {BUSY}", preexec_fn=close)
    check(not {"0", "2"} & set(run.read("fds").split()), f"open: {run.read('fds')}")
    check("look at it" not in run.read("cprof.data"), "the summary is in the recording")
    run.report()


@test("limits, priority, signal mask and dispositions are the command's own")
def _(run):
    probe = ("import os, resource, signal; print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE), "
             "os.getpriority(0, 0), os.sched_getscheduler(0), sorted(signal.pthread_sigmask(0, [])), "
             "[int(s) for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN])")
    lower = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    plain = run.run(PYTHON, "-c", probe, preexec_fn=lower).out
    equal(run.record(PYTHON, "-c", probe, options=QUIET, preexec_fn=lower).out, plain, "what the command sees")


@test("an ignored SIGHUP stays ignored")
def _(run):
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process = start(run, "sh", "-c", "echo ready; read x; exit 3", stdin=subprocess.PIPE, preexec_fn=ignore)
    read_line(process)
    process.send_signal(signal.SIGHUP)
    process.communicate("\n", timeout=harness.TIMEOUT)
    equal(process.returncode, 3, "status")


@test("an ignored SIGCHLD does no harm")
def _(run):
    run.record("sh", "-c", "exit 9", options=QUIET, status=9, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))


# ---- the file


@test("the file is private, and the old one is kept")
def _(run):
    run.record("true", options=QUIET)
    first = os.stat(run.path("cprof.data"))
    equal(stat.S_IMODE(first.st_mode), 0o600, "mode")
    run.record("true", options=QUIET)
    equal(os.stat(run.path("cprof.data.old")).st_ino, first.st_ino, "the old one")
    equal(sorted(os.listdir(run.directory)), ["cprof.data", "cprof.data.old"], "files")


@test("an unwritable directory: one line, 125, and the command is not run")
def _(run):
    one_line(run.record("touch", run.path("ran"), output="/proc/nowhere/cprof.data", status=125).err)
    one_line(run.record("touch", run.path("ran"), output="/dev/full", status=125).err)
    check(not os.path.exists(run.path("ran")), "the command ran")


@test("a disk that fills up: one line, 125, and the command goes on", root=True)
def _(run):
    os.mkdir(run.path("small"))
    run.run("mount", "-t", "tmpfs", "-o", "size=16k", "none", run.path("small"))
    try:
        many_functions = ("import os\ni = 0\nwhile i < 400:\n i += 1\n exec('def f%d(): return sum(range(9999))' % i)\n eval('f%d()' % i)\n"
                          "os.write(1, b'done')")
        done = run.record(PYTHON, "-c", many_functions, options=["-F", "20000"], output="small/cprof.data", status=125)
        equal(done.out, "done", "what the command wrote")
        check("No space left" in done.err, done.err)
        one_line(done.err)
    finally:
        run.run("umount", "-l", run.path("small"))


@test("a pipe whose reader goes away: one line, 125, and the command goes on")
def _(run):
    os.mkfifo(run.path("fifo"))
    reader = os.open(run.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
    process = start(run, "sh", "-c", "read x; echo end; exit 3", options=["-q", "-o", "fifo"], stdin=subprocess.PIPE)
    wait_for(lambda: select.select([reader], [], [], 0)[0], "the head of the recording")
    os.close(reader)
    out, err = process.communicate("\n", timeout=harness.TIMEOUT)
    equal(out, "end\n", "what the command wrote")
    equal(process.returncode, 125, "status")
    one_line(err)


# ---- signals

@test("what is sent to the recorder reaches the command")
def _(run):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        process = start(run, PYTHON, "-c", SAY_AND_WAIT, str(int(number)))
        equal(read_line(process), "ready", "first line")
        process.send_signal(number)
        equal(read_line(process), f"got {int(number)}", f"second line after {number!r}")
        equal(process.wait(harness.TIMEOUT), 42, "status")
        run.report()


@test("SIGKILL to the command: everything is saved")
def _(run):
    process = start(run, "sh", "-c", "echo $$; while :; do :; done", options=())
    pid = int(read_line(process))
    wait_for(lambda: cpu_ticks(pid) > 20, "CPU time")
    ticks = cpu_ticks(pid)
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=harness.TIMEOUT)
    equal(process.returncode, -signal.SIGKILL, "status")
    seconds = ticks / os.sysconf("SC_CLK_TCK")
    lost = re.search(r"(\d+) samples lost", err)
    check(samples_said(err) + int(lost[1] if lost else 0) >= 900 * seconds, f"{seconds} s of CPU time, and {err}")
    run.report()


@test("SIGKILL to the recorder: the command runs on, and the file reports")
def _(run):
    process = start(run, "sh", "-c", "echo $$; while :; do :; done")
    pid = int(read_line(process))
    wait_for(lambda: cpu_ticks(pid) > 2.5 * os.sysconf("SC_CLK_TCK"), "two and a half seconds of recording")
    process.kill()
    equal(process.wait(harness.TIMEOUT), -signal.SIGKILL, "status")
    ticks = cpu_ticks(pid)
    wait_for(lambda: cpu_ticks(pid) > ticks + 5, "the command goes on")
    os.kill(pid, signal.SIGKILL)
    folded = run.folded()
    samples = sum(int(line.rpartition(" ")[2]) for line in folded.splitlines())
    check(samples > 997, f"{samples} samples of 2.5 s")
    check(folded.startswith("sh;"), folded[:200])


@test("a stopped recorder never stops the command, and every sample it missed is counted")
def _(run):
    work = "import time\nprint('begun', flush=True)\nwhile time.process_time() < 1: sum(range(20000))\nprint('done', flush=True)\ninput()"
    process = start(run, PYTHON, "-c", work, options=(), stdin=subprocess.PIPE)
    equal(read_line(process), "begun", "the command")
    process.send_signal(signal.SIGSTOP)
    equal(read_line(process), "done", "the command")
    equal(state(process.pid), "T", "the recorder")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate("\n", timeout=harness.TIMEOUT)
    equal(process.returncode, 0, "status")
    lost = re.search(r"(\d+) samples lost", err)
    check(lost, f"nothing is said to be lost: {err}")
    both, wanted = samples_said(err) + int(lost.group(1)), 997 * exact_seconds(run)
    check(.95 * wanted < both < 1.03 * wanted, f"{both} samples recorded or lost, {wanted:.0f} expected: {err}")


def exact_seconds(run):
    found = re.search(r"sampled of the ([0-9.]+) s", run.report())
    check(found, "the report has no coverage")
    return float(found.group(1))


# ---- whom it waits for


@test("it ends with the command, though a child lives on")
def _(run):
    process = start(run, "sh", "-c", "sleep 60 & echo $!; exit 4", stdin=subprocess.PIPE)
    child = int(read_line(process))
    equal(process.wait(harness.TIMEOUT), 4, "status")
    check(state(child) not in (None, "Z"), "the child was ended")
    os.kill(child, signal.SIGKILL)
    run.report()


@test("with --wait-all it waits for orphans")
def _(run):
    os.mkfifo(run.path("gate"))
    process = start(run, "sh", "-c", "(setsid sh -c 'echo $$; read x < gate' &); exit 4", options=["-q", "--wait-all"])
    orphan = int(read_line(process))
    with open(run.path("gate"), "w", encoding="ascii"):  # opens when the orphan does
        wait_for(lambda: parent(orphan) == process.pid, "the orphan is the recorder's")
        equal(process.poll(), None, "the recorder's status while the orphan lives")
    equal(process.wait(harness.TIMEOUT), 4, "status")
    equal(state(orphan), None, "the orphan's state")


@test("--no-inherit leaves child processes out, but not threads")
def _(run):
    work = "def f():\n s = 0\n for i in range(3000000): s += i\n"
    scripts = {"child": work + "import os\nif os.fork() == 0: f(); os._exit(0)\nos.wait()",
               "thread": work + "import threading\nt = threading.Thread(target=f); t.start(); t.join()"}
    counts = {(name, flags): samples_said(run.record(PYTHON, "-c", script, options=flags).err)
              for name, script in scripts.items() for flags in ((), ("--no-inherit",))}
    check(counts["child", ("--no-inherit",)] * 2 < counts["child", ()], f"the child was recorded: {counts}")
    check(counts["thread", ("--no-inherit",)] * 2 > counts["thread", ()], f"the thread was not recorded: {counts}")


# ---- permissions


@test("perf_event_open denied, and no other engine wanted: one line that says what mends it, 125, and the command is not run")
def _(run):
    for error in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        done = run.record("touch", "ran", options=("--engine", "perf"), status=125, preexec_fn=lambda: harness.deny_perf(error))
        one_line(done.err)
        check("perf_event_open" in done.err, done.err)
    equal(os.listdir(run.directory), [], "files")


@test("an ordinary user at paranoid 2: user mode only, and one line says what mends it", user=True)
def _(run):
    if harness.perf_paranoid() != 2:
        raise harness.Skip(f"kernel.perf_event_paranoid is {harness.perf_paranoid()}")
    done = run.record("sh", "-c", BUSY)
    check("sysctl kernel.perf_event_paranoid=1" in done.err, done.err)
    check(samples_said(done.err) > 0, done.err)


@test("little lockable memory: a smaller ring, and no samples lost", user=True)
def _(run):
    def attempt():
        """The budget is the user's: what else runs as this user may have it all just now."""
        little = lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        done = run.record("sh", "-c", "; ".join([BUSY] * 3), preexec_fn=little, status=None)
        return None if "not enough locked memory" in done.err else done

    done = wait_for(attempt, "some lockable memory")
    equal(done.returncode, 0, done.err)
    check("ring full" not in done.err, done.err)


main()
