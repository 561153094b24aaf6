"""Waiting for signals in a process that has other threads.

A blocking call of the main thread, such as waiting for a lock or for a child, returns for a signal only if the
kernel interrupts that very thread during that very call. With threads of gRPC around it may not. What holds is
that Python's own C handler writes a byte to the wake-up file, in whichever thread it runs: so that is what is
waited for.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def wakeups() -> Iterator[Callable[..., None]]:
    """Gives a function that blocks until a signal with a Python handler has come since its last call.

    Its argument is how many seconds it blocks at the most; without one, or with None, there is no limit. The handlers have
    run when it returns, so one that raises raises from it. For the main thread only.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:

            def wait(timeout: float | None = None) -> None:
                if select.select([receiver], [], [], timeout)[0]:
                    receiver.recv(4096)

            yield wait
        finally:
            signal.set_wakeup_fd(before)
