"""``jmp run`` in a lab as two processes: the exporter, and the one above it that starts it anew when it is stuck.

The exporter tells five times a second that its event loop runs; so its Python interpreter does, too, which a driver's native
code can hold for ever. One that has not told it for the limit is killed, after it has shown where its threads are, and started
again.

What must hold:

* To others both are one process: signals, the exit code, the death by a signal and a stop (SIGSTOP, SIGCONT) of one are those of
  the other.
* Time counts only while the exporter could have told: not while it is stopped or traced, nor while the machine or this process
  is. A busy exporter tells late, but long before the limit.
* Before it tells for the first time, and after its loop has ended, nothing is asked of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

from .guard import wait_for_end

logger = logging.getLogger("jumpstarter.exporter")

#: Seconds between two signs of life, and between two looks for them. Within this time a stop of one is one of both.
INTERVAL: Final = 0.2
#: Seconds for a stuck exporter to show where its threads are.
_TRACE: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1
#: What is told: that the exporter runs, and that it stops since the process above it is stopped.
_LIVES, _STOPS = b".", b"s"
_FORWARDED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Pulse:
    """The exporter's side: signs of life for the process above it, whose id is *above*."""

    def __init__(self, pipe: int, above: int) -> None:
        self._pipe = pipe
        self._above = above

    async def run(self) -> None:
        """Give them until cancelled. Stops this process as long as the one above it is stopped."""
        try:
            while True:
                stopped = _state(self._above) == "T"
                os.write(self._pipe, _STOPS if stopped else _LIVES)
                if stopped:
                    os.kill(os.getpid(), signal.SIGSTOP)
                # No event: that this loop still comes here in time is what is told.
                await asyncio.sleep(INTERVAL)
        except BrokenPipeError:
            os._exit(1)  # the process above is dead, on a system that does not tell so
        finally:
            os.close(self._pipe)


def supervised(limit: float) -> Pulse | int:
    """Go on as an exporter below this process, which stays here and watches it: gives the `Pulse` there, and the exit code here.

    *limit* is the seconds of silence after which it is started anew. To be called before there are threads.
    """
    sys.stdout.flush()
    while True:
        pipe, ours = os.pipe()
        above, pid = os.getpid(), os.fork()
        if pid == 0:
            os.close(pipe)
            return _below(ours, above)
        os.close(ours)
        with contextlib.closing(_Watch(pid, pipe, limit)) as watch:
            if (code := watch.run()) is not None:
                return code


def _below(pipe: int, above: int) -> Pulse:
    """Make this new process the exporter's."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # Linux's
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != above:
        os._exit(1)
    os.setpgid(0, 0)  # a terminal's signals come to the process above, which hands them on
    with contextlib.suppress(RuntimeError, ValueError, OSError):  # no standard error
        faulthandler.enable()
    return Pulse(pipe, above)


class _Watch:
    """Follows the exporter *pid*, which writes into *pipe*."""

    def __init__(self, pid: int, pipe: int, limit: float) -> None:
        self._pid, self._pipe, self._limit = pid, pipe, limit
        self._awake, self._wake = os.pipe()
        for end in (self._awake, self._wake):
            os.set_blocking(end, False)
        self._told_to_stop: int | None = None
        #: The last that was told: None before the first, nothing when the exporter leaves.
        self._last: bytes | None = None
        self._silent = 0.0
        self._handlers = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        self._handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._forward)
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._wakeup = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def close(self) -> None:
        """Leave everything as it was."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for end in (self._pipe, self._awake, self._wake):
            os.close(end)

    def _forward(self, number: int, _: object) -> None:
        if number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            self._told_to_stop = number
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def run(self) -> int | None:
        """Until the exporter has ended: its exit code; None when it was stuck and is to be started anew."""
        looked = time.monotonic()
        while (status := self._ended()) is None:
            self._listen()
            now = time.monotonic()
            # A longer time was none in which the exporter could be heard.
            self._count(min(now - looked, 2 * INTERVAL))
            looked = now
            if self._silent >= self._limit:
                return self._end()
        return _as(status)

    def _ended(self) -> int | None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _listen(self) -> None:
        """Take signs of life, for an interval at the most."""
        ready, _, _ = select.select(
            [self._awake, *([self._pipe] if self._last != b"" else [])], [], [], INTERVAL
        )
        if self._awake in ready:
            os.read(self._awake, 4096)
        if self._pipe in ready:
            self._silent = 0.0
            self._last = os.read(self._pipe, 4096)[-1:]

    def _count(self, seconds: float) -> None:
        stopped = _state(self._pid) in ("T", "t")
        if self._last == _STOPS and stopped:
            self._kill(signal.SIGCONT)  # this process runs again
        elif self._last and not stopped:
            self._silent += seconds

    def _end(self) -> int | None:
        logger.error(
            "the exporter has given no sign of life for %g s: a call of a driver holds its Python interpreter or its event loop; "
            "where its threads are is shown below. It is killed%s",
            self._limit,
            "" if self._told_to_stop else " and started anew",
        )
        # The trace is what is wanted, no image of the memory.
        with contextlib.suppress(AttributeError, OSError):  # Linux's
            resource.prlimit(self._pid, resource.RLIMIT_CORE, (0, 0))
        self._kill(signal.SIGABRT)
        self._ended_within(_TRACE)
        self._kill(signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return None if self._told_to_stop is None else 128 + self._told_to_stop

    def _ended_within(self, seconds: float) -> None:
        """Wait for the exporter's end, *seconds* at the most. It stays a zombie, so its number belongs to nobody else."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._is_dead():
            wait_for_end([self._pid], left)

    def _is_dead(self) -> bool:
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _kill(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)


def _as(code: int) -> int:
    """The exit code of this process for that of the exporter; one that a signal ended ends this process in the same way."""
    if code >= 0:
        return code
    sys.stderr.flush()
    with contextlib.suppress(OSError):  # SIGKILL has no handler
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


def _state(pid: int) -> str:
    """The process's state as Linux tells it; T is stopped, t traced; "" elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
