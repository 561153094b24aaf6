"""Failures of the library's own keywords.

::

    AssertionError
    ├── NotSeenError            the awaited text did not come; has what was read instead
    └── StreamTimeoutError      a driver's stream did not give the wanted items in time
    JumpstarterException
    ├── NotConnectedError       a driver's keyword was used with no exporter connected
    ├── ConsoleClosedError      the console's stream has ended
    └── UnknownDriverError      no driver, or no method, of the name given to `Call Driver Method`

Robot shows their messages without the name of the class. Errors of the exporter and its drivers are those
of `jumpstarter.common.exceptions`.
"""

from __future__ import annotations

from jumpstarter.common.exceptions import ConnectionError, JumpstarterException

from .conversion import time_text

TEXT_LIMIT = 20_000
"""How many characters of read text a failure message shows; the end is what matters."""


class NotSeenError(AssertionError):
    """Raised when awaited text does not come in time, or its stream ends first. The text stays unread."""

    ROBOT_SUPPRESS_NAME = True

    def __init__(
        self, console: str, wanted: str, timeout: float, data: bytes, ended: str | None = None
    ) -> None:
        from .console import printable

        self.data = data
        text = printable(data.decode("utf-8", "replace"))
        if len(text) > TEXT_LIMIT:
            text = f"[{len(text) - TEXT_LIMIT} characters before this]\n{text[-TEXT_LIMIT:]}"
        when = f"before {ended}" if ended else f"in {time_text(timeout)}"
        read = f"Read so far:\n{text}" if text else "Nothing was read."
        super().__init__(f"{console}: {wanted} was not seen {when}. {read}")


class StreamTimeoutError(AssertionError):
    """Raised when a stream's time is over before it has given as many items as were asked for."""

    ROBOT_SUPPRESS_NAME = True


class NotConnectedError(ConnectionError):
    """Raised when a keyword needs an exporter and none is connected."""

    ROBOT_SUPPRESS_NAME = True

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: no exporter is connected; use `Connect To Exporter` first")


class ConsoleClosedError(ConnectionError):
    """Raised when something is written to a console whose stream has ended, or one is wanted that is lent."""

    ROBOT_SUPPRESS_NAME = True


class UnknownDriverError(JumpstarterException):
    """Raised when a path or method name is not in the connected exporter's tree."""

    ROBOT_SUPPRESS_NAME = True
