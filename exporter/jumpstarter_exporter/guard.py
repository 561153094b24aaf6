"""A program that runs one command and ends it, with all it started, when whoever asked for it is gone.

``python -I -S guard.py FD COMMAND...`` runs COMMAND in a session of its own. FD is one end of a socket whose other end is held
by the process that started the guard, and by nobody else:

* When the other end is closed, its holder is dead, by ``kill -9`` too: the command and its descendants get SIGKILL at once.
  SIGHUP does the same: Linux sends it when the holder dies whose end a forked process still has open.
* After SIGTERM they get SIGTERM, and SIGKILL after `GRACE` seconds.
* When the command ends by itself, its exit code (negative: the signal) is written as text. What it left behind lives on.
* A command that cannot be started has the reason written, after ``!``.

On Linux descendants are found wherever they moved: the guard is their new parent when theirs has ended. Elsewhere the command's
process group is what is ended. Needs nothing but the standard library, as it starts often.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL for a command that is to end."""

#: Seconds between looks for descendants, while they are being ended.
_INTERVAL = 0.02
#: Seconds after which a descendant that survives SIGKILL, as another user's, is left alone.
_FUTILE = 5.0

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Command:
    """The command as a child of this process. `code` is None while it runs."""

    def __init__(self, command: list[str]) -> None:
        self.code: int | None = None
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, write)
        os.close(write)
        with open(read, encoding="utf-8") as pipe:
            self.problem = pipe.read()

    def reap(self) -> None:
        """Take note of all children that have ended."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self.pid:
                    self.code = os.waitstatus_to_exitcode(found[1])

    def end(self, grace: float) -> None:
        """End it and its descendants: SIGTERM, and SIGKILL after *grace* seconds. Without *grace* SIGKILL at once."""
        if grace:
            self._signal(signal.SIGTERM)
            self._gone_within(grace)
        deadline = time.monotonic() + _FUTILE
        while not self._gone() and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            time.sleep(_INTERVAL)

    def _gone_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._gone() and time.monotonic() < deadline:
            time.sleep(_INTERVAL)

    def _gone(self) -> bool:
        self.reap()
        return self.code is not None and not any(_descendants(os.getpid()))

    def _signal(self, number: signal.Signals) -> None:
        for pid in [*_descendants(os.getpid())] or [-self.pid]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _become(command: list[str], problem: int) -> None:
    """Turn this new process into *command*, or tell the *problem* and end it."""
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(command[0], command)
    except BaseException as error:  # noqa: BLE001 - this process must not go on as a second guard
        os.write(problem, f"{error}: '{command[0]}'".encode())
    finally:
        os._exit(127)


def _prctl(option: int, value: int) -> None:
    """prctl(2), where there is one."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _descendants(pid: int) -> Iterator[int]:
    """The processes below *pid* that are known to run, as /proc tells; none where there is no /proc."""
    parents = dict(_parents())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    yield from found - {pid}


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) for all that run and have not ended."""
    with contextlib.suppress(FileNotFoundError):
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - pathlib would take longer to import than all else
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    yield int(name), int(parent)


class Signals:
    """The signals that have come, with a descriptor that can be read when one did."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self.awake, wake = os.pipe()
        for end in (self.awake, wake):
            os.set_blocking(end, False)
        self.received: set[int] = set()
        for number in numbers:
            signal.signal(number, lambda number, _: self.received.add(number))
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def clear(self) -> None:
        """Wait for the next one from now on."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.awake, 512)


def run(holder: int, command: list[str]) -> None:
    """Run *command*, and tell *holder* how it ended, or end it."""
    signals = Signals(signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    child = Command(command)
    if child.problem:
        os.write(holder, f"!{child.problem}".encode())
        return
    _watch(child, holder, signals)
    if child.code is not None:
        with contextlib.suppress(OSError):
            os.write(holder, str(child.code).encode())


def _watch(child: Command, holder: int, signals: Signals) -> None:
    """Wait for the end of *child*, or end it."""
    while child.code is None:
        ready, _, _ = select.select([holder, signals.awake], [], [])
        signals.clear()
        child.reap()
        if holder in ready or signal.SIGHUP in signals.received:
            child.end(0)
            return
        if signal.SIGTERM in signals.received:
            child.end(GRACE)
            return


def main() -> None:
    """See the module."""
    holder = int(sys.argv[1])
    os.set_inheritable(holder, False)
    run(holder, sys.argv[2:])


if __name__ == "__main__":
    main()
