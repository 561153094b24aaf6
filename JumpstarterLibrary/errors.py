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

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import ConnectionError, JumpstarterException
from jumpstarter.streams.screen import as_lines, control_sequences

from .conversion import time_text

if TYPE_CHECKING:
    from jumpstarter.streams.matching import Matcher

TEXT_LIMIT = 2_000
"""How many characters of read text a failure message shows; the end is what matters, and the log has all of it."""


class NotSeenError(AssertionError):
    """Raised when awaited text does not come in time, or its stream ends first. The text stays unread.

    *ended* says why nothing more comes, *refused* that the console cannot be opened, *reason* what else is to be told.
    *dropped* bytes before *data* were thrown away unread. *matcher* was looking; *end* is the place behind *data* in all text.
    """

    ROBOT_SUPPRESS_NAME = True

    def __init__(
        self,
        console: str,
        wanted: str,
        timeout: float,
        data: bytes,
        ended: str | None = None,
        *,
        refused: bool = False,
        reason: str = "",
        matcher: Matcher | None = None,
        dropped: int = 0,
        end: int = 0,
    ) -> None:
        self.data = data
        self.end = end
        encoding = "utf-8" if matcher is None else matcher.encoding
        text = as_lines(data, encoding)
        self.is_whole = len(text) <= TEXT_LIMIT and not dropped
        if len(text) > TEXT_LIMIT:
            text = f"[{len(text) - TEXT_LIMIT} characters before this]\n{text[-TEXT_LIMIT:]}"
        if dropped:
            text = f"[{dropped} bytes before this were thrown away: nobody read them]\n{text}"
        read = f"Read so far:\n{text}" if text else "Nothing was read."
        when = _when(timeout, ended, reason, refused)
        hint = "" if matcher is None else _hint(matcher, data)
        super().__init__(f"{console}: {wanted} was not seen {when}. {hint}{read}")


def _when(timeout: float, ended: str | None, reason: str, refused: bool) -> str:
    if refused:
        return f"in {time_text(timeout)}, as the console cannot be opened: {ended}"
    if ended:
        return f"before {ended}"
    return f"in {time_text(timeout)}" + (f": {reason}" if reason else "")


def _hint(matcher: Matcher, data: bytes) -> str:
    """What stood between, if text was looked for with its control sequences and is there without them."""
    from jumpstarter.streams.matching import Matcher, has_controls

    if not matcher.controls or any(has_controls(each, matcher.regex) for each in matcher.wanted):
        return ""
    again = Matcher(matcher.wanted, regex=matcher.regex, encoding=matcher.encoding)
    if again.feed(data) is None and again.finish() is None:
        return ""
    sequences = control_sequences(data, matcher.encoding)
    return f"It is there with control sequences in between ({', '.join(map(repr, sequences))}): leave out controls=True. "


class StreamTimeoutError(AssertionError):
    """Raised when a stream's time is over before it has given as many items as were asked for."""

    ROBOT_SUPPRESS_NAME = True


class NotConnectedError(ConnectionError):
    """Raised when a keyword needs an exporter and none is connected."""

    ROBOT_SUPPRESS_NAME = True

    def __init__(self, what: str, elsewhere: Sequence[str] = ()) -> None:
        hint = ""
        if elsewhere:
            hint = (
                f"; {', '.join(elsewhere)} is connected by an import of the library with other arguments: "
                "import it with the same ones to share the connection"
            )
        super().__init__(f"{what}: no exporter is connected; use `Connect To Exporter` first{hint}")


class ConsoleClosedError(ConnectionError):
    """Raised when something is written to a console whose stream has ended, or one is wanted that is lent."""

    ROBOT_SUPPRESS_NAME = True


class UnknownDriverError(JumpstarterException):
    """Raised when a path or method name is not in the connected exporter's tree."""

    ROBOT_SUPPRESS_NAME = True


HTML_MARK = "*HTML*"
"""What Robot takes for HTML all that follows it, where a message begins with it."""


def as_text(error: Exception) -> Exception:
    """*error* with a message that Robot does not take for HTML: parts of it come from the exporter, or from its board."""
    text = str(error)
    if not text.lstrip().upper().startswith(HTML_MARK):
        return error
    safe = f"Text: {text}"
    error.args = (safe, *error.args[1:])
    if isinstance(error, JumpstarterException):
        error.message = safe
    return error if str(error).startswith(safe) else AssertionError(safe)
