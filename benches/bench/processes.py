"""Starts programs, ends them, and asks the kernel how much memory they use. Knows nothing of what they do."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time

STARTED = []


def start(command, log, **options):
    """Starts a program that runs until `end`, its output in the file `log`. It has a session of its own, so that the kernel shares
    the processors out between programs, as between services, and not between their processes (sched(7), autogroup)."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
    STARTED.append(process)
    return process


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# Ended from outside, it takes what it started with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@atexit.register
def end_all():
    for process in reversed(STARTED):
        end(process)


def until(what, probe, seconds=60):
    """Asks every 50 ms until `probe` yields something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: waited {seconds} s in vain for {what}")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """The process and all its descendants."""
    found = [pid]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except FileNotFoundError:
            pass
    return found


def memory(pid):
    """Proportional set size of the process and all its descendants, in bytes (proc_pid_smaps(5))."""
    total = 0
    for member in tree(pid):
        try:
            with open(f"/proc/{member}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def processor_time(pid):
    """Seconds of processor time that the process and its living descendants have used; a process's own if it is this one
    (proc_pid_stat(5))."""
    ticks = 0
    for member in [pid] if pid == os.getpid() else tree(pid):
        try:
            with open(f"/proc/{member}/stat", encoding="utf-8") as stat:
                # Counting starts behind the name's last parenthesis, with field 3; wanted are 14 and 15.
                ticks += sum(int(field) for field in stat.read().rpartition(")")[2].split()[11:13])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


class Peak:
    """The most memory that a process tree used while the `with` block ran."""

    def __init__(self, pid):
        self.pid, self.bytes, self.over = pid, 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.25):
            self.bytes = max(self.bytes, memory(self.pid))

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
