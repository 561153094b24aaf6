"""What a user is told while something is waited for: one line on standard error, and only when it changes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Final, Self

from jumpstarter.common.durations import format_duration
from jumpstarter.common.interrupts import Flag, start_thread

Report = Callable[[str], None]
"""Tells the user a line of text."""


class ProgressLine:
    """Shows the latest line: over the one before on a terminal, else below it. *write* takes text for the screen."""

    def __init__(self, write: Callable[[str], None] | None = None, terminal: bool | None = None) -> None:
        self._write = write or _to_stderr
        plain = os.environ.get("NONINTERACTIVE", "").lower() in ("1", "true")
        self._terminal = sys.stderr.isatty() and not plain if terminal is None else terminal
        self._last = ""

    def __call__(self, text: str) -> None:
        """Show *text* if it says something new."""
        if text == self._last:
            return
        self._last = text
        self._write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")

    def finish(self) -> None:
        """What comes next on the screen starts on a line of its own."""
        if self._last and self._terminal:
            self._write("\n")
        self._last = ""


#: Seconds after which somebody who waits is told again what for; twice as many after a minute.
AGAIN: Final = 5.0


class Repeating:
    """Reports what is waited for, and again every few seconds with how long that has been. Use it as a context.

    *meanwhile* is called before every repetition, on a thread.
    """

    def __init__(self, report: Report, meanwhile: Callable[[], object] | None = None) -> None:
        self._report = report
        self._meanwhile = meanwhile
        self._text = ""
        self._since = monotonic()
        self._over = Flag()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, text: str) -> None:
        """Report *text*, now and from now on."""
        self._text = text
        self._report(text)
        if self._thread is None:
            self._thread = start_thread(self._repeat, name="jumpstarter-waiting")

    def update(self, text: str) -> None:
        """Report *text* if it is not what was reported last."""
        if text != self._text:
            self(text)

    @property
    def over(self) -> bool:
        """Whether it has been stopped."""
        return self._over.is_set()

    def stop(self) -> None:
        """Report nothing more."""
        self._over.set()

    def _repeat(self) -> None:
        while not self._over.wait(AGAIN if monotonic() - self._since < 60 else 2 * AGAIN):
            if self._meanwhile is not None:
                self._meanwhile()
            if not self._over.is_set():
                passed = timedelta(seconds=round(monotonic() - self._since))
                self._report(f"{self._text} (for {format_duration(passed)} now)")


def _to_stderr(text: str) -> None:
    # The terminal may be gone, and with it the reason for this; what is under way goes on.
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
