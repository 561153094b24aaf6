"""The open consoles of a connected exporter, one for each serial driver however many names it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from uuid import UUID

from jumpstarter.streams.screen import as_lines
from robot.api import logger

from .console import Console, Opener
from .errors import ConsoleClosedError

Path = tuple[str, ...]

LOG_LIMIT = 200_000
"""How many characters of text that nobody read the log shows at once."""

QUIET = 0.1
"""Seconds of silence after which a board that was switched off has said all."""

QUIET_TIMEOUT = 1.0
"""Seconds to wait for that: something else may talk on its line."""

LAST_QUIET = 0.25
"""Seconds of silence after which a board has said its last words before its console is closed for good."""

LAST_TIMEOUT = 2.0
"""Seconds to wait for that on all consoles together."""

COMING = 30.0
"""Seconds after power on in which a console that comes with the power is looked for, so that none of its text is missed."""


@dataclass
class _Source:
    """A serial driver: all *paths* that lead to it, its console, and whether its board was switched off.

    *alias* is the connection's. *logged* is the place in its text up to which the log has it.
    """

    paths: list[Path]
    opener: Opener
    alias: str = ""
    console: Console | None = field(default=None)
    off: bool = False
    logged: int = 0

    @property
    def name(self) -> str:
        return f"{self.alias} {'.'.join(self.paths[0])}".lstrip()

    def is_in(self, group: Path) -> bool:
        return any(path[: len(group)] == group for path in self.paths)

    def made(self) -> Console:
        """The console; nothing is opened."""
        if self.console is None:
            self.console = Console(self.name, opener=self.opener)
        return self.console

    def log_unread(self, title: str) -> None:
        """Log what is unread and not in the log yet; it stays unread."""
        if text := self.unlogged():
            logger.info(f"{self.name} {title}\n{text}")
        self.tell_what_was_dropped()

    def unlogged(self) -> str:
        """What is unread and not in the log yet; it stays unread, and counts as logged."""
        if self.console is None:
            return ""
        text = self.console.text
        end = text.received
        shown = with_times(text.lines_of(self.logged))
        self.logged = max(self.logged, end)
        return shown

    def tell_what_was_dropped(self) -> None:
        """Warn of text that was thrown away."""
        count = 0 if self.console is None else self.console.text.take_untold()
        if count:
            logger.warn(
                f"console of {self.name}: {count} bytes were thrown away, as nobody read them for long"
            )


class Consoles:
    """Opens a console when it is first wanted and keeps it until `lent` or `close`.

    A *group* is the path of a node: all serial drivers at or below it are taken for the consoles of one board. Messages and
    the log name consoles with the connection's *alias* in front.
    """

    def __init__(self, alias: str = "") -> None:
        self._alias = alias
        self._sources: dict[UUID, _Source] = {}
        self._lent: str | None = None

    def register(self, uuid: UUID, path: Path, opener: Opener) -> None:
        """Make the console of driver *uuid* known; nothing is opened. Messages name it by its first *path*."""
        self._sources.setdefault(uuid, _Source([], opener, self._alias)).paths.append(path)

    def get(self, uuid: UUID) -> Console:
        """The console of driver *uuid*, which opens its stream when it is used.

        Raises `ConsoleClosedError` while the consoles are lent.
        """
        source = self._sources[uuid]
        if self._lent is not None:
            raise ConsoleClosedError(f"{source.name}: the console is not available, {self._lent}")
        source.tell_what_was_dropped()
        return source.made()

    def note_logged(self, uuid: UUID, end: int) -> None:
        """What the console of driver *uuid* has said up to place *end* is in the message of a failure."""
        source = self._sources[uuid]
        source.logged = max(source.logged, end)

    def log_failed_read(self, uuid: UUID) -> None:
        """Log what a failed read did not find its text in, once."""
        self._sources[uuid].log_unread("said, and the awaited text is not in it:")

    def capture(self, group: Path) -> None:
        """Open all consoles of *group*, so that nothing that the board says is missed. What cannot be opened is no failure."""
        if self._lent is not None:
            return
        for source in self._in(group):
            console = source.made()
            if console.ended:
                console.want(0.0)
                if (reason := console.text.wait_opening()) is not None:
                    logger.debug(f"console of {source.name}: not captured yet: {reason}")

    def expect(self, group: Path, seconds: float, *, another: bool = False) -> None:
        """For *seconds* try to open those consoles of *group* that are not open; with *another* also those that end meanwhile."""
        if self._lent is not None:
            return
        for source in self._in(group):
            console = source.made()
            if another or console.ended:
                console.want(seconds, another=another)

    def switched_off(self, group: Path) -> None:
        """The board of *group* has lost its supply: what it says from its next start on is another boot."""
        for source in self._in(group):
            source.off = True
            if source.console is not None:
                source.console.expect_nothing()

    def switching_on(self, group: Path) -> None:
        """Put unread text of the boot before into the log, if the board of *group* was switched off since."""
        for source in self._in(group):
            if source.off and source.console is not None:
                _drain(source)
            source.off = False

    @contextmanager
    def lent(self, reason: str) -> Iterator[None]:
        """Close all consoles for as long as something else has the devices; *reason* says who."""
        self._release_all(reason)
        self._lent = reason
        try:
            yield
        finally:
            self._lent = None

    def log_unread(self) -> None:
        """Show what no keyword has read yet and the log has not; it stays unread."""
        for source in self._sources.values():
            source.log_unread("said, and no keyword has read:")

    def unlogged(self) -> dict[str, str]:
        """What no keyword has read yet and the log has not, by the console's name; it counts as logged."""
        return {source.name: text for source in self._sources.values() if (text := source.unlogged())}

    def end(self) -> None:
        """Close all consoles when they have said their last words, which stay; no keyword comes any more."""
        self._hear_last_words()
        self._release_all("the run has ended")

    def close(self) -> None:
        """Close all consoles when they have said their last words, and forget them. What nobody has read goes into the log."""
        talking = self._hear_last_words()
        self.log_unread()
        for source in self._sources.values():
            if source.console is not None:
                source.console.close()
        self.log_unread()
        for name in talking:
            logger.info(f"{name} was still talking when its console was closed")
        self._sources.clear()

    def _hear_last_words(self) -> list[str]:
        """Wait until all open consoles are silent. Returns the names of those that go on talking."""
        now = monotonic()
        return [
            source.name
            for source in self._sources.values()
            if (console := source.console) is not None
            and not console.ended
            and not console.text.wait_silent(now, LAST_QUIET, now + LAST_TIMEOUT)
        ]

    def _in(self, group: Path) -> list[_Source]:
        return [source for source in self._sources.values() if source.is_in(group)]

    def _release_all(self, reason: str) -> None:
        for source in self._sources.values():
            if source.console is not None:
                source.console.release(reason)


def _drain(source: _Source) -> None:
    """Log what was said before and forget it. What was said last may still be on its way."""
    console = source.made()
    if not console.ended:
        console.text.wait_quiet(QUIET, QUIET_TIMEOUT)
    source.log_unread("said before, and no keyword has read:")
    console.text.take()


def with_times(lines: Iterator[tuple[float, bytes]]) -> str:
    """*lines* for the log, each with its time; the end of them if they are long."""
    parts = [f"{_clock(when)}  {text}" for when, line in lines if (text := as_lines(line).rstrip("\n"))]
    text = "\n".join(parts)
    if len(text) > LOG_LIMIT:
        text = f"[{len(text) - LOG_LIMIT} characters before this]\n{text[-LOG_LIMIT:]}"
    return text


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when).strftime("%H:%M:%S.%f")[:-3]
