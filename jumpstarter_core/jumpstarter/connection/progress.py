"""What a user is told while something is waited for: one line on standard error, and only when it changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

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


def _to_stderr(text: str) -> None:
    # The terminal may be gone, and with it the reason for this; what is under way goes on.
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
