"""Serial consoles: reading until something appears, writing, both in text and in bytes.

The console is opened by the first keyword that uses it, or when the board is powered on, and then read all
the time. Reading keywords take text from the *read position*: where the last successful read ended. Powering a board on after
powering it off moves the position past the boot before.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from jumpstarter.streams.matching import Matcher
from jumpstarter.streams.screen import as_lines, as_shown, encoding_without_mark
from robot.api import logger

from JumpstarterLibrary.console import Console
from JumpstarterLibrary.conversion import time_text
from JumpstarterLibrary.errors import NotSeenError

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
        self,
        expected: str | list[Any] | tuple[Any, ...] | None,
        *,
        timeout: timedelta | None = None,
        regex: bool = False,
        encoding: str = "utf-8",
        controls: bool = False,
        strip: bool = False,
    ) -> str:
        """Wait until the console says *expected*, and return all text up to and including it.

        Reading starts where the last successful read ended, so text that came between two keywords is seen
        too. When the time is over the keyword fails with the text read so far, and the read position stays:
        another read can look at the same text.

        The text is looked for in what a person sees: colours, cursor movements and other control sequences do not count,
        and backspaces have done their work. A console that is not there yet is waited for.

        Args:
            expected: The text to wait for, or a regular expression; of a list, whichever comes first.
            timeout: How long to wait; by default what `Set Jumpstarter Timeout` says.
            regex: Take *expected* as a regular expression, in which ``^`` and ``$`` match at lines, whichever way they end.
            encoding: How bytes become text; what is no text is replaced.
            controls: Look for the text among control sequences, too, as they came.
            strip: Return the text without control sequences.

        Returns:
            The text as the console sent it.
        """
        try:
            matcher = Matcher(expected, regex=regex, encoding=encoding, controls=controls)
        except re.error as error:
            raise ValueError(f"{expected!r} is not a regular expression: {error}") from error
        try:
            data = self._console.read_until(matcher, self._context.timeouts.seconds(timeout))
        except NotSeenError as error:
            self._log_failure(error)
            raise
        return _logged(data, encoding, strip)

    def read(
        self,
        *,
        quiet: timedelta = timedelta(0),
        timeout: timedelta | None = None,
        encoding: str = "utf-8",
        strip: bool = False,
    ) -> str:
        """Return what the console has said since the last read; may be nothing.

        A character of which only the first bytes have come is left for the next read.

        Args:
            quiet: Wait until the console has been silent for this long.
            timeout: How long to wait for silence; by default what `Set Jumpstarter Timeout` says. When it is over and the
                console still talks, what has come is returned, and a warning says so.
            encoding: How bytes become text; what is no text is replaced.
            strip: Return the text without control sequences.
        """
        return _logged(self._read(quiet, timeout, encoding), encoding, strip)

    def read_bytes(self, *, quiet: timedelta = timedelta(0), timeout: timedelta | None = None) -> bytes:
        """Return the bytes that the console has sent since the last read; may be none.

        Args:
            quiet: Wait until the console has been silent for this long.
            timeout: How long to wait for silence; by default what `Set Jumpstarter Timeout` says. When it is over and the
                console still talks, what has come is returned, and a warning says so.
        """
        data = self._read(quiet, timeout, None)
        logger.info(repr(data))
        return data

    def write(self, text: str, *, encoding: str = "utf-8") -> None:
        """Send *text* to the console as it is, without a line end.

        Args:
            text: What to send.
            encoding: How text becomes bytes.
        """
        self._console.send(text.encode(encoding_without_mark(encoding)))

    def write_line(self, text: str = "", *, newline: str = "\n", encoding: str = "utf-8") -> None:
        """Send *text* and a line end to the console.

        Args:
            text: What to send; nothing sends the line end only.
            newline: The line end: ``\\n``, ``\\r`` or ``\\r\\n``.
            encoding: How text becomes bytes.
        """
        self._console.send((text + newline).encode(encoding_without_mark(encoding)))

    def write_bytes(self, data: bytes) -> None:
        """Send *data* to the console.

        Args:
            data: What to send; in text every character is one byte, as in ``\\x03``.
        """
        self._console.send(data)

    def _read(self, quiet: timedelta, timeout: timedelta | None, encoding: str | None) -> bytes:
        seconds = self._context.timeouts.seconds(timeout)
        if quiet < timedelta(0):
            raise ValueError(f"quiet is {quiet.total_seconds()} s, expected 0 or more")
        console = self._console
        data, was_quiet = console.read_quiet(quiet.total_seconds(), seconds, encoding)
        if not was_quiet:
            logger.warn(
                f"console of {console.name}: it was not silent for {time_text(quiet)} within {time_text(seconds)}"
            )
        return data

    def _log_failure(self, error: NotSeenError) -> None:
        """The log has once what the read did not find its text in: in the failure's message, or beside it."""
        if error.is_whole:
            self._context.consoles.note_logged(self._client.uuid, error.end)
        else:
            self._context.consoles.log_failed_read(self._client.uuid)


def _logged(data: bytes, encoding: str, strip: bool) -> str:
    logger.info(as_lines(data, encoding))
    return as_shown(data, encoding) if strip else data.decode(encoding, "replace")
