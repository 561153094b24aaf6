"""The connections of one library, by alias. The one without an alias has the empty one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar
from weakref import WeakSet

from jumpstarter.common.exceptions import ArgumentError

from .driver_keyword import DriverKeyword
from .errors import NotConnectedError
from .session import Session


class Aliases:
    """Connections, and the keywords of all of them."""

    #: The connections of all imports of the library that are in use.
    _all: ClassVar[WeakSet[Aliases]] = WeakSet()

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._all.add(self)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """The aliases in use, oldest first."""
        return tuple(self._sessions)

    @property
    def keywords(self) -> dict[str, DriverKeyword]:
        """All keywords of all connections by name."""
        return {name: found for session in self for name, found in session.keywords.items()}

    def leases(self, beside: str | None = None) -> dict[str, str]:
        """The alias of each lease that is connected; the connection under the alias *beside* is left out."""
        return {
            session.lease: alias
            for alias, session in self._sessions.items()
            if session.lease is not None and alias != beside
        }

    def check(self, alias: str) -> None:
        """Raise ArgumentError unless keywords' names can begin with *alias*."""
        if alias and not re.search(r"[^\W_]", alias):
            raise ArgumentError(f"alias {alias!r} has no letter or digit: keywords' names begin with it")

    def add(self, alias: str, session: Session) -> None:
        """Remember a connection."""
        self._sessions[alias] = session

    def remove(self, alias: str) -> Session | None:
        """Forget a connection; gives it, None when there is none."""
        return self._sessions.pop(alias, None)

    def require(self, what: str, alias: str | None) -> Session:
        """The connection under *alias*; with None the only one, or the one without an alias.

        Raises NotConnectedError when there is none, ArgumentError when several may be meant.
        """
        self.require_any(what)
        if alias is None:
            if len(self._sessions) == 1:
                return next(iter(self._sessions.values()))
            alias = ""
        if alias not in self._sessions:
            known = ", ".join(name or "(none)" for name in self._sessions)
            raise ArgumentError(f"{what}: no connection has the alias {alias!r}, expected one of {known}")
        return self._sessions[alias]

    def require_any(self, what: str) -> None:
        """Raise NotConnectedError unless there is a connection."""
        if not self._sessions:
            raise NotConnectedError(what, self._elsewhere())

    def _elsewhere(self) -> tuple[str, ...]:
        """Names of the exporters that other imports of the library, with other arguments, are connected to."""
        return tuple(session.info.name for other in self._all if other is not self for session in other)
