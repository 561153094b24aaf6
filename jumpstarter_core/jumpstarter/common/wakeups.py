"""Waiting for signals in a process that has other threads.

A blocking call of the main thread, such as waiting for a lock or for a child, returns for a signal only if the
kernel interrupts that very thread during that very call. With threads of gRPC around it may not. What holds is
that Python's own C handler writes a byte to the wake-up file, in whichever thread it runs: so that is what is
waited for.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def wakeups() -> Iterator[Callable[..., None]]:
    """Gives a function that blocks until a signal with a Python handler has come since its last call.

    Its argument is how many seconds it blocks at the most; without one, or with None, there is no limit. The handlers have
    run when it returns, so one that raises raises from it. For the main thread only.
    """
    receiver, sender = _pipe()
    _drain(receiver)
    before = -1
    try:
        before = signal.set_wakeup_fd(sender, warn_on_full_buffer=False)

        def wait(timeout: float | None = None) -> None:
            if select.select([receiver], [], [], timeout)[0]:
                _drain(receiver)

        yield wait
    finally:
        signal.set_wakeup_fd(before)


@functools.cache
def _pipe() -> tuple[int, int]:
    """The process's pipe for wake-ups: (its end to read, its end to write).

    It stays open for as long as the process runs. A handler that raises can keep any line of `wakeups` from being
    run, also the one that puts the file back: what the C handler writes to then must not be closed, or another file
    that got its number.
    """
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    os.set_blocking(sender, False)
    return receiver, sender


def _drain(receiver: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(receiver, 4096):
            pass
