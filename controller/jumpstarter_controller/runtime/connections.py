"""Which exporters are connected: the controller hears at once when the connection of one breaks.

An exporter is connected as long as it has a Status stream. One that stops answering is found by gRPC's keepalive, which ends
its streams. All of this is in memory: after a start of the controller nobody is connected until it has come back (see `lab`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from .lab import Lab

#: Seconds after which another process may take the place of one that was connected last. A restart takes less.
ABANDONED: Final = 15.0


@dataclass
class _Connection:
    """Of one exporter. *streams* has the peers of its Status streams, *heard* is when there was a sign of it last."""

    heard: float
    streams: list[str] = field(default_factory=list)
    had_stream: bool = False
    registered_from: str = ""


class Connections:
    """The connections of the exporters of *lab*, whose records follow them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._started = monotonic()
        self._connections: dict[str, _Connection] = {}

    @contextmanager
    def stream(self, name: str, peer: str) -> Iterator[None]:
        """The exporter has a Status stream from *peer*, as long as the block runs."""
        connection = self._of(name)
        connection.had_stream = True
        connection.streams.append(peer)
        self._lab.found(name)
        try:
            yield
        finally:
            connection.streams.remove(peer)
            connection.heard = monotonic()
            if not connection.streams:
                self._lab.lost(name)

    def registered(self, name: str, peer: str) -> None:
        """A process at *peer* has registered as the exporter; its Status stream comes next."""
        connection = self._of(name)
        connection.heard, connection.registered_from = monotonic(), peer
        connection.had_stream = bool(connection.streams)
        self._lab.found(name)

    def reported(self, name: str) -> None:
        """The exporter has reported its status: a sign of one that has no Status stream yet."""
        if not self._of(name).had_stream:
            self._lab.found(name)

    def count(self, name: str) -> int:
        """How many Status streams the exporter has."""
        return len(self._of(name).streams)

    def is_alive(self, name: str) -> bool:
        """Whether the process that registered last is there, or may come back."""
        connection = self._of(name)
        return bool(connection.streams) or monotonic() - connection.heard < ABANDONED

    def where(self, name: str) -> str:
        """Where the process is that registered last, "" when that is not known."""
        return self._of(name).registered_from

    def _of(self, name: str) -> _Connection:
        return self._connections.setdefault(name, _Connection(self._started))
