"""A program that runs one command and ends it, with all it started, when whoever asked for it is gone.

``python -I -S guard.py FD MODE COMMAND...`` runs COMMAND in a session of its own. FD is one end of a socket whose other end is
held by the process that started the guard, and by nobody else:

* When the other end is closed, its holder is dead, by ``kill -9`` too: the command and its descendants get SIGKILL at once.
  So it is when the holder is dead whose end a forked process still has open, on Linux.
* After SIGTERM they get SIGTERM, and SIGKILL after `GRACE` seconds.
* When the command ends by itself, its exit code (negative: the signal) is written as text. What it left behind lives on: with
  the MODE ``go`` for ever, with ``stay`` until the guard ends it as above, and ``+`` is written after the code.
* A command that cannot be started has the reason written, after ``!``.
* A process with `KEEP` in its environment is left alone.

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
from collections.abc import Callable, Iterator

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL for a command that is to end."""

KEEP = b"JMP_HOOK_KEEP=1"
"""In the environment of a process: it is meant to live on, whatever becomes of the command."""

#: Seconds between looks for descendants, while they are being ended, where the system tells nobody of their end.
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
            self._until_gone(grace, lambda: None)
        self._until_gone(_FUTILE, lambda: self._signal(signal.SIGKILL))

    def _until_gone(self, seconds: float, look: Callable[[], object]) -> None:
        """Until all have ended, *seconds* at the most. *look* is called first, and whenever one has ended."""
        deadline = time.monotonic() + seconds
        while not self._gone() and (left := deadline - time.monotonic()) > 0:
            look()
            wait_for_end(self.left_behind(), left)

    def _gone(self) -> bool:
        self.reap()
        return self.code is not None and not self.left_behind()

    def left_behind(self) -> list[int]:
        """The descendants that are to end; none where there is no /proc."""
        return [pid for pid in _descendants(os.getpid()) if not _is_kept(pid)]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.left_behind() if os.access("/proc/self/stat", os.R_OK) else [-self.pid]:
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


def _is_kept(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return KEEP in file.read().split(b"\0")
    return False


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


class Guard:
    """Runs one command for the process that holds the other end of *holder*."""

    def __init__(self, holder: int) -> None:
        self._holder = holder
        self._signals = Signals(signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
        self._ends = [holder, *_death_of(os.getppid())]

    def run(self, command: list[str], *, stay: bool) -> None:
        """Run *command*, and tell the holder how it ended, or end it. With *stay*, look after what it left behind."""
        child = Command(command)
        if child.problem:
            os.write(self._holder, f"!{child.problem}".encode())
            return
        ended = self._watch(child, lambda: child.code is not None)
        stays = ended and stay and bool(child.left_behind())
        if stays:
            # That signal is about the thread that started the guard, which ends before its process.
            _prctl(_PR_SET_PDEATHSIG, 0)
        if child.code is not None:
            with contextlib.suppress(OSError):
                os.write(self._holder, f"{child.code}{'+' if stays else ''}".encode())
        if stays:
            self._watch(child, lambda: not child.left_behind())

    def _watch(self, child: Command, over: Callable[[], bool]) -> bool:
        """Wait until *over*, or end *child* and what it left behind: whether it was not ended."""
        while not over():
            ready, _, _ = select.select([*self._ends, self._signals.awake], [], [])
            self._signals.clear()
            child.reap()
            if set(ready) & set(self._ends) or signal.SIGHUP in self._signals.received:
                child.end(0)
                return False
            if signal.SIGTERM in self._signals.received:
                child.end(GRACE)
                return False
        return True


def wait_for_end(pids: list[int], seconds: float) -> None:
    """Wait until one of the processes has ended, *seconds* at the most; for a moment where the system cannot tell."""
    deaths = [death for pid in pids for death in _death_of(pid)]
    if not deaths:
        time.sleep(min(_INTERVAL, seconds))
        return
    poll = select.poll()
    for death in deaths:
        poll.register(death, select.POLLIN)
    try:
        poll.poll(seconds * 1000)
    finally:
        for death in deaths:
            os.close(death)


def _death_of(pid: int) -> list[int]:
    """A descriptor that can be read when the process is dead, where there are such."""
    with contextlib.suppress(OSError, AttributeError):
        return [os.pidfd_open(pid)]
    return []


def main() -> None:
    """See the module."""
    holder = int(sys.argv[1])
    os.set_inheritable(holder, False)
    Guard(holder).run(sys.argv[3:], stay=sys.argv[2] == "stay")


if __name__ == "__main__":
    main()
