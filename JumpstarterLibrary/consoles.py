"""The open consoles of a connected exporter, one for each serial driver however many names it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from robot.api import logger

from .console import Console, Stream, printable
from .errors import ConsoleClosedError

Opener = Callable[[], AbstractContextManager[Stream]]
Path = tuple[str, ...]

LOG_LIMIT = 20_000
"""How many characters of text that nobody read the log shows."""

QUIET = 0.1
"""Seconds of silence after which a board that was switched off has said all."""

QUIET_TIMEOUT = 1.0
"""Seconds to wait for that: something else may talk on its line."""


@dataclass
class _Source:
    """A serial driver: all *paths* that lead to it, how to open it, and whether its board was switched off."""

    paths: list[Path]
    opener: Opener
    console: Console | None = field(default=None)
    off: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.paths[0])

    def is_in(self, group: Path) -> bool:
        return any(path[: len(group)] == group for path in self.paths)


class Consoles:
    """Opens a console when it is first wanted and keeps it until `lent` or `close`.

    A *group* is the path of a node: all serial drivers at or below it are taken for the consoles of one board.
    """

    def __init__(self) -> None:
        self._sources: dict[UUID, _Source] = {}
        self._lent: str | None = None

    def register(self, uuid: UUID, path: Path, opener: Opener) -> None:
        """Make the console of driver *uuid* known; nothing is opened. Messages name it by its first *path*."""
        self._sources.setdefault(uuid, _Source([], opener)).paths.append(path)

    def get(self, uuid: UUID) -> Console:
        """The console of driver *uuid*: opened now if it is not, or again if its stream has ended.

        Raises `ConsoleClosedError` while the consoles are lent.
        """
        source = self._sources[uuid]
        if self._lent is not None:
            raise ConsoleClosedError(f"{source.name}: the console is not available, {self._lent}")
        console = source.console
        if console is None or (console.ended and not console.peek()):
            console = self._reopen(source)
        return console

    def capture(self, group: Path) -> None:
        """Open all consoles of *group*, so that nothing that the board says is missed.

        One that cannot be opened is no failure.
        """
        if self._lent is not None:
            return
        for source in self._in(group):
            if source.console is not None and not source.console.ended:
                continue
            try:
                self._reopen(source)
            except Exception as error:  # noqa: BLE001 - a service only: who reads will fail
                logger.debug(f"{source.name}: not captured yet: {error}")

    def switched_off(self, group: Path) -> None:
        """The board of *group* has lost its supply: what it says from its next start on is another boot."""
        for source in self._in(group):
            source.off = True

    def switching_on(self, group: Path) -> None:
        """Put unread text of the boot before into the log, if the board of *group* was switched off since."""
        for source in self._in(group):
            if source.off and source.console is not None:
                # What it said last may still be on its way.
                before = source.console.read(quiet=QUIET, timeout=QUIET_TIMEOUT)
                log_unread(f"{source.name} said before, and no keyword has read:", before)
            source.off = False

    @contextmanager
    def lent(self, reason: str) -> Iterator[None]:
        """Close all consoles for as long as something else has the devices; *reason* says who."""
        self._close_all()
        self._lent = reason
        try:
            yield
        finally:
            self._lent = None

    def log_unread(self) -> None:
        """Show what no keyword has read yet; it stays unread."""
        for source in self._sources.values():
            if source.console is not None:
                log_unread(f"{source.name} said, and no keyword has read:", source.console.peek())

    def close(self) -> None:
        """Close all consoles and forget them."""
        self._close_all()
        self._sources.clear()

    def _in(self, group: Path) -> list[_Source]:
        return [source for source in self._sources.values() if source.is_in(group)]

    def _reopen(self, source: _Source) -> Console:
        before, source.console = source.console, None
        unread = b""
        if before is not None:
            unread = before.peek()
            before.close()
        console = source.console = Console(source.name, source.opener(), unread=unread)
        return console

    def _close_all(self) -> None:
        for source in self._sources.values():
            console, source.console = source.console, None
            if console is not None:
                console.close()


def log_unread(title: str, data: bytes) -> None:
    """Log *data* as text under *title*, the end of it if it is long; nothing when there is none."""
    if data:
        logger.info(f"{title}\n{printable(data.decode('utf-8', 'replace'))[-LOG_LIMIT:]}")
