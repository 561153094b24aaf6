"""Terminals get their settings back, whatever ends those that have changed them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def terminal_kept(descriptor: int = 0) -> Iterator[None]:
    """Give the terminal its settings of now back at the end, and this process its foreground if it has it now.

    Without effect where *descriptor* is no terminal.
    """
    import termios

    try:
        before = termios.tcgetattr(descriptor)
    except termios.error:
        yield
        return
    in_front = _foreground(descriptor) == os.getpgrp()
    try:
        yield
    finally:
        restore(descriptor, before, in_front=in_front)


def restore(descriptor: int, settings: object, *, in_front: bool) -> None:
    """Put the settings of a terminal back. One that is gone needs none."""
    import termios

    # A process in the background would be stopped for changing its terminal, and refused if nobody could continue it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError, termios.error):
            if in_front and _foreground(descriptor) != os.getpgrp():
                os.tcsetpgrp(descriptor, os.getpgrp())
        with suppress(OSError, termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, settings)  # type: ignore[arg-type]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _foreground(descriptor: int) -> int | None:
    try:
        return os.tcgetpgrp(descriptor)
    except OSError:
        return None
