"""Serial consoles: reading until something appears, writing, both in text and in bytes.

The console is opened by the first keyword that uses it, or when the board is powered on, and then read all
the time. Reading keywords take text from the *read position*: where the last successful read ended. Powering a board on after
powering it off moves the position past the boot before.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from robot.api import logger

from JumpstarterLibrary.console import Console, find_pattern, find_text, printable

from .base import Adapter, Context


class SerialAdapter(Adapter):
    """Keywords of a serial console."""

    hidden = frozenset({"read_until", "read", "write"})

    def __init__(self, client: Any, context: Context) -> None:
        super().__init__(client, context)
        context.consoles.register(client.uuid, context.path, lambda: client.stream("connect"))

    @property
    def _console(self) -> Console:
        return self._context.consoles.get(self._client.uuid)

    def read_until(
        self, expected: str, *, timeout: timedelta | None = None, regex: bool = False, encoding: str = "utf-8"
    ) -> str:
        """Wait until the console says *expected*, and return all text up to and including it.

        Reading starts where the last successful read ended, so text that came between two keywords is seen
        too. When the time is over the keyword fails with the text read so far, and the read position stays:
        another read can look at the same text.

        Args:
            expected: The text to wait for, or a regular expression.
            timeout: How long to wait; by default what `Set Jumpstarter Timeout` says.
            regex: Take *expected* as a regular expression, in which ``^`` and ``$`` match at lines.
            encoding: How bytes become text; what is no text is replaced.

        Returns:
            The text, with line ends as the console sent them.
        """
        if not expected:
            raise ValueError("expected is empty; give the text to wait for")
        try:
            find = find_pattern(expected, encoding) if regex else find_text(expected, encoding)
        except re.error as error:
            raise ValueError(f"{expected!r} is not a regular expression: {error}") from error
        wanted = f"text matching {expected!r}" if regex else f"{expected!r}"
        data = self._console.read_until(find, self._context.timeouts.seconds(timeout), wanted)
        return _logged(data.decode(encoding, "replace"))

    def read(
        self, *, quiet: timedelta = timedelta(0), timeout: timedelta | None = None, encoding: str = "utf-8"
    ) -> str:
        """Return what the console has said since the last read; may be nothing.

        Args:
            quiet: Wait until the console has been silent for this long.
            timeout: How long to wait for silence; by default what `Set Jumpstarter Timeout` says.
            encoding: How bytes become text; what is no text is replaced.
        """
        data = self._read(quiet, timeout)
        return _logged(data.decode(encoding, "replace"))

    def read_bytes(self, *, quiet: timedelta = timedelta(0), timeout: timedelta | None = None) -> bytes:
        """Return the bytes that the console has sent since the last read; may be none.

        Args:
            quiet: Wait until the console has been silent for this long.
            timeout: How long to wait for silence; by default what `Set Jumpstarter Timeout` says.
        """
        data = self._read(quiet, timeout)
        logger.info(repr(data))
        return data

    def write(self, text: str, *, encoding: str = "utf-8") -> None:
        """Send *text* to the console as it is, without a line end.

        Args:
            text: What to send.
            encoding: How text becomes bytes.
        """
        self._console.send(text.encode(encoding))

    def write_line(self, text: str = "", *, newline: str = "\n", encoding: str = "utf-8") -> None:
        """Send *text* and a line end to the console.

        Args:
            text: What to send; nothing sends the line end only.
            newline: The line end: ``\\n``, ``\\r`` or ``\\r\\n``.
            encoding: How text becomes bytes.
        """
        self._console.send((text + newline).encode(encoding))

    def write_bytes(self, data: bytes) -> None:
        """Send *data* to the console.

        Args:
            data: What to send; in text every character is one byte, as in ``\\x03``.
        """
        self._console.send(data)

    def _read(self, quiet: timedelta, timeout: timedelta | None) -> bytes:
        seconds = self._context.timeouts.seconds(timeout)
        return self._console.read(quiet=quiet.total_seconds(), timeout=seconds)


def _logged(text: str) -> str:
    logger.info(printable(text))
    return text
