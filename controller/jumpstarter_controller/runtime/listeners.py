"""Exporters that listen on their lease, and the clients that dial them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

#: Dials that may wait for an exporter to take them.
CAPACITY: Final = 64


@dataclass(frozen=True)
class Call:
    """What an exporter needs to meet a client at a router."""

    endpoint: str
    token: str


class Busy(Exception):
    """Raised when the exporter does not take the calls that wait for it."""


@dataclass
class _Listener:
    """An exporter that listens. *passage* is the client that it has a passage open for, "" for none."""

    passage: str
    # One place is for the word that ends it.
    calls: asyncio.Queue[Call | None] = field(default_factory=lambda: asyncio.Queue(CAPACITY + 1))


class Listeners:
    """One listener a lease. A new one takes the place of the old, which ends after what it had."""

    def __init__(self) -> None:
        self._listeners: dict[str, _Listener] = {}
        self._arrival = asyncio.Condition()

    async def listen(self, lease: str, passage: str = "") -> AsyncIterator[Call]:
        """The calls for *lease*. *passage* is the client that the exporter has a passage open for, "" for none."""
        self._end(lease)
        listener = self._listeners[lease] = _Listener(passage)
        async with self._arrival:
            self._arrival.notify_all()
        try:
            while (call := await listener.calls.get()) is not None:
                yield call
        finally:
            if self._listeners.get(lease) is listener:
                del self._listeners[lease]

    async def wait_for(self, lease: str, timeout: float) -> bool:
        """Wait until the exporter listens; False after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout), self._arrival:
                await self._arrival.wait_for(lambda: lease in self._listeners)
        except TimeoutError:
            return False
        return True

    def has(self, lease: str) -> bool:
        """Whether the exporter listens."""
        return lease in self._listeners

    def passage(self, lease: str) -> str:
        """The client that the exporter has a passage open for, "" when there is none."""
        listener = self._listeners.get(lease)
        return "" if listener is None else listener.passage

    def call(self, lease: str, call: Call) -> bool:
        """Tell the exporter; False when it does not listen. Raises Busy."""
        listener = self._listeners.get(lease)
        if listener is None:
            return False
        if listener.calls.qsize() >= CAPACITY:
            raise Busy
        listener.calls.put_nowait(call)
        return True

    def close(self) -> None:
        """End all of them."""
        for lease in list(self._listeners):
            self._end(lease)

    def _end(self, lease: str) -> None:
        listener = self._listeners.pop(lease, None)
        if listener is not None:
            listener.calls.put_nowait(None)
